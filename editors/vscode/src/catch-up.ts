/**
 * What was typed while no server answered: VS Code asked nobody then, and would ask again at the next key only.
 */

import * as vscode from "vscode";

import type { Status } from "./state.ts";

/** Asks once more when the server has started. */
export class CatchUp implements vscode.Disposable {
  readonly #listener: vscode.Disposable;
  #isWaiting = true; // for a server
  #isTyped = false; // anything since

  constructor() {
    this.#listener = vscode.workspace.onDidChangeTextDocument(({ document, contentChanges }) => {
      this.#isTyped ||= contentChanges.length > 0 && document === vscode.window.activeTextEditor?.document;
    });
  }

  follow({ kind, busy = false }: Status): void {
    const isReady = kind === "Normal" && !busy;
    if (isReady && this.#isWaiting && this.#isTyped) {
      void vscode.commands.executeCommand("editor.action.inlineSuggest.trigger");
    }
    if (isReady === this.#isWaiting) {
      this.#isWaiting = !isReady;
      this.#isTyped = false;
    }
  }

  dispose(): void {
    this.#listener.dispose();
  }
}
