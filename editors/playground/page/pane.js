// @ts-check
/** A pane: an editor with a language server of its own, what that was set to, and why it suggested what it did. */

import { Client } from "./client.js";
import { inMilliseconds } from "./dom.js";
import { drawExplanation } from "./explain.js";
import { registerGhostText } from "./ghost.js";
import { createEditor, languageIdOf } from "./monaco.js";
import { buildView, drawStatus } from "./view.js";
import { socketUrl } from "./workspace.js";

const EXPLAIN_MS = 60; // after an answer, so that the view does not flicker through fast typing
let panes = 0;

export class Pane {
  /** @type {Map<string, any>} path -> Monaco's model */
  #models = new Map();
  #isOurs = false; // whether the page itself asks for a suggestion
  #changed = 0; // when the text changed last
  #timer = 0; // of the explanation
  #wasBusy = true;
  /** @type {{ dispose: () => void }} */
  #ghostText;

  /**
   * @param {any} monaco
   * @param {import("./workspace.js").Listing} listing
   * @param {(path: string) => Promise<string>} textOf a file, as the workspace has it
   * @param {"workspace" | "file"} context
   */
  constructor(monaco, listing, textOf, context) {
    this.monaco = monaco;
    this.folder = { name: listing.name, uri: listing.uri };
    this.textOf = textOf;
    this.name = `pane${++panes}`;
    this.path = "";
    this.view = buildView(context);
    for (const control of [this.view.model, this.view.context]) {
      control.addEventListener("change", () => this.#configure());
    }
    drawExplanation(this.view.explanation, null, this.#snippetText);
    this.editor = createEditor(monaco, this.view.code);
    this.editor.onDidChangeModelContent(() => (this.#changed = performance.now()));
    this.client = new Client(socketUrl, this.folder, listing.settings, (status) => this.#show(status));
    this.client.chosen = this.#settings();
    this.#ghostText = registerGhostText(monaco, this);
  }

  #settings() {
    const model = this.view.model.value.trim();
    return { ...(model && { model }), context: this.view.context.value };
  }

  #configure() {
    this.client.configure(this.#settings());
    this.suggest();
  }

  /** @param {string} path @param {string} text used where the pane has not opened the file yet */
  open(path, text) {
    this.path = path;
    this.editor.setModel(this.#models.get(path) ?? this.#create(path, text));
  }

  /** The text of a file that is open here, or undefined. */
  text(/** @type {string} */ path) {
    return this.#models.get(path)?.getValue();
  }

  /** @param {string} path @param {string} text */
  #create(path, text) {
    const place = this.monaco.Uri.from({ scheme: this.name, path: `/${path}` });
    const model = this.monaco.editor.createModel(text, undefined, place);
    model.setEOL(this.monaco.editor.EndOfLineSequence.LF);
    this.#models.set(path, model);
    const uri = this.uriOf(model);
    this.client.open({ uri, languageId: languageIdOf(model, path), version: 1, text: () => model.getValue() });
    model.onDidChangeContent((/** @type {any} */ { changes, versionId }) => {
      this.client.change(uri, versionId, changes.map(inProtocol));
    });
    return model;
  }

  uriOf(/** @type {any} */ model) {
    return this.folder.uri + model.uri.path.split("/").map(encodeURIComponent).join("/");
  }

  /** Show what is suggested at the cursor, as if the last key had been typed `since`. */
  suggest(since = performance.now()) {
    this.#isOurs = true;
    this.#changed = since;
    // A provider that Monaco does not know yet: it would not ask again at the same place, whatever was set since.
    this.#ghostText.dispose();
    this.#ghostText = registerGhostText(this.monaco, this);
    const trigger = this.editor.getAction("editor.action.inlineSuggest.trigger");
    trigger?.run().catch(() => {}); // the next one cancels it
  }

  /** Whether the user asked, where Monaco says that somebody did. */
  isInvoked() {
    const isInvoked = !this.#isOurs;
    this.#isOurs = false;
    return isInvoked;
  }

  onAsk() {
    clearTimeout(this.#timer);
  }

  /** @param {import("./client.js").Item[]} items */
  onAnswer(items) {
    const waited = performance.now() - this.#changed;
    this.view.latency.textContent = items.length ? inMilliseconds(waited) : "nothing";
    this.view.latency.classList.toggle("none", !items.length);
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#explain(), EXPLAIN_MS);
  }

  async #explain() {
    const uri = this.uriOf(this.editor.getModel());
    const explanation = await this.client.execute({ title: "", command: "sc2lsp.explain", arguments: [uri] });
    drawExplanation(this.view.explanation, explanation, this.#snippetText);
  }

  /** @param {import("./explain.js").Snippet} snippet */
  #snippetText = async ({ path, start_line, end_line }) => {
    const text = this.text(path) ?? (await this.textOf(path));
    return text.split("\n").slice(start_line - 1, end_line).join("\n");
  };

  /** @param {import("./client.js").Status} status */
  #show(status) {
    drawStatus(this.view.status, status, (action) => this.#act(action));
    if (this.#wasBusy && !status.busy && status.kind === "Normal") this.suggest(); // what was asked for too early
    this.#wasBusy = status.busy;
  }

  /** @param {import("./client.js").Command} action */
  async #act(action) {
    if (action.command === "connect") await this.client.connect();
    else if (action.command === "sc2lsp.openSettings") this.view.model.focus();
    else await this.client.execute(action);
  }

  close() {
    this.client.close();
    this.#ghostText.dispose();
    this.editor.dispose();
    for (const model of this.#models.values()) model.dispose();
    this.view.pane.remove();
  }
}

/** @param {{ range: any, text: string }} change @returns {import("./client.js").Change} */
function inProtocol({ range, text }) {
  const start = { line: range.startLineNumber - 1, character: range.startColumn - 1 };
  const end = { line: range.endLineNumber - 1, character: range.endColumn - 1 };
  return { range: { start, end }, text };
}
