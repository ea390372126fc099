/**
 * One language server and the connection to it: started, followed, restarted after a crash, stopped.
 *
 * Knows how to run a server, not which one, and shows nobody anything but through `onStatus`.
 */

import { spawn, type ChildProcess } from "node:child_process";
import { createInterface } from "node:readline";

import {
  CloseAction,
  ErrorAction,
  ErrorCodes,
  LanguageClient,
  ResponseError,
  State,
  type ErrorHandler,
  type LanguageClientOptions,
  type Middleware,
  type StaticFeature,
  type StreamInfo,
} from "vscode-languageclient/node";

import type { Log } from "./log.ts";
import type { Command } from "./python.ts";
import type { Settings } from "./settings.ts";
import { STARTING, statusOf, type Status } from "./state.ts";

// Documents of an editor's own views (output, git, settings, search results) have other schemes.
const SELECTOR = ["file", "untitled", "vscode-notebook-cell", "vscode-vfs", "vscode-remote"].map((scheme) => ({
  scheme,
}));
const CRASHES_ALLOWED = 5;
const CRASH_MS = 3 * 60_000; // within which so many are too many
const STOP_MS = 3_000;
const EXIT_MS = 2_000; // for a process to end whose input has ended

// What requests fail with where the server is gone; that is told by `closed`.
const CONNECTION_LOST: ReadonlySet<number> = new Set([
  ErrorCodes.MessageWriteError,
  ErrorCodes.MessageReadError,
  ErrorCodes.PendingResponseRejected,
  ErrorCodes.ConnectionInactive,
]);

const CRASHED: Status = {
  kind: "Error",
  message: `The language server crashed ${CRASHES_ALLOWED} times in ${CRASH_MS / 60_000} minutes.`,
  fix: "It is not started again by itself.",
  action: { title: "Restart", command: "sc2lsp.restartServer" },
};

/** What a connection needs to know of the window around it. */
export interface Surroundings {
  readonly log: Log;
  readonly middleware: Middleware;
  readonly onStatus: (status: Status) => void;
}

/** Tells the server that this editor shows its status by itself. */
const SHOWS_STATUS: StaticFeature = {
  fillClientCapabilities: (capabilities) => {
    const others: object = capabilities.experimental ?? {};
    capabilities.experimental = { ...others, sc2lsp: { status: true } };
  },
  initialize: () => undefined,
  getState: () => ({ kind: "static" }),
  clear: () => undefined,
};

/** The library's client, which logs where we do and leaves all messages to the status. */
class QuietClient extends LanguageClient {
  readonly #log: Log;

  constructor(server: () => Promise<StreamInfo>, options: LanguageClientOptions, log: Log) {
    super("sc2lsp", "sc2lsp", server, options);
    this.#log = log;
  }

  override error(message: string, data?: unknown): void {
    this.#log.error(data instanceof Error ? `${message} ${data.message}` : message);
  }

  override warn(message: string): void {
    this.#log.warn(message);
  }

  override info(message: string): void {
    this.#log.info(message);
  }
}

/** The connection to one server, for as long as that is the one to use. */
export class Connection {
  readonly #surroundings: Surroundings;
  readonly #command: Command;
  readonly #client: LanguageClient;
  readonly #crashes: number[] = []; // when, in milliseconds
  #process: ChildProcess | undefined;
  #isStopped = false; // what is said of a server that is to stop is no news

  constructor(command: Command, settings: Settings, surroundings: Surroundings) {
    this.#command = command;
    this.#surroundings = surroundings;
    const { log, middleware } = surroundings;
    const options: LanguageClientOptions = {
      documentSelector: SELECTOR,
      outputChannel: log.channel,
      initializationOptions: settings,
      initializationFailedHandler: (failure: unknown) => {
        if (failure instanceof ResponseError && !CONNECTION_LOST.has(failure.code)) {
          this.#tell(statusOf(failure));
        }
        return false;
      },
      errorHandler: this.#errorHandler(),
      middleware,
    };
    this.#client = new QuietClient(() => this.#spawn(), options, log);
    this.#client.registerFeature(SHOWS_STATUS);
    this.#client.onNotification("$/sc2lsp/status", (status: Status) => this.#tell(status));
  }

  get isRunning(): boolean {
    return this.#client.state === State.Running;
  }

  /** Start the server; how that goes is told by the status. */
  start(): void {
    this.#tell(STARTING);
    this.#client.start().catch((failure: unknown) => {
      this.#surroundings.log.error(`the language server did not start: ${statusOf(failure).message}`);
    });
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    const ending = this.#process;
    if (this.isRunning) {
      try {
        await this.#client.dispose(STOP_MS);
      } catch (failure) {
        this.#surroundings.log.warn(`the language server did not stop: ${statusOf(failure).message}`);
      }
    } else {
      ending?.kill();
    }
    setTimeout(() => ending?.exitCode === null && ending.kill(), EXIT_MS).unref();
  }

  /** Run one of the server's commands. */
  execute(command: string, ...args: readonly unknown[]): Promise<unknown> {
    return this.#client.sendRequest("workspace/executeCommand", { command, arguments: args });
  }

  notify(method: string, params: object): void {
    void this.#client.sendNotification(method, params);
  }

  #tell(status: Status): void {
    if (!this.#isStopped) {
      this.#surroundings.onStatus(status);
    }
  }

  #spawn(): Promise<StreamInfo> {
    const { log } = this.#surroundings;
    const [program, ...before] = this.#command;
    log.info(`starting ${program}`);
    const child = spawn(program, [...before, "--stdio"], { windowsHide: true, stdio: ["pipe", "pipe", "pipe"] });
    this.#process = child;
    createInterface({ input: child.stderr }).on("line", (line) => log.info(`server: ${line}`));
    child.on("exit", (code, signal) => log.info(`the language server ended (${signal ?? code})`));
    return new Promise((resolve, reject) => {
      child.on("spawn", () => resolve({ reader: child.stdout, writer: child.stdin }));
      child.on("error", (failure) => {
        this.#tell(statusOf(failure));
        reject(failure);
      });
    });
  }

  #errorHandler(): ErrorHandler {
    return {
      error: () => ({ action: ErrorAction.Continue, handled: true }),
      closed: () => {
        const isOver = this.#isStopped || this.#isBeyondRepair();
        this.#tell(isOver ? CRASHED : STARTING);
        return { action: isOver ? CloseAction.DoNotRestart : CloseAction.Restart, handled: true };
      },
    };
  }

  /** Counts a crash; whether they have become too many. */
  #isBeyondRepair(): boolean {
    const now = Date.now();
    this.#crashes.push(now);
    return this.#crashes.filter((crash) => now - crash < CRASH_MS).length >= CRASHES_ALLOWED;
  }
}
