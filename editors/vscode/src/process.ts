/**
 * Other programs: what one prints, and one that is followed line by line. No shell is ever involved.
 */

import { execFile, spawn } from "node:child_process";
import { createInterface } from "node:readline";

/** What a program prints on standard output, undefined where it cannot be run or fails. */
export function output(program: string, args: readonly string[], timeout: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    execFile(program, args, { timeout, windowsHide: true }, (failure, printed) => {
      resolve(failure === null ? printed : undefined);
    });
  });
}

/** Run a program to its end, and give every line it prints. Rejects where it fails, and where `signal` is aborted. */
export function follow(
  program: string,
  args: readonly string[],
  signal: AbortSignal,
  onLine: (line: string) => void,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { signal, windowsHide: true, stdio: ["ignore", "pipe", "pipe"] });
    for (const stream of [child.stdout, child.stderr]) {
      createInterface({ input: stream }).on("line", onLine);
    }
    child.on("error", (failure) => child.pid === undefined && reject(failure));
    child.on("close", (code) => {
      if (signal.aborted) {
        reject(signal.reason);
      } else if (code === 0) {
        resolve();
      } else {
        reject(new Error(`${program} ended with status ${code}`));
      }
    });
  });
}
