// @ts-check
/** Ghost text: the server's suggestions as Monaco wants them, and what became of them as the server wants it. */

/**
 * @typedef {import("./client.js").Item} Item
 * @typedef {{ name: string, client: import("./client.js").Client, isInvoked: () => boolean, onAsk: () => void,
 *   onAnswer: (items: Item[]) => void, uriOf: (model: any) => string }} Asker one pane; `name` is its texts' scheme
 */

const AUTOMATIC = 0; // monaco.languages.InlineCompletionTriggerKind
const ACCEPTED = 0; // monaco.languages.InlineCompletionEndOfLifeReasonKind
const UNITS = /** @type {const} */ (["word", "line"]); // monaco.languages.PartialAcceptTriggerKind

/** @param {any} monaco @param {Asker} asker @returns {{ dispose: () => void }} which ends it */
export function registerGhostText(monaco, asker) {
  return monaco.languages.registerInlineCompletionsProvider({ scheme: asker.name }, {
    /** @param {any} model @param {any} position @param {any} context @param {any} cancellation */
    async provideInlineCompletions(model, position, context, cancellation) {
      asker.onAsk();
      const isInvoked = context.triggerKind !== AUTOMATIC && asker.isInvoked();
      const at = { line: position.lineNumber - 1, character: position.column - 1 };
      const items = await asker.client.complete(asker.uriOf(model), at, isInvoked, cancellation);
      if (!cancellation.isCancellationRequested) asker.onAnswer(items);
      return { items: items.map((item) => inMonaco(monaco, item)) };
    },
    /** @param {any} list @param {any} shown @param {{ kind: number }} reason */
    handleEndOfLifetime(list, { item }, reason) {
      if (reason.kind === ACCEPTED && item.command) asker.client.execute(item.command);
    },
    /** @param {any} list @param {any} shown @param {number} length @param {{ kind: number }} info */
    handlePartialAccept(list, { item }, length, info) {
      asker.client.partlyAccepted(item, length, UNITS[info.kind]);
    },
    disposeInlineCompletions() {},
  });
}

/** @param {any} monaco @param {Item} item */
function inMonaco(monaco, item) {
  const { start, end } = item.range ?? {};
  const range =
    start && end && new monaco.Range(start.line + 1, start.character + 1, end.line + 1, end.character + 1);
  return { insertText: item.insertText, range, item };
}
