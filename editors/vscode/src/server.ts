/**
 * Which server to run: the one that is set, the one we installed, the one on PATH, in this order; or what to do.
 */

import { access } from "node:fs/promises";
import { homedir } from "node:os";

import * as vscode from "vscode";

import { bundled, isInstalled, leftover, serverIn, type Place } from "./install.ts";
import type { Log } from "./log.ts";
import type { Command } from "./python.ts";
import { Trouble, type Status } from "./state.ts";
import { versionOf } from "./version.ts";

const CHOOSE = { title: "Choose a path...", command: "sc2lsp.choosePath" };
const USE_MANAGED = { title: "Use the managed one", command: "sc2lsp.useManaged" };

/** A server that can be started, and what somebody should know about it. */
export interface Found {
  readonly command: Command;
  readonly warning?: Status;
}

/** Throws Trouble where there is none. */
export async function findServer(place: Place, log: Log): Promise<Found> {
  const path = vscode.workspace.getConfiguration("sc2lsp").get<string>("server.path", "");
  if (path !== "") {
    return chosen(path.replace(/^~(?=[/\\])/, homedir()), place.version);
  }
  if (await isInstalled(place)) {
    return { command: [serverIn(place)] };
  }
  if ((await versionOf("sc2lsp")) === place.version) {
    log.info("using the sc2lsp on PATH");
    return { command: ["sc2lsp"] };
  }
  throw new Trouble(await missing(place));
}

async function chosen(path: string, wanted: string): Promise<Found> {
  const version = await versionOf(path);
  if (version === undefined) {
    const exists = await access(path).then(
      () => true,
      () => false,
    );
    throw new Trouble({
      kind: "Error",
      message: exists ? `${path} is not the sc2lsp program, or cannot be run.` : `There is no server at ${path}.`,
      fix: "The setting sc2lsp.server.path names it.",
      action: CHOOSE,
      other: USE_MANAGED,
    });
  }
  return version === wanted ? { command: [path] } : { command: [path], warning: mismatch(path, version, wanted) };
}

function mismatch(path: string, version: string, wanted: string): Status {
  return {
    kind: "Warning",
    message: `The server at ${path} has version ${version}; this extension was made for ${wanted}.`,
    action: USE_MANAGED,
    askedOnce: `${version} at ${path} for ${wanted}`,
  };
}

async function missing(place: Place): Promise<Status> {
  if ((await bundled(place)) === undefined) {
    return {
      kind: "Warning",
      message: `There is no sc2lsp ${place.version} on PATH, and this build of the extension carries none.`,
      fix: "Build the extension with `make vsix`, which puts one in, or say where the program is.",
      action: CHOOSE,
    };
  }
  const before = await leftover(place);
  return {
    kind: "Warning",
    message: before
      ? `The extension is now version ${place.version}, and so has to be its language server.`
      : "The language server is not installed yet.",
    fix:
      `It gets a Python environment of its own in ${place.folder}; PyTorch and other packages are downloaded from ` +
      "the Python Package Index for it, some hundred megabytes to some gigabytes as they are built for this machine.",
    action: { title: "Install", command: "sc2lsp.install" },
    other: CHOOSE,
    askedOnce: `install ${place.version}`,
  };
}
