/**
 * The status bar item, and one message for each bad state, with the button that mends it.
 */

import * as vscode from "vscode";

import type { Log } from "./log.ts";
import { SHOW_LOG, STARTING, type Action, type Status } from "./state.ts";

const ICONS = { Normal: "sparkle", Inactive: "circle-slash", Warning: "warning", Error: "error" } as const;

/** The item, and what was told last. */
export class StatusBar implements vscode.Disposable {
  readonly #item: vscode.StatusBarItem;
  readonly #log: Log;
  readonly #run: (action: Action) => void;
  readonly #memory: vscode.Memento; // of questions that were waved away
  #status: Status = STARTING;
  #told = ""; // the bad state that was shown last, until things are well again

  constructor(log: Log, memory: vscode.Memento, run: (action: Action) => void) {
    this.#log = log;
    this.#memory = memory;
    this.#run = run;
    this.#item = vscode.window.createStatusBarItem("status", vscode.StatusBarAlignment.Right, 100);
    this.#item.name = "sc2lsp";
    this.#item.command = "sc2lsp.showMenu";
    this.#draw();
    this.#item.show();
  }

  get status(): Status {
    return this.#status;
  }

  set(status: Status): void {
    if (said(status) !== said(this.#status)) {
      this.#log.info(`status: ${said(status)}`);
    }
    this.#status = status;
    this.#draw();
    if (status.kind === "Normal" && !status.busy) {
      this.#told = "";
    }
    if ((status.kind === "Warning" || status.kind === "Error") && status.message !== this.#told) {
      this.#told = status.message;
      void this.tell(status);
    }
  }

  /** Show a message with what would mend it. */
  async tell(status: Status): Promise<void> {
    if (status.askedOnce !== undefined && this.#memory.get(status.askedOnce) === true) {
      return;
    }
    const actions = [...(status.action ? [status.action] : []), status.other ?? SHOW_LOG];
    const show = status.kind === "Error" ? vscode.window.showErrorMessage : vscode.window.showWarningMessage;
    const text = [`sc2lsp: ${status.message}`, status.fix].filter(Boolean).join(" ");
    const chosen = await show(text, ...actions.map((action) => action.title));
    const action = actions.find(({ title }) => title === chosen);
    if (action !== undefined) {
      this.#told = ""; // if it did not help, it is said again
      this.#run(action);
    } else if (status.askedOnce !== undefined) {
      await this.#memory.update(status.askedOnce, true);
    }
  }

  dispose(): void {
    this.#item.dispose();
  }

  #draw(): void {
    const { kind, message, fix, busy } = this.#status;
    this.#item.text = `$(${busy ? "loading~spin" : ICONS[kind]}) sc2lsp`;
    this.#item.tooltip = [`sc2lsp: ${message}`, fix].filter(Boolean).join("\n\n");
    this.#item.accessibilityInformation = { label: `sc2lsp: ${message}`, role: "button" };
    this.#item.backgroundColor =
      kind === "Warning" || kind === "Error"
        ? new vscode.ThemeColor(`statusBarItem.${kind.toLowerCase()}Background`)
        : undefined;
  }
}

function said({ kind, busy, message }: Status): string {
  return `${kind}${busy ? ", busy" : ""}: ${message}`;
}
