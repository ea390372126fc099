/**
 * The output channel "sc2lsp", and its last lines for a report. Never gets text of documents.
 */

import type { LogOutputChannel } from "vscode";

const LINES_KEPT = 200;

/** Both, line by line. */
export class Log {
  readonly channel: LogOutputChannel;
  readonly #lines: string[] = []; // oldest first

  constructor(channel: LogOutputChannel) {
    this.channel = channel;
  }

  /** The last lines, oldest first. */
  get lines(): readonly string[] {
    return this.#lines;
  }

  info(line: string): void {
    this.#keep("info", line);
    this.channel.info(line);
  }

  warn(line: string): void {
    this.#keep("warning", line);
    this.channel.warn(line);
  }

  error(line: string): void {
    this.#keep("error", line);
    this.channel.error(line);
  }

  #keep(level: string, line: string): void {
    this.#lines.push(`${new Date().toISOString()} [${level}] ${line}`);
    this.#lines.splice(0, this.#lines.length - LINES_KEPT);
  }
}
