// @ts-check
/** Monaco, loaded and set up: its looks follow the system's, and no language service speaks but ours. */

const OPTIONS = {
  automaticLayout: true,
  fontSize: 13,
  fixedOverflowWidgets: true,
  hideCursorInOverviewRuler: true,
  inlineSuggest: { enabled: true, keepOnBlur: true, showToolbar: "onHover" },
  lineNumbersMinChars: 3,
  minimap: { enabled: false },
  overviewRulerLanes: 0,
  padding: { top: 10, bottom: 10 },
  quickSuggestions: false,
  renderLineHighlight: "none",
  scrollBeyondLastLine: false,
  stickyScroll: { enabled: false },
  suggestOnTriggerCharacters: false,
  unicodeHighlight: { ambiguousCharacters: false },
  wordBasedSuggestions: "off",
};

/** @returns {Promise<any>} the module's interface */
export async function loadMonaco() {
  const amd = /** @type {any} */ (globalThis).require;
  amd.config({ paths: { vs: new URL("monaco/vs", document.baseURI).href } });
  const monaco = await new Promise((resolve, reject) => amd(["vs/editor/editor.main"], resolve, reject));
  for (const defaults of servicesOf(monaco)) defaults.setModeConfiguration({});
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const follow = () => monaco.editor.setTheme(dark.matches ? "vs-dark" : "vs");
  dark.addEventListener("change", follow);
  follow();
  return monaco;
}

/** @param {any} monaco @param {HTMLElement} place */
export function createEditor(monaco, place) {
  const editor = monaco.editor.create(place, { ...OPTIONS, model: null });
  // Of several editors Monaco lets only one suggest at a time, by a list of them that it keeps to itself. The version
  // is pinned; without this, a comparison shows one suggestion.
  const suggesting = editor.getContribution("editor.contrib.inlineCompletionsController");
  suggesting?.constructor._instances?.delete(suggesting);
  return editor;
}

/** The language services that Monaco brings, which would complain of imports that only the workspace knows. */
function servicesOf(/** @type {any} */ monaco) {
  const { css, html, json, typescript } = monaco.languages;
  return [
    css.cssDefaults, css.lessDefaults, css.scssDefaults, html.htmlDefaults, json.jsonDefaults,
    typescript.javascriptDefaults, typescript.typescriptDefaults,
  ]; // prettier-ignore
}

/** @type {Record<string, string>} what the protocol calls languages, where Monaco or a suffix says otherwise */
const LANGUAGE_IDS = { shell: "shellscript", ".jsx": "javascriptreact", ".tsx": "typescriptreact" };

/** @param {any} model @param {string} path @returns {string} */
export function languageIdOf(model, path) {
  const suffix = path.slice(path.lastIndexOf("."));
  return LANGUAGE_IDS[suffix] ?? LANGUAGE_IDS[model.getLanguageId()] ?? model.getLanguageId();
}
