// @ts-check
/** The elements of a pane, and its status line. Knows no editor and no server. */

import { element } from "./dom.js";

/** @typedef {import("./client.js").Status} Status @typedef {import("./client.js").Command} Command */

const MODELS = ["embedded", "bigcode/starcoder2-3b", "bigcode/starcoder2-7b", "bigcode/starcoder2-15b"];
const CONTEXTS = { workspace: "the whole workspace", file: "this file alone" };

/** @param {keyof typeof CONTEXTS} chosen of the contexts */
export function buildView(chosen) {
  const model = /** @type {HTMLInputElement} */ (
    element("input", { placeholder: "as configured", size: 18, spellcheck: false, title: "A name, or a folder" })
  );
  model.setAttribute("list", "models");
  const context = /** @type {HTMLSelectElement} */ (element("select", {}, ...options(CONTEXTS)));
  context.value = chosen;
  const latency = element("output.latency", { title: "From the last change to the suggestion" });
  const settings = element("div.settings", {},
    element("label", {}, "Model ", model), element("label", {}, "Context ", context), latency); // prettier-ignore
  const code = element("div.code");
  const explanation = element("aside.explanation");
  const status = element("div.status", { role: "status" });
  const pane = element("article.pane", {}, settings, code, explanation, status);
  return { pane, model, context, latency, code, explanation, status };
}

/** The names that a pane's model field offers. */
export function modelNames() {
  return element("datalist", { id: "models" }, ...MODELS.map((value) => element("option", { value })));
}

/** @param {HTMLElement} place @param {Status} status @param {(action: Command) => void} act */
export function drawStatus(place, { kind, message, fix, busy, action }, act) {
  const said = [message, fix].filter(Boolean).join("; ");
  place.className = `status ${kind}${busy ? " busy" : ""}`;
  place.replaceChildren(element("span.dot"), element("span.message", { title: said }, said));
  if (action) place.append(element("button", { textContent: action.title, onclick: () => act(action) }));
}

/** @param {Record<string, string>} texts by their values */
function options(texts) {
  return Object.entries(texts).map(([value, textContent]) => element("option", { value, textContent }));
}
