/**
 * What suggestions were worth: the answer of the server's command `sc2lsp.stats`, as a page.
 */

import { bar, html, percent, type Html } from "./html.ts";

/** The parts of `sc2lsp stats --json` that are shown; sc2lsp/stats.py says what counts. */
export interface Statistics {
  readonly overall: Figures;
  readonly languages: Readonly<Record<string, Figures>>;
  readonly days: Readonly<Record<string, Figures>>;
}

interface Figures {
  readonly shown: number;
  readonly seen: number;
  readonly accepted: number;
  readonly partly: number;
  readonly acceptance_rate: number | null;
  readonly by_word: number;
  readonly by_line: number;
  readonly characters_accepted: number;
  readonly kept_rate: number | null;
  readonly latency_ms: Readonly<Record<string, { readonly p50: number; readonly p95: number }>>;
}

const DAYS_SHOWN = 14;

const ROWS: readonly (readonly [string, (figures: Figures) => string | number])[] = [
  ["shown", ({ shown }) => shown],
  ["seen for 0.75 s", ({ seen }) => seen],
  ["accepted", ({ accepted }) => accepted],
  ["of those seen", ({ acceptance_rate }) => percent(acceptance_rate)],
  ["accepted in part", ({ partly }) => partly],
  ["words, one at a time", ({ by_word }) => by_word],
  ["lines, one at a time", ({ by_line }) => by_line],
  ["characters", ({ characters_accepted }) => characters_accepted],
  ["still there after 30 s", ({ kept_rate }) => percent(kept_rate)],
  ["half came within", ({ latency_ms }) => milliseconds(latency_ms["all"]?.p50)],
  ["19 of 20 came within", ({ latency_ms }) => milliseconds(latency_ms["all"]?.p95)],
];

export function statisticsPage({ overall, languages, days }: Statistics): Html {
  return html`<h1>What suggestions were worth</h1>
    <p class="dim">Counted on this machine, without their text. The setting sc2lsp.statistics turns it off.</p>
    ${figuresTable([["all", overall], ...Object.entries(languages)])}
    <h2>Characters accepted</h2>
    ${daysTable(Object.entries(days).slice(-DAYS_SHOWN))}`;
}

function figuresTable(columns: readonly (readonly [string, Figures])[]): Html {
  return html`<table>
    <tr><th></th>${columns.map(([name]) => html`<th class="number">${name}</th>`)}</tr>
    ${ROWS.map(
      ([name, value]) =>
        html`<tr><td>${name}</td>${columns.map(([, figures]) => html`<td class="number">${value(figures)}</td>`)}</tr>`,
    )}
  </table>`;
}

function daysTable(days: readonly (readonly [string, Figures])[]): Html {
  const most = Math.max(1, ...days.map(([, figures]) => figures.characters_accepted));
  return html`<table>
    ${days.map(
      ([day, { characters_accepted: taken }]) =>
        html`<tr><td class="day">${day}</td><td class="number">${taken}</td>
          <td class="wide">${bar(0, (taken / most) * 100)}</td></tr>`,
    )}
  </table>`;
}

function milliseconds(value: number | undefined): string {
  return value === undefined ? "-" : `${value.toFixed(0)} ms`;
}
