/**
 * Which version of the server a program is.
 */

import { output } from "./process.ts";

const PROBE_MS = 20_000; // the first start of a Python program on a slow disk

/** The version that a program says it is, such as `0.1.0`; undefined where it cannot be run. */
export async function versionOf(program: string): Promise<string | undefined> {
  return parseVersion((await output(program, ["--version"], PROBE_MS)) ?? "");
}

/** `sc2lsp, version 0.1.0` -> `0.1.0`. */
export function parseVersion(printed: string): string | undefined {
  return /^sc2lsp, version (\S+)\s*$/.exec(printed)?.[1];
}
