/**
 * Put the language server into the extension: its wheel, built from this repository, and the versions it is installed
 * with.
 *
 * PYTHON names a Python with the package `build`; by default it is the repository's own.
 */

import { execFileSync } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

const extension = resolve(import.meta.dirname, "..");
const repository = resolve(extension, "..", "..");
const server = join(extension, "server");

function python() {
  const own = join(
    repository,
    ".venv",
    ...(process.platform === "win32" ? ["Scripts", "python.exe"] : ["bin", "python"]),
  );
  return process.env["PYTHON"] ?? (existsSync(own) ? own : "python3");
}

/** The wheel, from a build folder of its own: in the repository's, files that are gone from the sources may be left. */
function buildWheel() {
  const scratch = mkdtempSync(join(tmpdir(), "sc2lsp-wheel-"));
  const configuration = join(scratch, "setup.cfg");
  writeFileSync(configuration, `[build]\nbuild_base = ${join(scratch, "build")}\n`);
  try {
    execFileSync(python(), ["-m", "build", "--wheel", "--outdir", server, repository], {
      env: { ...process.env, DIST_EXTRA_CONFIG: configuration },
      stdio: ["ignore", "ignore", "inherit"],
    });
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

rmSync(server, { recursive: true, force: true });
mkdirSync(server);
buildWheel();
copyFileSync(join(repository, "constraints.txt"), join(server, "constraints.txt"));
