/**
 * Which Python the server is installed with: the one that is set, or the first on PATH that will do.
 */

import { Trouble } from "./state.ts";
import { output } from "./process.ts";

/** A program and the arguments that come before any other. */
export type Command = readonly [program: string, ...arguments: string[]];

const OLDEST = [3, 11] as const;
const PROBE = "import ensurepip, sys, venv; print('.'.join(map(str, sys.version_info[:3])))";
const PROBE_MS = 10_000;

/** What is looked for on PATH, in this order. */
export function candidates(platform: NodeJS.Platform): readonly Command[] {
  const named: readonly Command[] = ["python3.14", "python3.13", "python3.12", "python3.11", "python3", "python"].map(
    (name) => [name],
  );
  return platform === "win32" ? [["py", "-3"], ...named] : named;
}

/** Whether `3.11.2` is new enough; false for anything that is no version. */
export function isNewEnough(version: string): boolean {
  const match = /^(\d+)\.(\d+)(\.\d+)?$/.exec(version.trim());
  if (match === null) {
    return false;
  }
  const [major, minor] = [Number(match[1]), Number(match[2])];
  return major > OLDEST[0] || (major === OLDEST[0] && minor >= OLDEST[1]);
}

/** The Python to install with. Throws Trouble. */
export async function findPython(chosen: string): Promise<Command> {
  const choices = chosen === "" ? candidates(process.platform) : [[chosen] as const];
  for (const [program, ...before] of choices) {
    const version = await output(program, [...before, "-c", PROBE], PROBE_MS);
    if (version !== undefined && isNewEnough(version)) {
      return [program, ...before];
    }
  }
  throw new Trouble({
    kind: "Error",
    message: chosen === "" ? "No Python 3.11 or later was found." : `${chosen} is no Python 3.11 or later.`,
    fix: "Install Python 3.11 or later with its venv module (on Debian and Ubuntu: python3-venv), or choose one.",
    action: { title: "Choose Python...", command: "sc2lsp.choosePython" },
  });
}
