// @ts-check
/** The page: its files, one pane or two, and which file they show. */

import { keepAlike } from "./compare.js";
import { element } from "./dom.js";
import { loadMonaco } from "./monaco.js";
import { Pane } from "./pane.js";
import { modelNames } from "./view.js";
import { listing, textOf } from "./workspace.js";

const panes = /** @type {Pane[]} */ ([]);
const place = /** @type {HTMLElement} */ (document.getElementById("panes"));
const list = /** @type {HTMLElement} */ (document.getElementById("files"));
const compare = /** @type {HTMLButtonElement} */ (document.getElementById("compare"));

/** @param {any} monaco @param {import("./workspace.js").Listing} workspace @param {"workspace" | "file"} context */
function addPane(monaco, workspace, context) {
  const pane = new Pane(monaco, workspace, textOf, context);
  panes.push(pane);
  place.append(pane.view.pane);
  place.classList.toggle("compared", panes.length > 1);
  pane.client.connect();
  return pane;
}

/** @param {any} monaco @param {import("./workspace.js").Listing} workspace @param {Pane} first */
function offerComparison(monaco, workspace, first) {
  /** @type {() => void} */
  let end = () => {};
  compare.onclick = () => {
    const isOn = compare.getAttribute("aria-pressed") !== "true";
    compare.setAttribute("aria-pressed", String(isOn));
    if (isOn) {
      end = keepAlike(first, addPane(monaco, workspace, "file"));
    } else {
      end();
      panes.pop()?.close();
      place.classList.remove("compared");
    }
    first.editor.focus();
  };
}

/** @param {string} path */
async function show(path) {
  const [first, ...others] = panes;
  const text = first.text(path) ?? (await textOf(path));
  first.open(path, text);
  for (const other of others) other.open(path, first.editor.getValue());
  for (const item of list.querySelectorAll("button")) item.ariaCurrent = String(item.title === path);
  first.editor.focus();
}

/** @param {string[]} files */
function listFiles(files) {
  const byFolder = Map.groupBy(files, (path) => path.slice(0, path.lastIndexOf("/") + 1));
  for (const [folder, paths] of byFolder) {
    if (folder) list.append(element("h2", { title: folder }, folder));
    for (const path of paths) {
      list.append(element("button", { title: path, onclick: () => show(path) }, path.slice(folder.length)));
    }
  }
}

/** Type what is to be seen first. @param {Pane} pane @param {import("./workspace.js").Start} start */
function begin(pane, start) {
  const { line: startLineNumber, column: startColumn, text } = start;
  const range = { startLineNumber, startColumn, endLineNumber: startLineNumber, endColumn: startColumn };
  pane.editor.setPosition({ lineNumber: startLineNumber, column: startColumn });
  pane.editor.executeEdits("playground", [{ range, text, forceMoveMarkers: true }]);
  pane.editor.revealPositionInCenterIfOutsideViewport(pane.editor.getPosition());
  pane.suggest();
}

async function main() {
  const [workspace, monaco] = await Promise.all([listing(), loadMonaco()]);
  document.title = `${workspace.name} - sc2lsp playground`;
  document.body.append(modelNames());
  listFiles(workspace.files);
  const first = addPane(monaco, workspace, "workspace");
  offerComparison(monaco, workspace, first);
  const path = workspace.start?.path ?? workspace.files[0];
  if (path === undefined) throw new Error("There is no file here that the language server reads.");
  await show(path);
  if (workspace.start !== null) begin(first, workspace.start);
}

main().catch((failure) => place.replaceChildren(element("p.failure", {}, failure.message)));
