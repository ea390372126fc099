/**
 * One window's session: which server runs for it, installed if need be, with the settings as they are now.
 *
 * Everything that goes wrong here ends as a status.
 */

import * as vscode from "vscode";

import { CatchUp } from "./catch-up.ts";
import { TOKEN } from "./choose.ts";
import { Connection } from "./client.ts";
import { install, isInterrupted, placeOf, type Place } from "./install.ts";
import type { Log } from "./log.ts";
import { Answers } from "./partial.ts";
import { findPython } from "./python.ts";
import { findServer } from "./server.ts";
import { isTakenBack, namesIn, settingsFor, type Manifest, type Settings } from "./settings.ts";
import { STARTING, statusOf, Trouble, type Status } from "./state.ts";
import type { StatusBar } from "./status.ts";

const SETTLE_MS = 200;

const HIDDEN: Status = {
  kind: "Warning",
  message: "This editor shows no inline suggestions: its setting editor.inlineSuggest.enabled is off.",
  action: { title: "Turn them on", command: "sc2lsp.showSuggestions" },
  askedOnce: "hidden",
};

const CANCELLED = new Trouble({
  kind: "Inactive",
  message: "The installation of the language server was cancelled.",
  fix: "Click here to install it or to choose another.",
  action: { title: "Install", command: "sc2lsp.install" },
});

/** Which server runs, and the one way to it. Mutated by its methods only, one change after another. */
export class Session implements vscode.Disposable {
  readonly answers = new Answers();
  readonly #catchUp = new CatchUp();
  readonly #context: vscode.ExtensionContext;
  readonly #log: Log;
  readonly #status: StatusBar;
  readonly #place: Place;
  readonly #names: readonly string[]; // of the server's settings
  #connection: Connection | undefined;
  #initial: Settings = {}; // what the server was started with
  #turn: Promise<void> = Promise.resolve(); // one change of server after another
  #settling: NodeJS.Timeout | undefined; // until settings that were changed are sent

  constructor(context: vscode.ExtensionContext, log: Log, status: StatusBar) {
    this.#context = context;
    this.#log = log;
    this.#status = status;
    const { packageJSON: manifest } = context.extension as { packageJSON: Manifest & { version: string } };
    this.#place = placeOf(manifest.version, context.extensionPath, context.globalStorageUri.fsPath);
    this.#names = namesIn(manifest);
  }

  get version(): string {
    return this.#place.version;
  }

  get isRunning(): boolean {
    return this.#connection?.isRunning ?? false;
  }

  /** Find a server and start it in place of the one that runs. */
  launch(): Promise<void> {
    return this.#inTurn(async () => {
      await this.#stop();
      this.#status.set(STARTING);
      if (await this.#isToInstall()) {
        await this.#install();
      }
      await this.#start();
    });
  }

  /** Install the server of this version, and start it. */
  install(): Promise<void> {
    return this.#inTurn(async () => {
      await this.#stop();
      await this.#install();
      await this.#start();
    });
  }

  /** Let other settings hold. */
  configure(change: vscode.ConfigurationChangeEvent): void {
    if (change.affectsConfiguration("sc2lsp.server.path")) {
      void this.launch();
    } else if (change.affectsConfiguration("sc2lsp")) {
      clearTimeout(this.#settling); // one choice may change several
      this.#settling = setTimeout(() => void this.reconfigure(), SETTLE_MS);
    }
  }

  /** Send the settings as they are now. */
  async reconfigure(): Promise<void> {
    const settings = await this.#settings();
    if (isTakenBack(this.#initial, settings)) {
      await this.launch();
    } else if (this.isRunning) {
      this.#connection?.notify("workspace/didChangeConfiguration", { settings: { sc2lsp: settings } });
    }
  }

  /** Run one of the server's commands. Throws Trouble where no server runs, or what the server refuses. */
  execute(command: string, ...args: readonly unknown[]): Promise<unknown> {
    if (this.#connection === undefined || !this.isRunning) {
      throw new Trouble(this.#status.status);
    }
    return this.#connection.execute(command, ...args);
  }

  notify(method: string, params: object): void {
    if (this.isRunning) {
      this.#connection?.notify(method, params);
    }
  }

  /** The settings' names that somebody set, by the server's names. */
  async changed(): Promise<readonly string[]> {
    return Object.keys(await this.#settings());
  }

  dispose(): void {
    this.answers.dispose();
    this.#catchUp.dispose();
    clearTimeout(this.#settling);
    void this.#inTurn(() => this.#stop());
  }

  #inTurn(work: () => Promise<void>): Promise<void> {
    this.#turn = this.#turn.then(work).catch((thrown: unknown) => {
      const status = statusOf(thrown);
      this.#log.error(status.message);
      this.#status.set(status);
    });
    return this.#turn;
  }

  async #start(): Promise<void> {
    const { command, warning } = await findServer(this.#place, this.#log);
    this.#initial = await this.#settings();
    this.#connection = new Connection(command, this.#initial, {
      log: this.#log,
      onStatus: (status) => {
        this.#status.set(status);
        this.#catchUp.follow(status);
      },
      middleware: {
        provideInlineCompletionItems: async (document, position, context, token, next) => {
          const answer = await next(document, position, context, token);
          this.answers.keep(document, answer);
          return answer;
        },
      },
    });
    this.#connection.start();
    await vscode.commands.executeCommand("setContext", "sc2lsp.started", true);
    for (const told of [warning, hidden()]) {
      if (told !== undefined) {
        void this.#status.tell(told);
      }
    }
  }

  async #stop(): Promise<void> {
    const ending = this.#connection;
    this.#connection = undefined;
    await vscode.commands.executeCommand("setContext", "sc2lsp.started", false);
    await ending?.stop();
  }

  /** Whether somebody agreed to an installation that came to no end. */
  async #isToInstall(): Promise<boolean> {
    const path = vscode.workspace.getConfiguration("sc2lsp").get<string>("server.path", "");
    return path === "" && (await isInterrupted(this.#place));
  }

  async #install(): Promise<void> {
    const setting = vscode.workspace.getConfiguration("sc2lsp.server");
    const python = await findPython(setting.get("python", ""));
    this.#status.set({ kind: "Normal", message: "The language server is being installed.", busy: true });
    const options = { location: vscode.ProgressLocation.Notification, title: "sc2lsp", cancellable: true };
    await vscode.window.withProgress(options, async (progress, token) => {
      const abort = new AbortController();
      token.onCancellationRequested(() => abort.abort(CANCELLED));
      await install({
        place: this.#place,
        python,
        pipArguments: setting.get<readonly string[]>("pipArguments", []),
        signal: abort.signal,
        report: (message) => progress.report({ message }),
        log: this.#log,
      });
    });
  }

  async #settings(): Promise<Settings> {
    const configuration = vscode.workspace.getConfiguration("sc2lsp");
    const settings = settingsFor(this.#names, (name) => configuration.inspect(name));
    const token = await this.#context.secrets.get(TOKEN);
    return token === undefined ? settings : { ...settings, token };
  }
}

/** Why the editor would show no suggestion at all. */
function hidden(): Status | undefined {
  const isShown = vscode.workspace.getConfiguration("editor").get("inlineSuggest.enabled", true);
  return isShown ? undefined : HIDDEN;
}
