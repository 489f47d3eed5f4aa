// Readers' own verdicts on pairs of answers, given without knowing whose they are: kept while the page is open, and saved
// as the table that a config's human_labels names.
import { element, texts } from "./codec.js";

const QUESTIONS = { a: "a is better", tie: "as good", b: "b is better" };

// The first two columns in an order that the prompt decides, so that the place of an answer tells nothing.
export function drawn(columns, prompt) {
  const number_ = [...prompt].reduce((sum, character) => (31 * sum + character.codePointAt(0)) % 65521, 7);
  return number_ % 2 ? [columns[1], columns[0]] : columns.slice(0, 2);
}

// Buttons that tell the page a verdict, by an event: {prompt_id, response_a, response_b, preferred}.
export async function ballot(columns, prompt, number_, place) {
  const [a, b] = await Promise.all(columns.map(async (column) => (await texts(column.text[number_]))[place]));
  if (a === null || b === null) return null;
  const give = (preferred) => ({ target }) => target.dispatchEvent(new CustomEvent("verdict", { bubbles: true,
    detail: { prompt_id: prompt, response_a: a, response_b: b, preferred } }));
  return element("p", { class: "ballot" }, ...Object.entries(QUESTIONS)
    .map(([name, title]) => element("button", { class: "quiet", "data-verdict": name, onclick: give(name) }, title)));
}

export class Labels {
  constructor() {
    this.given = new Map(); // the last verdict on each two answers to a prompt
  }

  add(verdict) {
    this.given.set(JSON.stringify([verdict.prompt_id, ...[verdict.response_a, verdict.response_b].sort()]), verdict);
  }

  save() {
    const rows = [...this.given.values()];
    const quoted = (text) => `"${text.replaceAll('"', '""')}"`;
    const lines = [Object.keys(rows[0]), ...rows.map((row) => Object.values(row).map(quoted))].map((row) => row.join(","));
    const href = URL.createObjectURL(new Blob([`${lines.join("\r\n")}\r\n`], { type: "text/csv" }));
    element("a", { href, download: "labels.csv" }).click();
    setTimeout(() => URL.revokeObjectURL(href), 60_000);
  }
}
