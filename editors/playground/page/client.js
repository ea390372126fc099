// @ts-check
/** A language client: one connection, the documents that are open in it, and the settings it was given. No editor. */

import { Connection } from "./connection.js";

/**
 * @typedef {{ line: number, character: number }} Position
 * @typedef {{ range: { start: Position, end: Position }, text: string }} Change
 * @typedef {{ title: string, command: string, arguments?: unknown[] }} Command
 * @typedef {{ kind: "Normal" | "Inactive" | "Warning" | "Error", message: string, fix: string, busy: boolean,
 *   action?: Command | null }} Status
 * @typedef {{ insertText: string, range?: { start: Position, end: Position }, command?: Command }} Item
 * @typedef {{ model?: string, context?: string }} Settings
 * @typedef {{ uri: string, languageId: string, version: number, text: () => string }} OpenDocument
 */

const CAPABILITIES = {
  general: { positionEncodings: ["utf-16"] },
  textDocument: { inlineCompletion: {} },
  experimental: { sc2lsp: { status: true } },
};
const LOST = /** @type {Status} */ ({
  kind: "Error", message: "the server is gone", fix: "start `sc2lsp playground` again", busy: false,
  action: { title: "Connect again", command: "connect" },
}); // prettier-ignore

export class Client {
  /** @type {Connection | null} */
  #connection = null;
  /** @type {Map<string, OpenDocument>} */
  #documents = new Map();

  /**
   * @param {() => Promise<string>} urlOf the server
   * @param {{ name: string, uri: string }} folder
   * @param {object} settings that always hold
   * @param {(status: Status) => void} onStatus
   */
  constructor(urlOf, folder, settings, onStatus) {
    this.urlOf = urlOf;
    this.folder = folder;
    this.always = settings;
    this.chosen = /** @type {Settings} */ ({}); // over those
    this.onStatus = onStatus;
  }

  /** Connect, also again: what is open is told anew, as it is now. */
  async connect() {
    try {
      const connection = await Connection.open(await this.urlOf(), this.#notified, () => this.#lost());
      const { model, ...others } = this.chosen; // settings that change lie over these: a model could not be taken back
      const initializationOptions = { ...this.always, ...others };
      const params = { processId: null, rootUri: this.folder.uri, workspaceFolders: [this.folder] };
      await connection.request("initialize", { ...params, capabilities: CAPABILITIES, initializationOptions });
      connection.notify("initialized", {});
      this.#connection = connection;
      if (model !== undefined) this.configure(this.chosen);
      for (const document of this.#documents.values()) this.#tellOpen(document);
    } catch {
      this.#lost();
    }
  }

  close() {
    this.#connection?.close();
    this.#connection = null;
  }

  /** @param {Settings} settings over what the user's own say */
  configure(settings) {
    this.chosen = settings;
    this.#connection?.notify("workspace/didChangeConfiguration", {
      settings: { sc2lsp: { ...this.always, ...settings } },
    });
  }

  /** @param {OpenDocument} document */
  open(document) {
    this.#documents.set(document.uri, document);
    this.#tellOpen(document);
  }

  /** @param {string} uri @param {number} version @param {Change[]} contentChanges */
  change(uri, version, contentChanges) {
    const document = this.#documents.get(uri);
    if (document !== undefined) document.version = version;
    this.#connection?.notify("textDocument/didChange", { textDocument: { uri, version }, contentChanges });
  }

  /**
   * @param {string} uri
   * @param {Position} position
   * @param {boolean} isInvoked by the user, who asks for it
   * @param {any} cancellation
   * @returns {Promise<Item[]>} none also where something went wrong, which the status tells
   */
  async complete(uri, position, isInvoked, cancellation) {
    const context = { triggerKind: isInvoked ? 1 : 2 };
    const params = { textDocument: { uri }, position, context };
    const answer = await this.#ask("textDocument/inlineCompletion", params, cancellation);
    return answer?.items ?? [];
  }

  /** @param {Command} command */
  execute({ command, arguments: values }) {
    return this.#ask("workspace/executeCommand", { command, arguments: values ?? [] });
  }

  /** @param {Item} item @param {number} acceptedLength @param {"word" | "line" | undefined} unit */
  partlyAccepted(item, acceptedLength, unit) {
    this.#connection?.notify("textDocument/didPartiallyAcceptCompletion", { item, acceptedLength, unit });
  }

  /** @param {string} method @param {unknown} params @param {any} [cancellation] */
  async #ask(method, params, cancellation) {
    try {
      return (await this.#connection?.request(method, params, cancellation)) ?? null;
    } catch {
      return null; // cancelled, or the connection ended
    }
  }

  /** @param {OpenDocument} document */
  #tellOpen({ uri, languageId, version, text }) {
    this.#connection?.notify("textDocument/didOpen", { textDocument: { uri, languageId, version, text: text() } });
  }

  /** @param {string} method @param {any} params */
  #notified = (method, params) => {
    if (method === "$/sc2lsp/status") this.onStatus(params);
  };

  #lost() {
    this.#connection = null;
    this.onStatus(LOST);
  }
}
