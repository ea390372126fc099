/**
 * A report to attach to a bug: versions, status, names of settings, the last lines of the log. No code, no paths, no
 * addresses.
 */

import type { Status } from "./state.ts";

export interface Facts {
  readonly versions: Readonly<Record<string, string>>;
  readonly status: Status;
  readonly settings: readonly string[]; // names of those that were set
  readonly lines: readonly string[]; // of the log
  readonly private: Readonly<Record<string, string>>; // texts that must not be shown -> what stands for them
}

export function reportOf(facts: Facts): string {
  const { kind, message, fix, busy } = facts.status;
  const text = [
    "# sc2lsp report",
    "",
    ...Object.entries(facts.versions).map(([name, version]) => `- ${name}: ${version}`),
    `- status: ${kind}${busy ? ", busy" : ""}: ${[message, fix].filter(Boolean).join(" ")}`,
    `- settings that were set (names only): ${facts.settings.join(", ") || "none"}`,
    "",
    "```",
    ...facts.lines,
    "```",
    "",
  ].join("\n");
  return withoutPrivate(text, facts.private);
}

/** Without the given texts, the longest first, and without addresses. */
export function withoutPrivate(text: string, texts: Readonly<Record<string, string>>): string {
  const known = Object.entries(texts).filter(([found]) => found !== "");
  known.sort(([one], [other]) => other.length - one.length);
  const shortened = known.reduce((left, [found, name]) => left.replaceAll(found, name), text);
  return shortened.replace(/\b[a-z][a-z0-9+.-]*:\/\/[^\s'")]+/gi, "<address>");
}
