/**
 * Pages beside the editor. They run no script and load nothing but our own style sheet.
 */

import * as vscode from "vscode";

import { html, type Html } from "./html.ts";

/** The pages that are open, one of each kind. */
export class Pages implements vscode.Disposable {
  readonly #media: vscode.Uri;
  readonly #panels = new Map<string, vscode.WebviewPanel>(); // by kind of page

  constructor(extension: vscode.Uri) {
    this.#media = vscode.Uri.joinPath(extension, "media");
  }

  /** Show a page, in place of the one of its kind that is open. */
  show(kind: string, title: string, body: Html): void {
    const panel = this.#panels.get(kind) ?? this.#open(kind, title);
    const style = panel.webview.asWebviewUri(vscode.Uri.joinPath(this.#media, "page.css")).toString();
    const policy = `default-src 'none'; style-src ${panel.webview.cspSource}`;
    panel.webview.html = html`<!doctype html>
      <html lang="en">
        <head>
          <meta charset="utf-8" />
          <meta http-equiv="Content-Security-Policy" content="${policy}" />
          <link rel="stylesheet" href="${style}" />
          <title>${title}</title>
        </head>
        <body>
          ${body}
        </body>
      </html>`.text;
    panel.reveal(undefined, true);
  }

  dispose(): void {
    for (const panel of this.#panels.values()) {
      panel.dispose();
    }
  }

  #open(kind: string, title: string): vscode.WebviewPanel {
    const where = { viewColumn: vscode.ViewColumn.Beside, preserveFocus: true };
    const options = { enableScripts: false, localResourceRoots: [this.#media] };
    const panel = vscode.window.createWebviewPanel(`sc2lsp.${kind}`, title, where, options);
    panel.onDidDispose(() => this.#panels.delete(kind));
    this.#panels.set(kind, panel);
    return panel;
  }
}
