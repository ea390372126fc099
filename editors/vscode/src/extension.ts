/**
 * The extension: what is made when it starts.
 *
 * The logic of completion is the server's; here it is found, installed, started, shown and switched.
 */

import * as vscode from "vscode";

import { registerCommands, run } from "./commands.ts";
import { Log } from "./log.ts";
import { Pages } from "./page.ts";
import { Session } from "./session.ts";
import { StatusBar } from "./status.ts";

export function activate(context: vscode.ExtensionContext): void {
  const log = new Log(vscode.window.createOutputChannel("sc2lsp", { log: true }));
  const status = new StatusBar(log, context.globalState, (action) => void run(action));
  const pages = new Pages(context.extensionUri);
  const session = new Session(context, log, status);
  context.subscriptions.push(
    session,
    pages,
    status,
    log.channel,
    ...registerCommands({ session, status, pages, log, secrets: context.secrets }),
    vscode.workspace.onDidChangeConfiguration((change) => session.configure(change)),
  );
  void session.launch();
}
