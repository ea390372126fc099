/**
 * The extension's own commands; those of the server, such as `sc2lsp.toggle`, are registered by the connection to it.
 */

import { homedir } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";

import * as vscode from "vscode";

import { chooseModel, choosePath, choosePython, setToken, showSuggestions, useManaged, useModel } from "./choose.ts";
import { explanationPage, type Explanation } from "./explain.ts";
import { html } from "./html.ts";
import type { Log } from "./log.ts";
import { menuItems, showMenu } from "./menu.ts";
import type { Pages } from "./page.ts";
import { acceptPart, type Unit } from "./partial.ts";
import { reportOf } from "./report.ts";
import type { Session } from "./session.ts";
import { statusOf, type Action } from "./state.ts";
import { statisticsPage, type Statistics } from "./statistics.ts";
import type { StatusBar } from "./status.ts";

const RESTART_MS = 5_000; // for a server to restart its runtime, before it is restarted itself

/** What commands work on. */
interface Parts {
  readonly session: Session;
  readonly status: StatusBar;
  readonly pages: Pages;
  readonly log: Log;
  readonly secrets: vscode.SecretStorage;
}

/** Do what a button or an item of the menu says. */
export async function run({ command, arguments: args }: Action): Promise<void> {
  if (command === "sc2lsp.model") {
    await useModel(String(args?.[0] ?? "embedded")); // the server's would last for this window only
    return;
  }
  try {
    await vscode.commands.executeCommand(command, ...(args ?? []));
  } catch (failure) {
    void vscode.window.showWarningMessage(`sc2lsp: ${statusOf(failure).message}`);
  }
}

export function registerCommands(parts: Parts): readonly vscode.Disposable[] {
  const { session, log, secrets } = parts;
  const commands: Readonly<Record<string, () => unknown>> = {
    showMenu: () => menu(parts),
    showExplanation: () => explain(parts),
    showStatistics: () => statistics(parts),
    showLog: () => log.channel.show(),
    openSettings: () => vscode.commands.executeCommand("workbench.action.openSettings", "@ext:sc2lsp.sc2lsp"),
    writeReport: () => report(parts),
    install: () => session.install(),
    restartServer: () => restart(session),
    choosePath,
    choosePython: async () => ((await choosePython()) ? session.install() : undefined),
    useManaged,
    chooseModel,
    showSuggestions,
    setToken: async () => ((await setToken(secrets)) ? session.reconfigure() : undefined),
    acceptNextWord: () => accept(session, "word"),
    acceptNextLine: () => accept(session, "line"),
  };
  return Object.entries(commands).map(([name, work]) => vscode.commands.registerCommand(`sc2lsp.${name}`, work));
}

async function menu({ session, status }: Parts): Promise<void> {
  const document = vscode.window.activeTextEditor?.document;
  const action = await showMenu(menuItems(status.status, session.isRunning, document), status.status);
  if (action !== undefined) {
    await run(action);
  }
}

async function explain({ session, pages }: Parts): Promise<void> {
  const uri = vscode.window.activeTextEditor?.document.uri.toString();
  const answer = await session.execute("sc2lsp.explain", ...(uri === undefined ? [] : [uri]));
  const nothing = html`<h1>Why this suggestion</h1>
    <p>Nothing was suggested in this document yet.</p>`;
  // The server and this extension have one version, and ARCHITECTURE.md has the form.
  pages.show("explain", "Why this suggestion", answer === null ? nothing : explanationPage(answer as Explanation));
}

async function statistics({ session, pages }: Parts): Promise<void> {
  const answer = await session.execute("sc2lsp.stats");
  pages.show("statistics", "sc2lsp statistics", statisticsPage(answer as Statistics));
}

async function restart(session: Session): Promise<void> {
  if (session.isRunning) {
    const runtime = Promise.resolve(session.execute("sc2lsp.restart")).catch(() => undefined);
    await Promise.race([runtime, sleep(RESTART_MS)]);
  }
  await session.launch();
}

async function accept(session: Session, unit: Unit): Promise<void> {
  await acceptPart(unit, session.answers, (part) => session.notify("textDocument/didPartiallyAcceptCompletion", part));
}

async function report({ session, status, log }: Parts): Promise<void> {
  const folders = (vscode.workspace.workspaceFolders ?? []).map(({ uri }) => [uri.fsPath, "<workspace>"] as const);
  const path = vscode.workspace.getConfiguration("sc2lsp").get<string>("server.path", "");
  const content = reportOf({
    versions: {
      extension: session.version,
      editor: `${vscode.env.appName} ${vscode.version}`,
      remote: vscode.env.remoteName === undefined ? "no" : "yes",
      platform: `${process.platform} ${process.arch}`,
    },
    status: status.status,
    settings: await session.changed(),
    lines: log.lines,
    private: { ...Object.fromEntries(folders), [path]: "<server>", [homedir()]: "~" },
  });
  const document = await vscode.workspace.openTextDocument({ content, language: "markdown" });
  await vscode.window.showTextDocument(document);
}
