/**
 * Accepting a suggestion by word or by line: the editor's own commands do it, and the server is told how much it was.
 */

import * as vscode from "vscode";

import { takenOf } from "./taken.ts";

export type Unit = "word" | "line";

/** What the server wants to know of a part that was taken: `textDocument/didPartiallyAcceptCompletion`. */
export interface PartlyAccepted {
  readonly item: { readonly insertText: string; readonly command: vscode.Command };
  readonly acceptedLength: number;
  readonly unit: Unit;
}

const BUILT_IN = {
  word: "editor.action.inlineSuggest.acceptNextWord",
  line: "editor.action.inlineSuggest.acceptNextLine",
} as const;

/** The suggestions that the server gave last, of each document. */
export class Answers implements vscode.Disposable {
  readonly #items = new Map<string, readonly vscode.InlineCompletionItem[]>();
  readonly #closed: vscode.Disposable;

  constructor() {
    this.#closed = vscode.workspace.onDidCloseTextDocument(({ uri }) => this.#items.delete(uri.toString()));
  }

  of(document: vscode.TextDocument): readonly vscode.InlineCompletionItem[] {
    return this.#items.get(document.uri.toString()) ?? [];
  }

  /** An answer; null and undefined are those to requests which were overtaken. */
  keep(
    document: vscode.TextDocument,
    answer: readonly vscode.InlineCompletionItem[] | vscode.InlineCompletionList | null | undefined,
  ): void {
    if (answer) {
      this.#items.set(document.uri.toString(), "items" in answer ? answer.items : answer);
    }
  }

  dispose(): void {
    this.#closed.dispose();
  }
}

/** Take the next word or line of what is shown, and say so where it is the server's. */
export async function acceptPart(unit: Unit, answers: Answers, tell: (part: PartlyAccepted) => void): Promise<void> {
  const editor = vscode.window.activeTextEditor;
  const items = editor === undefined ? [] : answers.of(editor.document);
  // The edit itself is what is measured: it arrives before the editor asks for what follows it.
  const edits = vscode.workspace.onDidChangeTextDocument((event) => {
    const part = event.document === editor?.document ? partOf(items, event, unit) : undefined;
    if (part !== undefined) {
      edits.dispose();
      tell(part);
    }
  });
  try {
    await vscode.commands.executeCommand(BUILT_IN[unit]);
  } finally {
    edits.dispose();
  }
}

function partOf(
  items: readonly vscode.InlineCompletionItem[],
  { document, contentChanges }: vscode.TextDocumentChangeEvent,
  unit: Unit,
): PartlyAccepted | undefined {
  const change = contentChanges[0];
  if (change === undefined) {
    return undefined;
  }
  const end = document.positionAt(change.rangeOffset + change.text.length);
  for (const { insertText, range, command } of items) {
    if (typeof insertText === "string" && range !== undefined && command !== undefined) {
      const acceptedLength = takenOf(insertText, document.getText(new vscode.Range(range.start, end)));
      if (acceptedLength !== undefined) {
        return { item: { insertText, command }, acceptedLength, unit };
      }
    }
  }
  return undefined;
}
