/**
 * HTML whose values are always escaped: html`<p>${anything}</p>`.
 */

/** Markup, as opposed to text. */
export class Html {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

export type Value = string | number | Html | readonly Html[];

export function html(parts: TemplateStringsArray, ...values: readonly Value[]): Html {
  return new Html(
    parts.map((part, index) => part + (index < values.length ? written(values[index] ?? "") : "")).join(""),
  );
}

function written(value: Value): string {
  if (value instanceof Html) {
    return value.text;
  }
  return typeof value === "object" ? value.map((item) => item.text).join("") : escaped(String(value));
}

function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}

/** A bar of `width` from `start`, both in percent of the whole. */
export function bar(start: number, width: number): Html {
  return html`<svg class="bar" viewBox="0 0 100 1" preserveAspectRatio="none"><rect
    x="${start.toFixed(2)}" y="0" width="${Math.max(width, 0.2).toFixed(2)}" height="1" /></svg>`;
}

/** `0.1234` -> `12 %`; a dash for what was not measured. */
export function percent(share: number | null | undefined): string {
  return share === null || share === undefined ? "-" : `${Math.round(share * 100)} %`;
}
