/**
 * The menu of the status bar item.
 */

import * as vscode from "vscode";

import type { Action, Status } from "./state.ts";

interface Item extends vscode.QuickPickItem {
  readonly action?: Action;
}

/** What can be done now. `uri` is of the document that is worked in, `language` its language's name. */
export function menuItems(status: Status, isRunning: boolean, document: vscode.TextDocument | undefined): Item[] {
  const mend = status.action ? [item(`$(wrench) ${status.action.title}`, status.action, status.fix)] : [];
  const rest = isRunning ? [...switches(status, document), ...views()] : [];
  return [...mend, ...rest, ...always()];
}

export async function showMenu(items: readonly Item[], status: Status): Promise<Action | undefined> {
  const chosen = await vscode.window.showQuickPick(items, {
    title: "sc2lsp",
    placeHolder: status.message,
    matchOnDescription: true,
  });
  // Else the status bar item keeps the keys.
  await vscode.commands.executeCommand("workbench.action.focusActiveEditorGroup");
  return chosen?.action;
}

function switches(status: Status, document: vscode.TextDocument | undefined): Item[] {
  const uri = document?.uri.toString();
  const here = (scope: string, what: string): Item =>
    item(`$(circle-slash) Off or on for ${what}`, { title: "", command: "sc2lsp.toggle", arguments: [scope, uri] });
  const places = [
    here("language", document?.languageId ?? ""),
    here("file", "this file"),
    here("folder", "this workspace folder"),
  ];
  const off = item("$(circle-slash) Turn off", { title: "", command: "sc2lsp.toggle", arguments: ["all"] });
  const isOff = status.action?.command === off.action?.command; // then it offers to turn it on
  return [
    separator("in this window"),
    ...(isOff ? [] : [off]),
    ...(document === undefined ? [] : places),
    item("$(debug-pause) Pause for 10 minutes", { title: "", command: "sc2lsp.pause", arguments: [10] }),
  ];
}

function views(): Item[] {
  return [
    separator("look"),
    item("$(question) Why this suggestion", { title: "", command: "sc2lsp.showExplanation" }),
    item("$(graph) Statistics", { title: "", command: "sc2lsp.showStatistics" }),
  ];
}

function always(): Item[] {
  return [
    separator("set"),
    item("$(chip) Choose a model...", { title: "", command: "sc2lsp.chooseModel" }),
    item("$(gear) Settings", { title: "", command: "sc2lsp.openSettings" }),
    item("$(debug-restart) Restart", { title: "", command: "sc2lsp.restartServer" }),
    item("$(output) Show log", { title: "", command: "sc2lsp.showLog" }),
  ];
}

function item(label: string, action: Action, description = ""): Item {
  return { label, description, action };
}

function separator(label: string): Item {
  return { label, kind: vscode.QuickPickItemKind.Separator };
}
