/**
 * Why the last suggestion is what it is: the answer of the server's command `sc2lsp.explain`, as a page.
 */

import { bar, html, percent, type Html } from "./html.ts";

/** What the server answers; its ARCHITECTURE.md has the form. */
export interface Explanation {
  readonly path: string;
  readonly source: string;
  readonly waited_ms: number;
  readonly reason: string;
  readonly completions: readonly Completion[];
  readonly model: Model | null;
}

interface Completion {
  readonly text: string;
  readonly mean_logprob: number | null;
  readonly rules: readonly string[];
}

interface Model {
  readonly name: string;
  readonly kind: string;
  readonly prompt: Prompt;
  readonly answers: readonly Answer[];
  readonly cached_tokens: number;
  readonly drafted_tokens: number;
  readonly accepted_tokens: number;
  readonly timings_ms: Readonly<Record<string, number>>;
}

interface Prompt {
  readonly order: string;
  readonly tokens: number;
  readonly prefix_tokens: number;
  readonly suffix_tokens: number;
  readonly text: string;
  readonly snippets: readonly Snippet[];
}

interface Snippet {
  readonly path: string;
  readonly start_line: number;
  readonly end_line: number;
  readonly kind: string;
  readonly score: number;
  readonly tokens: number;
  readonly why: string | readonly string[];
}

interface Answer {
  readonly tokens: readonly { readonly text: string; readonly logprob: number | null }[];
  readonly shown: string | null;
  readonly rules: readonly string[];
}

const SOURCES: Readonly<Record<string, string>> = {
  model: "asked of the model",
  typed: "typed through what was shown before",
  known: "known from before",
  continuation: "read ahead",
};

export function explanationPage(explanation: Explanation): Html {
  const { path, source, waited_ms, reason, completions, model } = explanation;
  return html`<h1>Why this suggestion</h1>
    <p class="dim">${path}: ${SOURCES[source] ?? source}, ${waited_ms.toFixed(0)} ms waited for the next key</p>
    ${reason === "" ? html`` : html`<p class="reason">Nothing was shown: ${reason}.</p>`}
    <h2>Shown</h2>
    ${completions.map(completionPart)} ${model === null ? html`` : modelPart(model)}`;
}

function completionPart({ text, mean_logprob, rules }: Completion): Html {
  return html`<pre class="ghost">${text}</pre>
    <p class="dim">${likelihood(mean_logprob)}${rules.length > 0 ? `; rules: ${rules.join(", ")}` : ""}</p>`;
}

function likelihood(meanLogprob: number | null): string {
  return meanLogprob === null ? "" : `${percent(Math.exp(meanLogprob))} likely, a token on average`;
}

function modelPart(model: Model): Html {
  const { prompt } = model;
  return html`<h2>Written by ${model.name}</h2>
    ${model.answers.map(answerPart)}
    <h2>Time</h2>
    ${timingsPart(model.timings_ms)}
    <p class="dim">
      ${prompt.tokens} tokens of prompt, ${model.cached_tokens} of them cached; ${model.drafted_tokens} tokens drafted,
      ${model.accepted_tokens} of them right; a ${model.kind}
    </p>
    <h2>From other files</h2>
    ${prompt.snippets.length === 0 ? html`<p class="dim">Nothing.</p>` : snippetsPart(prompt.snippets)}
    <details>
      <summary>
        The whole prompt (${prompt.order}: ${prompt.prefix_tokens} tokens before the cursor,
        ${prompt.suffix_tokens} after)
      </summary>
      <pre>${prompt.text}</pre>
    </details>`;
}

function answerPart({ tokens, shown, rules }: Answer): Html {
  const words = tokens.map(({ text, logprob }) => {
    const probability = logprob === null ? 1 : Math.exp(logprob);
    const shade = Math.min(Math.floor(probability * 5), 4); // a class of the style sheet
    return html`<span class="p${shade}" title="${percent(probability)}">${text}</span>`;
  });
  const fate = shown === null ? "Hidden" : "Shown";
  return html`<pre>${words}</pre>
    <p class="dim">${fate}${rules.length > 0 ? ` by: ${rules.join(", ")}` : ""}</p>`;
}

/** Each stage behind the one before it; what none of them took was spent on the way to the runtime and back. */
function timingsPart(timings: Readonly<Record<string, number>>): Html {
  const total = timings["total"] ?? 0;
  const stages = Object.entries(timings).filter(([stage]) => stage !== "total");
  const known = stages.reduce((sum, [, took]) => sum + took, 0);
  let start = 0;
  const rows = [...stages, ["elsewhere", Math.max(total - known, 0)] as const].map(([stage, took]) => {
    const begin = start;
    start += took;
    const whole = Math.max(total, 1e-9);
    return html`<tr><td>${stage}</td><td class="number">${took.toFixed(1)} ms</td>
      <td class="wide">${bar((begin / whole) * 100, (took / whole) * 100)}</td></tr>`;
  });
  return html`<table>${rows}
    <tr><td>total</td><td class="number">${total.toFixed(1)} ms</td><td></td></tr></table>`;
}

function snippetsPart(snippets: readonly Snippet[]): Html {
  const rows = snippets.map(
    ({ path, start_line, end_line, kind, score, tokens, why }) =>
      html`<tr><td>${path}:${start_line}-${end_line}</td><td>${kind}</td><td class="number">${score.toFixed(2)}</td>
        <td class="number">${tokens}</td><td>${typeof why === "string" ? why : why.join(", ")}</td></tr>`,
  );
  return html`<table>
    <tr><th>place</th><th>kind</th><th>score</th><th>tokens</th><th>why</th></tr>
    ${rows}
  </table>`;
}
