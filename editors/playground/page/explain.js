// @ts-check
/** Why a suggestion is what it is: the answer of `sc2lsp.explain`, drawn. ARCHITECTURE.md has its form. */

import { element, inMilliseconds } from "./dom.js";

/**
 * @typedef {{ path: string, start_line: number, end_line: number, kind: string, score: number, tokens: number,
 *   why: string }} Snippet
 * @typedef {{ text: string, logprob: number }} Token
 * @typedef {{ text: string, tokens: Token[], shown: string | null, rules: string[] }} Answer
 * @typedef {{ order: string, tokens: number, prefix_tokens: number, suffix_tokens: number, left_out: string,
 *   text: string, snippets: Snippet[] }} Prompt
 * @typedef {{ name: string, kind: string, prompt: Prompt, answers: Answer[], cached_tokens: number,
 *   drafted_tokens: number, accepted_tokens: number, timings_ms: Record<string, number> }} OfModel
 * @typedef {{ path: string, source: string, waited_ms: number, reason: string,
 *   completions: { text: string, rules: string[] }[], model: OfModel | null }} Explanation
 */

const SOURCES = /** @type {Record<string, string>} */ ({ model: "from the model", typed: "typed through" });

const STAGES = /** @type {Record<string, string>} */ ({
  context: "What of the workspace may be needed here",
  prompt: "What of that fits, as tokens",
  queue: "Until the model began",
  prefill: "Until its first token",
  decode: "Until its last token",
  display: "What of the answer is shown",
  elsewhere: "To the model and back, and all of its time where an answer was ended early",
});

/**
 * @param {HTMLElement} place whose content is replaced
 * @param {Explanation | null} explanation
 * @param {(snippet: Snippet) => Promise<string>} textOf a snippet
 */
export function drawExplanation(place, explanation, textOf) {
  const opened = new Set([...place.querySelectorAll("details[open]")].map((each) => each.className));
  const scrolled = place.scrollTop;
  place.replaceChildren(...(explanation === null ? [hint()] : parts(explanation, textOf)));
  for (const each of place.querySelectorAll("details.prompt")) {
    /** @type {HTMLDetailsElement} */ (each).open = opened.has(each.className);
  }
  place.scrollTop = scrolled;
}

function hint() {
  return element("p.hint", {}, "Type, and what led to the suggestion is shown here.");
}

/** @param {Explanation} explanation @param {(snippet: Snippet) => Promise<string>} textOf */
function parts({ source, waited_ms, reason, completions, model }, textOf) {
  const from = SOURCES[source] ?? source;
  const waited = waited_ms >= 1 ? `, after ${inMilliseconds(waited_ms)} of waiting for the next key` : "";
  const why = `Nothing is shown: ${reason || "no suggestion"}.`;
  const nothing = completions.length ? [] : [element("p.reason", {}, why)];
  if (model === null) return [element("p.from", {}, `${from}${waited}`), ...nothing];
  return [
    element("p.from", {}, `${model.name}, a ${model.kind}, ${from}${waited}`),
    ...nothing,
    section("Time", [bars(model.timings_ms)]),
    section("Written", model.answers.map(answer), "tokens by probability; rules of display"),
    section("Context", snippets(model.prompt.snippets, textOf), `${model.prompt.snippets.length} snippets`),
    section("Prompt", [prompt(model.prompt)], tokensOf(model)),
  ];
}

/** @param {string} title @param {Node[]} content @param {string} [note] */
function section(title, content, note = "") {
  return element("section", {}, element("h2", {}, title, element("small", {}, note)), ...content);
}

/** @param {OfModel} model */
function tokensOf({ prompt, cached_tokens, drafted_tokens, accepted_tokens }) {
  const drafted = drafted_tokens ? `, ${accepted_tokens} of ${drafted_tokens} drafted right` : "";
  return `${prompt.tokens} tokens, ${cached_tokens} cached${drafted}`;
}

/** Each stage behind the one before it; what none took was spent on the way to the runtime and back. */
function bars(/** @type {Record<string, number>} */ { total, ...stages }) {
  const spent = Object.values(stages).reduce((sum, one) => sum + one, 0);
  const all = Math.max(total, spent, 1e-9);
  const rows = Object.entries({ ...stages, elsewhere: Math.max(total - spent, 0) });
  let start = 0;
  const made = rows.flatMap(([stage, milliseconds]) => {
    const place = { left: `${(start / all) * 100}%`, width: `${(milliseconds / all) * 100}%` };
    start += milliseconds;
    const bar = element("span.track", {}, element(`span.bar.${stage}`, { style: place }));
    const name = element("span.stage", { title: STAGES[stage] ?? "" }, stage);
    return [name, element("span.ms", {}, inMilliseconds(milliseconds)), bar];
  });
  const sum = [element("span.stage", {}, "total"), element("span.ms", {}, inMilliseconds(total)), element("span")];
  return element("div.timings", {}, ...made, ...sum);
}

/** @param {Answer} given */
function answer({ tokens, text, shown, rules }) {
  const written = tokens.length ? tokens.map(token) : [text || "nothing"];
  const chips = rules.map((rule) => element("span.rule", {}, rule));
  const fate = element("p.fate", {}, shown === null ? "not shown " : "shown ", ...chips);
  return element(`div.answer${shown === null ? ".hidden" : ""}`, {}, element("pre", {}, ...written), fate);
}

/** @param {Token} given */
function token({ text, logprob }) {
  const probability = Math.exp(logprob);
  const style = { "--probability": probability.toFixed(3) };
  return element("span.token", { title: `${(probability * 100).toFixed(1)} %`, style }, text);
}

/** @param {Snippet[]} given @param {(snippet: Snippet) => Promise<string>} textOf */
function snippets(given, textOf) {
  if (!given.length) return [element("p.hint", {}, "Nothing from other files.")];
  // The most useful one first; a prompt has them by files, the most useful last.
  const sorted = given.toSorted((one, other) => other.score - one.score);
  return sorted.map((snippet) => drawSnippet(snippet, snippet.score / Math.max(sorted[0].score, 1e-9), textOf));
}

/**
 * @param {Snippet} snippet
 * @param {number} share of the best one's score
 * @param {(snippet: Snippet) => Promise<string>} textOf
 */
function drawSnippet(snippet, share, textOf) {
  const { path, start_line, end_line, kind, score, tokens, why } = snippet;
  const place = `${path}:${start_line}${end_line > start_line ? `-${end_line}` : ""}`;
  const weight = element("span.bar", { style: { width: `${Math.max(share, 0) * 100}%` } });
  const head = element("summary", {},
    element("span.place", { title: place }, place), element("span.kind", {}, kind),
    element("span.weight", { title: `score ${score}` }, weight), element("span.why", {}, why)); // prettier-ignore
  const text = element("pre");
  const made = element("details.snippet", {}, head, element("p", {}, `score ${score}, ${tokens} tokens`), text);
  made.addEventListener("toggle", async () => (text.textContent = await textOf(snippet)), { once: true });
  return made;
}

/** @param {Prompt} given */
function prompt({ order, prefix_tokens, suffix_tokens, left_out, text }) {
  const rest = left_out ? `; ${JSON.stringify(left_out)} is left out, and the answer begins with it` : "";
  const told = `${order.toUpperCase()}: ${prefix_tokens} tokens before the cursor, ${suffix_tokens} after it${rest}`;
  const pieces = text.split(/(<[a-z_]+>)/).map((piece, index) => (index % 2 ? element("b", {}, piece) : piece));
  return element("details.prompt", {}, element("summary", {}, told), element("pre", {}, ...pieces));
}
