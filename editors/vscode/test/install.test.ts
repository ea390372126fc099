/** Finding a Python and installing with it: what programs print, read. The installation itself runs on scripts. */

import assert from "node:assert/strict";
import { chmod, mkdir, mkdtemp, readdir, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";

import { install, isInstalled, isInterrupted, placeOf, reasonsIn, step, torchIn, type Place } from "../src/install.ts";
import type { Log } from "../src/log.ts";
import { isNewEnough } from "../src/python.ts";
import { Trouble } from "../src/state.ts";
import { parseVersion } from "../src/version.ts";

test("versions of Python", () => {
  for (const version of ["3.11", "3.11.0\n", "3.14.2", "4.0.0"]) {
    assert.ok(isNewEnough(version), version);
  }
  for (const version of ["3.10.14", "2.7.18", "", "3", "3.11rc1 x", "Python 3.12.1"]) {
    assert.ok(!isNewEnough(version), version);
  }
});

test("versions of the server", () => {
  assert.equal(parseVersion("sc2lsp, version 0.1.0\n"), "0.1.0");
  assert.equal(parseVersion("sc2lsp, version 0.2.0.dev1+local"), "0.2.0.dev1+local");
  assert.equal(parseVersion("other, version 1"), undefined);
  assert.equal(parseVersion(""), undefined);
});

test("the pinned torch", () => {
  assert.equal(torchIn("# a comment\ntokenizers==1\ntorch==2.13.0\ntriton==3.9.0\n"), "2.13.0");
  assert.equal(torchIn("torch==2.13.0; python_version >= '3.11'\n"), "2.13.0");
  assert.equal(torchIn("pytorch==1\n"), undefined);
});

test("what pip says", () => {
  assert.equal(step("Collecting click>=8.1 (from sc2lsp==0.1.0)"), "looking for click>=8.1");
  assert.equal(step("  Downloading torch-2.13.0-cp311.whl (180.2 MB)"), "downloading torch 2.13.0, 180.2 MB");
  assert.equal(step("Installing collected packages: a, b"), "unpacking, which takes a while");
  assert.equal(step("Requirement already satisfied: pip"), undefined);
  assert.deepEqual(reasonsIn("ERROR: No matching distribution found for torch==9"), [
    "No matching distribution found for torch==9",
  ]);
  assert.deepEqual(reasonsIn("ERROR: ResolutionImpossible: for help visit https://example.org"), []);
  assert.deepEqual(reasonsIn("Collecting ERROR"), []);
});

const quiet: Log = { info: () => undefined } as unknown as Log;

/** An extension that carries a wheel, and a Python that makes environments whose own Python does `pip`. */
async function arranged(context: TestContext, pip: string): Promise<{ place: Place; python: string }> {
  const folder = await mkdtemp(join(tmpdir(), "sc2lsp-"));
  context.after(() => rm(folder, { recursive: true }));
  const place = placeOf("1.2.3", folder, join(folder, "storage"));
  await mkdir(place.carried);
  await writeFile(join(place.carried, "sc2lsp-1.2.3-py3-none-any.whl"), "");
  await writeFile(join(place.carried, "constraints.txt"), "torch==2.0\n");
  const python = join(folder, "python");
  const made = `printf '#!/bin/sh\\n${pip}\\n' > "$3/bin/python"; chmod +x "$3/bin/python"`;
  await writeFile(python, `#!/bin/sh\nmkdir -p "$3/bin"; ${made}\n`);
  await chmod(python, 0o755);
  return { place, python };
}

function asked(place: Place, python: string, signal = new AbortController().signal): Parameters<typeof install>[0] {
  return { place, python: [python], pipArguments: ["--extra"], signal, report: () => undefined, log: quiet };
}

test(
  "an installation that ends is marked, and the older ones go",
  { skip: process.platform === "win32" },
  async (context) => {
    const { place, python } = await arranged(context, 'echo "$@" > "$(dirname "$0")/arguments"');
    await mkdir(join(place.storage, "server-1.2.2"), { recursive: true });
    assert.equal(await isInstalled(place), false);
    await install(asked(place, python));
    assert.equal(await isInstalled(place), true);
    assert.deepEqual(await readdir(place.storage), ["server-1.2.3"]);
  },
);

test("one that fails says why and leaves nothing", { skip: process.platform === "win32" }, async (context) => {
  const { place, python } = await arranged(context, "echo ERROR: no such index >&2; exit 1");
  await assert.rejects(install(asked(place, python)), (failure: Trouble) => {
    assert.match(failure.status.message, /no such index/);
    assert.equal(failure.status.action?.command, "sc2lsp.install");
    return true;
  });
  assert.deepEqual(await readdir(place.storage), []);
});

test("one that is cancelled leaves nothing", { skip: process.platform === "win32" }, async (context) => {
  const { place, python } = await arranged(context, "exec sleep 60");
  const abort = new AbortController();
  const why = new Trouble({ kind: "Inactive", message: "cancelled" });
  const request = { ...asked(place, python, abort.signal), report: () => abort.abort(why) };
  await assert.rejects(install(request), why);
  assert.deepEqual(await readdir(place.storage), []);
});

test(
  "one that was interrupted is known, and a lock without signs of life is nobody's",
  { skip: process.platform === "win32" },
  async (context) => {
    const { place, python } = await arranged(context, "exit 0");
    await mkdir(place.folder, { recursive: true });
    await writeFile(`${place.folder}.lock`, "");
    await utimes(`${place.folder}.lock`, new Date(0), new Date(0));
    assert.equal(await isInterrupted(place), true);
    await install(asked(place, python));
    assert.equal(await isInterrupted(place), false);
  },
);
