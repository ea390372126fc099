/** Settings: which there are, what is sent of them, and that they are the server's. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { isTakenBack, namesIn, serverName, settingsFor, type Inspection, type Manifest } from "../src/settings.ts";

interface Setting {
  readonly default: unknown;
  readonly scope: string;
}

const read = (path: string): string => readFileSync(new URL(path, import.meta.url), "utf8");
const manifest = JSON.parse(read("../package.json")) as Manifest & {
  version: string;
  capabilities: { untrustedWorkspaces: { restrictedConfigurations: readonly string[] } };
};
const server = read("../../../sc2lsp/config.py");

test("every setting of the server can be set, but the token, which is a secret", () => {
  const [, body = ""] = /class Config:\n([\s\S]*?)\n\n\n/.exec(server) ?? [];
  const fields = [...body.matchAll(/^ {4}(\w+): /gm)].map(([, name]) => name);
  assert.deepEqual(namesIn(manifest).map(serverName).sort(), fields.filter((name) => name !== "token").sort());
});

test("the defaults are the server's", () => {
  const said = new Map<string, string>();
  for (const [, name = "", value = ""] of server.matchAll(/^ {4}(\w+): .* = (\S+)(?: {2}#.*)?$/gm)) {
    said.set(name, value.replace("()", "[]").replace("True", "true").replace("False", "false"));
  }
  const properties = manifest.contributes.configuration.flatMap((part) => Object.entries(part.properties));
  for (const name of namesIn(manifest)) {
    const [, setting] = properties.find(([full]) => full === `sc2lsp.${name}`) ?? [];
    assert.deepEqual((setting as Setting).default, JSON.parse(said.get(serverName(name)) ?? "null"), name);
  }
});

test("the version is the server's", () => {
  assert.equal(/__version__ = "(.*)"/.exec(read("../../../sc2lsp/__init__.py"))?.[1], manifest.version);
});

test("a workspace sets nothing that starts a program or says where code goes", () => {
  const properties = manifest.contributes.configuration.flatMap((part) => Object.entries(part.properties));
  const own = properties.filter(([, setting]) => (setting as Setting).scope === "machine").map(([name]) => name);
  assert.deepEqual([...manifest.capabilities.untrustedWorkspaces.restrictedConfigurations].sort(), own.sort());
  const names = ["server.path", "server.python", "server.pipArguments", "model", "draftModel", "endpoint", "backend"];
  for (const name of [...names, "tokenizer", "proxy", "caFile", "shareWorkspace", "foldersOff", "context"]) {
    assert.ok(own.includes(`sc2lsp.${name}`), name);
  }
});

const SENT: readonly [string, Inspection | undefined, unknown][] = [
  ["nothing was set", {}, undefined],
  ["no such setting", undefined, undefined],
  ["the user's", { globalValue: 0.5 }, 0.5],
  ["the workspace's, over the user's", { globalValue: 0.5, workspaceValue: 0.1 }, 0.1],
  ["what is off stays off", { globalValue: false, workspaceValue: true }, false],
  ["a workspace turns off", { globalValue: true, workspaceValue: false }, false],
  ["a workspace adds", { globalValue: ["a", "b"], workspaceValue: ["b", "c"] }, ["a", "b", "c"]],
  ["a workspace takes nothing away", { globalValue: ["a"], workspaceValue: [] }, ["a"]],
];

for (const [what, inspection, expected] of SENT) {
  test(`sent: ${what}`, () => {
    const sent = settingsFor(["kvCacheMb"], () => inspection);
    assert.deepEqual(sent, expected === undefined ? {} : { kv_cache_mb: expected });
  });
}

test("what was set and is no longer needs a new start", () => {
  assert.equal(isTakenBack({ model: "a" }, { model: "b", enabled: false }), false);
  assert.equal(isTakenBack({ model: "a" }, { enabled: false }), true);
});
