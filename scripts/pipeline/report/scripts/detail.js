// One prompt with two responses side by side: scores, verdicts, the judge's own words. Everything is text.
import { element, json, number, texts } from "./codec.js";
import { contradicts, directVerdicts, outcome, scores } from "./outcomes.js";
import { marked } from "./search.js";

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

export async function detail(group, block, row, left, right, expression) {
  const [number_, place] = [Math.floor(row / block), row % block];
  const prompt = (await texts(group.text[number_]))[place];
  const turns = (await json(group.turns[number_]))[place];
  const ids = await json(group.ids);
  const sides = await Promise.all([left, right].map((column) => side(column, number_, place, row, expression)));
  const found = directVerdicts(left, right);
  const orders = found ? (await json(found.details[number_]))[place] : [];
  return [
    element("div", { class: "soft id" }, `prompt ${ids[row]}`),
    ...turns.map(([role, start, end]) => element("section", { class: role === "user" ? "turn user" : "turn" },
      element("h4", {}, role), folded(prompt.slice(start, end), "prompt", expression))),
    turns.length ? null : folded(prompt, "prompt", expression),
    element("div", { class: "sides" }, ...sides),
    verdictBlock(orders, found, left, right),
  ].filter(Boolean);
}

async function side(column, number_, place, row, expression) {
  const text = (await texts(column.text[number_]))[place];
  const found = await scores(column);
  const facts = [];
  if (text !== null) facts.push(`${[...text].length.toLocaleString("en")} characters`);
  if (found && found[row] !== null) facts.push(`reward ${number(found[row], 2)}`);
  for (const [opponent, verdict] of Object.entries(column.verdicts ?? {})) {
    const word = { left: "won", right: "lost", tie: "tied", none: "no verdict" }[outcome((await json(verdict.preference))[row])];
    facts.push(`${word} against ${opponent}`);
  }
  const body = text === null ? element("p", { class: "soft" }, "no response to this prompt")
    : text.trim() === "" ? element("p", { class: "soft" }, "(empty response)") : folded(text, "", expression);
  return element("article", {}, element("h4", {}, columnName(column)), element("p", { class: "soft facts" }, facts.join(" · ")), body);
}

function folded(text, kind, expression) {
  const holder = element("div", { class: `text ${kind}`, dir: "auto" });
  const cut = SHOWN - /[\uD800-\uDBFF]/.test(text[SHOWN - 1] ?? ""); // not within a character
  const beyond = expression && text.slice(0, cut).search(expression) < 0 && expression.test(text); // what was searched for
  if (text.length <= SHOWN || beyond) {
    holder.append(...marked(text, expression));
    return holder;
  }
  const all = element("button", { class: "quiet", onclick: () => {
    holder.replaceChildren(...marked(text, expression));
    all.remove();
  } }, `show all ${text.length.toLocaleString("en")} characters`);
  holder.append(...marked(text.slice(0, cut), expression), "…");
  return element("div", {}, holder, all);
}

function verdictBlock(orders, found, left, right) {
  const block = element("section", { class: "verdicts" }, element("h4", {}, "Verdicts"));
  if (!found) {
    block.append(element("p", { class: "soft" }, "No judge compared these two with each other; each line above says how it did against others."));
    return block;
  }
  if (!orders.length) block.append(element("p", { class: "soft" }, "No verdict on this prompt."));
  if (contradicts(orders)) block.append(element("p", { class: "flag" }, "The two orders contradict each other."));
  const [own, other] = found.mirrored ? [right, left] : [left, right];
  for (const [order, status, preference, scoreOwn, scoreOther, judge, model, reply] of orders) {
    const winner = { left: own.run, right: other.run, tie: "a tie", none: status }[outcome(preference)];
    const parts = [judge === model || !model ? judge : `${judge} (${model})`];
    if (order !== "none") parts.push({ ab: `${own.run} shown first`, ba: `${other.run} shown first` }[order] ?? `order ${order}`);
    if (scoreOwn !== null && scoreOther !== null) parts.push(`scores ${own.run} ${scoreOwn}, ${other.run} ${scoreOther}`);
    block.append(element("p", {}, element("strong", {}, winner), element("span", { class: "soft" }, ` ${parts.filter(Boolean).join(" · ")}`)));
    if (reply !== null) {
      block.append(element("details", {}, element("summary", {}, "the judge's reply"), folded(reply, "reply", null)));
    }
  }
  return block;
}
