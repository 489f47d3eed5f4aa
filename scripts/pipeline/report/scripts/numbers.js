// The numbers that a chart draws, as tables: from its own data, the fields that it draws or tells.
import { element } from "./codec.js";
import { saving } from "./exports.js";

const MOST_ROWS = 2000; // rows of a table

// Elements: a table for each of the chart's data sets that has more than reference lines. Args: chosen, the runs that are
// drawn where readers choose them, else nothing.
export function numbersOf(specification, description, chosen) {
  return dataOf(specification).map(({ fields, rows: all }, at) => {
    const rows = chosen ? all.filter((row) => chosen.includes(row.run)) : all;
    const others = new Set(all.map((row) => row.run)).size - new Set(rows.map((row) => row.run)).size;
    const names = [...fields.keys()].filter((name) => rows.some((row) => row[name] !== undefined));
    const head = element("tr", {}, ...names.map((name) => element("th", { scope: "col", class: holdsNumbers(rows, name) ? "n" : "" }, fields.get(name))));
    const body = element("tbody", {}, ...rows.slice(0, MOST_ROWS).map((row) => element("tr", {},
      ...names.map((name, i) => element(i ? "td" : "th", { class: holdsNumbers(rows, name) ? "n" : "", scope: i ? null : "row" }, shownValue(row[name]))))));
    const table = element("table", {}, element("thead", {}, head), body);
    const called = `numbers of ${description}`;
    const scroll = element("div", { class: "scroll", tabindex: 0, role: "group", "aria-label": at ? `${called} ${at + 1}` : called }, table);
    const more = [rows.length > MOST_ROWS ? `and ${rows.length - MOST_ROWS} more rows` : "",
      others ? `${others} ${others > 1 ? "runs are" : "run is"} left out, as in the chart; choose them above it` : ""].filter(Boolean);
    return element("div", {}, scroll, ...more.map((text) => element("p", { class: "soft" }, text)), saving(table, `numbers-${at + 1}`, called));
  });
}

// The data sets with the fields of their encodings, by the titles that axes and tooltips give them.
function dataOf(specification) {
  const found = new Map();
  const visit = (unit, inherited) => {
    const rows = unit.data?.values ?? specification.datasets?.[unit.data?.name] ?? inherited;
    for (const layer of unit.layer ?? []) visit(layer, rows);
    if (!unit.encoding || !rows) return;
    const key = JSON.stringify(rows);
    const fields = found.get(key)?.fields ?? new Map();
    found.set(key, { fields, rows });
    for (const channel of Object.values(unit.encoding).flat()) {
      for (const one of Array.isArray(channel) ? channel : [channel]) {
        if (one.field && !fields.has(one.field)) fields.set(one.field, one.field.replaceAll("_", " "));
      }
    }
  };
  visit(specification, null);
  const told = [...found.values()].filter(({ fields }) => [...fields.keys()].some((name) => !["at", "a", "b"].includes(name)));
  for (const { fields, rows } of told) {
    const texts = [...fields.keys()].filter((name) => !holdsNumbers(rows, name)).sort((a, b) => (b === "run") - (a === "run"));
    const order = [...texts, ...[...fields.keys()].filter((name) => !texts.includes(name))];
    const titles = new Map(order.map((name) => [name, fields.get(name)]));
    fields.clear();
    titles.forEach((title, name) => fields.set(name, title));
  }
  return told;
}

function holdsNumbers(rows, name) {
  return rows.every((row) => row[name] === undefined || typeof row[name] === "number");
}

function shownValue(value) {
  if (typeof value !== "number") return value === undefined || value === null ? "–" : String(value);
  return String(Number.isInteger(value) ? value : Number(value.toPrecision(6))).replace("-", "−");
}
