/** Pages and reports: what must not be in them, and what is told of partly accepted suggestions. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { explanationPage, type Explanation } from "../src/explain.ts";
import { html } from "../src/html.ts";
import { reportOf, withoutPrivate } from "../src/report.ts";
import { takenOf } from "../src/taken.ts";

test("values are escaped, parts are not, wherever they stand", () => {
  const hostile = `<img src=x onerror="alert('&')">`;
  const page = html`<p title="${hostile}">${[html`<b>${hostile}</b>`]}</p>`.text;
  assert.equal(page.match(/<(?!\/?[pb]\b)/g), null);
  assert.equal(page.match(/["']/g)?.length, 2);
});

test("an explanation holds no markup of the code that it shows", () => {
  const code = "</pre><script>alert(1)</script>";
  const explanation: Explanation = {
    path: code,
    source: code,
    waited_ms: 1,
    reason: code,
    completions: [{ text: code, mean_logprob: -0.5, rules: [code] }],
    model: {
      name: code,
      kind: code,
      prompt: {
        order: code,
        tokens: 1,
        prefix_tokens: 1,
        suffix_tokens: 0,
        text: code,
        snippets: [{ path: code, start_line: 1, end_line: 2, kind: code, score: 1, tokens: 1, why: code }],
      },
      answers: [{ tokens: [{ text: code, logprob: null }], shown: null, rules: [code] }],
      cached_tokens: 0,
      drafted_tokens: 0,
      accepted_tokens: 0,
      timings_ms: { decode: 1, total: 2, [code]: 1 },
    },
  };
  const page = explanationPage(explanation).text;
  assert.ok(page.includes("alert(1)"));
  assert.ok(!page.includes("<script>"));
});

test("a report has no paths and no addresses", () => {
  const report = reportOf({
    versions: { extension: "0.1.0" },
    status: { kind: "Error", message: "no answer from https://key:secret@example.org:8000/v1", fix: "see /home/me/x" },
    settings: ["endpoint"],
    lines: ["starting /home/me/work/tool", "indexing /home/me/work"],
    private: { "/home/me": "~", "/home/me/work": "<workspace>", "": "nothing" },
  });
  for (const found of ["secret", "example.org", "/home/me"]) {
    assert.ok(!report.includes(found), found);
  }
  assert.match(report, /status: Error: no answer from <address> see ~\/x/);
  assert.match(report, /starting <workspace>\/tool/);
  assert.match(report, /names only\): endpoint/);
});

test("addresses of every kind go", () => {
  assert.equal(withoutPrivate("a unix:///run/x, tcp://1.2.3.4:5 b", {}), "a <address> <address> b");
});

const TAKEN: readonly [string, string, number | undefined][] = [
  ["member(id)", "member", 6],
  ["member(id)", "member(id)", 10],
  ["a\nb", "a\r\nb", 3],
  ["member(id)", "other", undefined],
  ["member(id)", "", undefined],
  ["ab", "abc", undefined],
];

for (const [item, text, expected] of TAKEN) {
  test(`taken of ${JSON.stringify(item)}: ${JSON.stringify(text)}`, () => assert.equal(takenOf(item, text), expected));
}
