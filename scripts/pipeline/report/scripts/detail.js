// One prompt with responses side by side: scores, verdicts, the judge's own words. Everything is text.
import { element, json, number, texts } from "./codec.js";
import { formatted } from "./formatted.js";
import { ballot, drawn } from "./labels.js";
import { contradicts, directVerdicts, outcome, scores } from "./outcomes.js";

const SHOWN = 3000; // characters of a text before it is folded

export function columnName(column) {
  if (column.seed === null) return `${column.run} (dataset)`;
  return `${column.run}, seed ${column.seed}${column.decoding ? `, ${column.decoding}` : ""}`;
}

// What links call a column; without its decoding it is the first of that run and seed, which is the group's own.
export function shortKey(column) {
  return column.seed === null ? column.run : `${column.run}:${column.seed}`;
}

export function columnKey(column) {
  return column.decoding ? `${shortKey(column)}:${column.decoding}` : shortKey(column);
}

// Args: columns, the answers' in their order; view: {form, expression, blind}, how texts are read, what was searched for,
// and whether the reader judges the first two without knowing whose they are.
export async function detail(group, block, row, columns, view) {
  const [number_, place] = [Math.floor(row / block), row % block];
  const prompt = (await texts(group.text[number_]))[place];
  const turns = (await json(group.turns[number_]))[place];
  const ids = await json(group.ids);
  const shown = view.blind ? drawn(columns, ids[row]) : columns;
  const sides = await Promise.all(shown.map((column, at) => side(column, number_, place, row, view, "ab"[at])));
  return [
    element("div", { class: "soft id" }, `prompt ${ids[row]}`),
    ...turns.map(([role, start, end]) => element("section", { class: role === "user" ? "turn user" : "turn" },
      element("h4", {}, role), folded(prompt.slice(start, end), "prompt", view))),
    turns.length ? null : folded(prompt, "prompt", view),
    element("div", { class: "sides", style: `--columns: ${shown.length}` }, ...sides),
    await (view.blind ? ballot(shown, ids[row], number_, place) : verdictBlock(columns, number_, place, row, view)),
  ].filter(Boolean);
}

async function side(column, number_, place, row, view, letter) {
  const text = (await texts(column.text[number_]))[place];
  const body = text === null ? element("p", { class: "soft" }, "no response to this prompt")
    : text.trim() === "" ? element("p", { class: "soft" }, "(empty response)") : folded(text, "", view);
  if (view.blind) return element("article", {}, element("h4", {}, `answer ${letter}`), body);
  const found = await scores(column);
  const facts = [];
  if (text !== null) facts.push(`${[...text].length.toLocaleString("en")} characters`);
  if (found && found[row] !== null) facts.push(`reward ${number(found[row], 2)}`);
  for (const [opponent, verdict] of Object.entries(column.verdicts ?? {})) {
    const word = { left: "won", right: "lost", tie: "tied", none: "no verdict" }[outcome((await json(verdict.preference))[row])];
    facts.push(`${word} against ${opponent}`);
  }
  return element("article", {}, element("h4", {}, columnName(column)), element("p", { class: "soft facts" }, facts.join(" · ")), body);
}

function folded(text, kind, view) {
  const holder = element("div", { class: `text ${kind} ${view.form}`, dir: "auto" });
  const cut = SHOWN - /[\uD800-\uDBFF]/.test(text[SHOWN - 1] ?? ""); // not within a character
  const beyond = view.expression && text.slice(0, cut).search(view.expression) < 0 && view.expression.test(text); // what was searched for
  const fill = (part) => holder.replaceChildren(...(view.form === "formatted" ? formatted(part) : [part]));
  if (text.length <= SHOWN || beyond) {
    fill(text);
    return holder;
  }
  const all = element("button", { class: "quiet", onclick: () => {
    fill(text);
    all.remove();
    holder.dispatchEvent(new Event("unfold", { bubbles: true }));
  } }, `show all ${text.length.toLocaleString("en")} characters`);
  fill(text.slice(0, cut));
  holder.append("…");
  return element("div", {}, holder, all);
}

// What judges said of each two of the columns that they compared.
async function verdictBlock(columns, number_, place, row, view) {
  const block = element("section", { class: "verdicts" }, element("h4", {}, "Verdicts"));
  const pairs = columns.flatMap((left, at) => columns.slice(at + 1).map((right) => [left, right, directVerdicts(left, right)]));
  const compared = pairs.filter(([, , found]) => found);
  if (!compared.length) {
    const those = columns.length > 2 ? "any two of these" : "these two";
    block.append(element("p", { class: "soft" }, `No judge compared ${those} with each other; each line above says how it did against others.`));
  }
  for (const [left, right, found] of compared) {
    if (columns.length > 2) block.append(element("h5", {}, `${columnName(left)} and ${columnName(right)}`));
    block.append(...verdicts((await json(found.details[number_]))[place], found, left, right, view));
    const label = found.labels === undefined ? null : (await json(found.labels))[row];
    const [own, other] = found.mirrored ? [right, left] : [left, right];
    if (label !== null) block.append(verdictLine({ left: own.run, right: other.run, tie: "a tie" }[outcome(label)], "by the label"));
  }
  return block;
}

function verdicts(orders, found, left, right, view) {
  const lines = [];
  if (!orders.length) lines.push(element("p", { class: "soft" }, "No verdict on this prompt."));
  if (contradicts(orders)) lines.push(element("p", { class: "flag" }, "The two orders contradict each other."));
  const [own, other] = found.mirrored ? [right, left] : [left, right];
  for (const [order, status, preference, scoreOwn, scoreOther, judge, model, reply] of orders) {
    const winner = { left: own.run, right: other.run, tie: "a tie", none: status }[outcome(preference)];
    const parts = [judge === model || !model ? judge : `${judge} (${model})`];
    if (order !== "none") parts.push({ ab: `${own.run} shown first`, ba: `${other.run} shown first` }[order] ?? `order ${order}`);
    if (scoreOwn !== null && scoreOther !== null) parts.push(`scores ${own.run} ${minus(scoreOwn)}, ${other.run} ${minus(scoreOther)}`);
    lines.push(verdictLine(winner, parts.filter(Boolean).join(" · ")));
    if (reply !== null) {
      lines.push(element("details", {}, element("summary", {}, "the judge's reply"), folded(reply, "reply", { ...view, expression: null })));
    }
  }
  return lines;
}

function minus(value) {
  return String(value).replace("-", "−");
}

function verdictLine(winner, said) {
  return element("p", {}, element("strong", {}, winner), element("span", { class: "soft" }, ` ${said}`));
}
