/**
 * The managed server: a virtual environment for each version of the extension, made from the wheel that it carries.
 *
 * A marker is written last, so that an installation which was interrupted is known as one. Of several windows one
 * installs; the others wait for it. Asks nobody: who calls has consent.
 */

import { mkdir, readdir, readFile, rm, stat, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

import type { Log } from "./log.ts";
import { follow } from "./process.ts";
import type { Command } from "./python.ts";
import { statusOf, Trouble } from "./state.ts";

const MARKER = "installed.json";
const POLL_MS = 500;
const ALIVE_MS = 5_000; // between two signs of life of who installs ...
const DEAD_MS = 20_000; // ... and without one for so long, nobody does

/** Where the server of one version of the extension is carried, and where it is installed. */
export interface Place {
  readonly version: string;
  readonly carried: string; // the folder of the wheel in the extension
  readonly storage: string; // the extension's own folder on this machine
  readonly folder: string; // in it, this version's
}

export interface Request {
  readonly place: Place;
  readonly python: Command;
  readonly pipArguments: readonly string[];
  readonly signal: AbortSignal;
  readonly report: (step: string) => void;
  readonly log: Log;
}

/** What the extension carries. */
export interface Bundle {
  readonly wheel: string;
  readonly constraints: string;
  readonly torch: string; // the version that is pinned
}

export function placeOf(version: string, extension: string, storage: string): Place {
  return { version, carried: join(extension, "server"), storage, folder: join(storage, `server-${version}`) };
}

/** The wheel and what it is installed with, undefined where this build of the extension has none. */
export async function bundled(place: Place): Promise<Bundle | undefined> {
  const wheel = join(place.carried, `sc2lsp-${place.version}-py3-none-any.whl`);
  const constraints = join(place.carried, "constraints.txt");
  const pins = await readFile(constraints, "utf8").catch(() => "");
  const torch = torchIn(pins);
  return torch !== undefined && (await exists(wheel)) ? { wheel, constraints, torch } : undefined;
}

/** The version that a constraints file pins torch to. */
export function torchIn(constraints: string): string | undefined {
  return /^torch==([^\s;]+)/m.exec(constraints)?.[1];
}

/** Whether the environment is complete, and its Python still there. */
export async function isInstalled(place: Place): Promise<boolean> {
  return (await isMarked(place)) && exists(programIn(place, "python"));
}

/** Whether another version of the server was installed here. */
export async function leftover(place: Place): Promise<boolean> {
  return (await others(place)).length > 0;
}

/** The program of an environment that is installed. */
export function serverIn(place: Place): string {
  return programIn(place, "sc2lsp");
}

/** Whether an installation was begun here and neither ended nor given up. */
export async function isInterrupted(place: Place): Promise<boolean> {
  return (await exists(place.folder)) && !(await isMarked(place));
}

function isMarked(place: Place): Promise<boolean> {
  return exists(join(place.folder, MARKER));
}

/** Make the environment, anew where there is one. Throws Trouble, or why `signal` was aborted. */
export async function install(request: Request): Promise<void> {
  const bundle = await bundled(request.place);
  if (bundle === undefined) {
    throw failed("this build of the extension carries none");
  }
  await mkdir(request.place.storage, { recursive: true });
  await locked(request, async (hasWaited) => {
    if (hasWaited && (await isInstalled(request.place))) {
      return; // by another window
    }
    const errors: string[] = []; // lines of pip's that begin with that word
    try {
      await fill(request, bundle, errors);
    } catch (failure) {
      await rm(request.place.folder, { recursive: true, force: true });
      throw request.signal.aborted ? request.signal.reason : failed(errors.at(-1) ?? statusOf(failure).message);
    }
  });
}

async function fill(request: Request, bundle: Bundle, errors: string[]): Promise<void> {
  const { place, python, pipArguments, signal, report, log } = request;
  const [program, ...before] = python;
  const run = (what: string, args: readonly string[]): Promise<void> =>
    follow(what, args, signal, (line) => {
      log.info(`install: ${line}`);
      const told = step(line);
      if (told !== undefined) {
        report(told);
      }
      errors.push(...reasonsIn(line));
    });
  await rm(place.folder, { recursive: true, force: true });
  report("making a Python environment");
  log.info(`installing the language server ${place.version} into ${place.folder}`);
  await run(program, [...before, "-m", "venv", place.folder]);
  const pip = ["-m", "pip", "install", "--disable-pip-version-check", "--no-input", "--progress-bar", "off"];
  const wanted = [`torch==${bundle.torch}`, `${bundle.wheel}[runtime,http]`];
  await run(programIn(place, "python"), [...pip, ...pipArguments, "--constraint", bundle.constraints, ...wanted]);
  await writeFile(join(place.folder, MARKER), JSON.stringify({ version: place.version }));
  await Promise.all((await others(place)).map((old) => rm(old, { recursive: true, force: true })));
}

/** What a line of pip's says that is worth showing while it works. */
export function step(line: string): string | undefined {
  const match = /^\s*(Collecting|Downloading|Installing collected packages)[: ]+(\S+)(?: \(([\d.]+ [kMG]B)\))?/.exec(
    line,
  );
  if (match === null) {
    return undefined;
  }
  const [, verb, what = "", size] = match;
  if (verb === "Installing collected packages") {
    return "unpacking, which takes a while";
  }
  const [name = what, version = ""] = (what.split("/").at(-1) ?? what).split("-"); // of a wheel's file
  return verb === "Collecting" ? `looking for ${what}` : `downloading ${name} ${version}${size ? `, ${size}` : ""}`;
}

/** The reason in a line of pip's, where it is one. */
export function reasonsIn(line: string): readonly string[] {
  const match = /^ERROR: (.*?)\.?\s*$/.exec(line);
  return match?.[1] === undefined || match[1].includes("for help visit") ? [] : [match[1]];
}

function failed(reason: string): Trouble {
  return new Trouble({
    kind: "Error",
    message: `The language server could not be installed: ${reason}.`,
    fix: "Is this machine online, and does a proxy or package index have to be named in sc2lsp.server.pipArguments?",
    action: { title: "Try again", command: "sc2lsp.install" },
  });
}

/** Do `work` alone among all windows of this machine. */
async function locked(request: Request, work: (hasWaited: boolean) => Promise<void>): Promise<void> {
  const lock = `${request.place.folder}.lock`;
  let hasWaited = false;
  while (!(await taken(lock))) {
    request.signal.throwIfAborted();
    request.report("another window is installing");
    hasWaited = true;
    await sleep(POLL_MS);
  }
  const alive = setInterval(() => void utimes(lock, new Date(), new Date()).catch(() => undefined), ALIVE_MS);
  try {
    await work(hasWaited);
  } finally {
    clearInterval(alive);
    await rm(lock, { force: true });
  }
}

/** Whether the lock is ours now. */
async function taken(lock: string): Promise<boolean> {
  try {
    await writeFile(lock, "", { flag: "wx" });
    return true;
  } catch (failure) {
    if (!(await exists(lock))) {
      throw failed(statusOf(failure).message);
    }
  }
  const { mtimeMs } = await stat(lock);
  if (Date.now() - mtimeMs > DEAD_MS) {
    await rm(lock, { force: true });
  }
  return false;
}

async function others(place: Place): Promise<readonly string[]> {
  const names = await readdir(place.storage).catch(() => []);
  const folders = names.filter((name) => /^server-[\d.]+$/.test(name)).map((name) => join(place.storage, name));
  return folders.filter((folder) => folder !== place.folder);
}

function programIn(place: Place, name: string): string {
  return process.platform === "win32" ? join(place.folder, "Scripts", `${name}.exe`) : join(place.folder, "bin", name);
}

function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
