// The browser of responses: two columns, a filter, a search, a list of prompts, one prompt in full.
import { element, json, number, readJson, texts } from "./codec.js";
import { columnName, detail } from "./detail.js";
import { contradicts, directVerdicts, outcome, preferences, scores } from "./outcomes.js";
import { marked, matchingRows, pattern, rowsOfId } from "./search.js";
import { VirtualList } from "./virtual_list.js";

const FILTERS = { all: "all prompts", left: "left preferred", right: "right preferred", tie: "ties", none: "no verdict",
  flipped: "orders contradict", equal: "equal responses" };
const SORTS = { prompt: "in their order", score: "reward difference", length: "length difference" };
const SNIPPET = 160;

export class Browser {
  constructor(place) {
    this.place = place;
    this.index = readJson("responses-index");
    this.generation = 0;
    this.rows = [];
    this.part = (name) => place.querySelector(`[data-part="${name}"]`);
    this.list = new VirtualList(this.part("list"), (at, row) => this.fillRow(at, row), (at) => this.show(this.rows[at]));
    this.build();
    this.first = this.read(new URLSearchParams(location.hash.startsWith("#responses?") ? location.hash.slice(11) : ""));
    window.addEventListener("hashchange", () => {
      if (location.hash.startsWith("#responses?") && location.hash !== this.written) this.read(new URLSearchParams(location.hash.slice(11)));
    });
  }

  build() {
    const options = (names) => Object.entries(names).map(([value, title]) => element("option", { value }, title));
    this.part("group").append(...this.index.groups.map((group, i) => element("option", { value: i }, group.title)));
    this.part("group").parentElement.hidden = this.index.groups.length < 2;
    this.part("filter").append(...options(FILTERS));
    this.part("sort").append(...options(SORTS));
    this.part("group").addEventListener("change", () => this.read(new URLSearchParams({ group: this.part("group").value })));
    for (const name of ["left", "right", "filter", "sort", "scope"]) this.part(name).addEventListener("change", () => this.update());
    this.part("swap").addEventListener("click", () => {
      [this.part("left").value, this.part("right").value] = [this.part("right").value, this.part("left").value];
      this.update();
    });
    let waiting;
    this.part("query").addEventListener("input", () => {
      clearTimeout(waiting);
      waiting = setTimeout(() => this.update(), 120);
    });
  }

  // Shows what a link asks for; without one, the last run beside the baseline run.
  read(wanted) {
    const number_ = Math.min(Number(wanted.get("group") ?? 0) || 0, this.index.groups.length - 1);
    this.group = this.index.groups[number_];
    this.part("group").value = number_;
    const columns = this.group.columns;
    for (const side of ["left", "right"]) {
      this.part(side).replaceChildren(...columns.map((column, i) => element("option", { value: i }, columnName(column))));
    }
    const at = (run, seed) => columns.findIndex((column) => column.run === run && (seed === undefined || column.seed === seed));
    const runs = columns.filter((column) => column.seed !== null && column.decoding === this.group.told);
    const left = wanted.has("left") ? Number(wanted.get("left")) : at(runs.at(-1)?.run);
    const other = at(this.index.baseline, columns[left]?.seed);
    this.part("left").value = Math.max(0, left);
    this.part("right").value = wanted.get("right") ?? Math.max(0, other === left || other < 0 ? at("chosen") : other);
    this.part("filter").value = wanted.get("filter") ?? "all";
    this.part("sort").value = wanted.get("sort") ?? "prompt";
    this.part("scope").value = wanted.get("scope") ?? "shown";
    this.part("query").value = wanted.get("q") ?? "";
    return this.update(Number(wanted.get("row") ?? -1));
  }

  open(row) {
    const group = this.index.groups.findIndex((found) => ["dataset", "model", "decoding"].every((name) => found[name] === row[name]));
    const left = this.index.groups[group].columns.findIndex((column) => column.run === row.run && (!row.seeded || String(column.seed) === row.seed));
    const right = this.index.groups[group].columns.findIndex((column) => column.run === row.against &&
      (column.seed === null || column.seed === this.index.groups[group].columns[left].seed));
    this.place.scrollIntoView({ behavior: "smooth" });
    return this.read(new URLSearchParams({ group, left, ...(right >= 0 ? { right } : {}) }));
  }

  async update(wantedRow = -1) {
    const generation = ++this.generation;
    const isStale = () => generation !== this.generation;
    [this.left, this.right] = ["left", "right"].map((side) => this.group.columns[Number(this.part(side).value)] ?? this.group.columns[0]);
    this.expression = pattern(this.part("query").value);
    this.part("status").textContent = "searching…";
    this.place.dataset.state = "busy";
    const [preferred, leftScores, rightScores] = await Promise.all([preferences(this.left, this.right), scores(this.left), scores(this.right)]);
    if (isStale()) return;
    Object.assign(this, { preferred, leftScores, rightScores });
    let rows = await this.filtered(isStale);
    if (rows && this.expression) {
      const columns = this.part("scope").value === "all" ? this.group.columns : [this.left, this.right];
      const sources = [this.group.text, ...columns.map((column) => column.text)];
      const named = rowsOfId(this.part("query").value, await json(this.group.ids));
      rows = named ? rows.filter((row) => named.includes(row))
        : await matchingRows(rows, sources, this.expression, this.index.block, isStale);
    }
    if (rows) rows = await this.sorted(rows);
    if (!rows || isStale()) return;
    this.rows = rows;
    this.list.place.scrollTop = 0;
    this.list.selected = -1;
    this.list.setLength(rows.length);
    this.part("status").textContent = `${rows.length.toLocaleString("en")} of ${this.group.prompts.toLocaleString("en")} prompts`;
    const at = wantedRow >= 0 ? rows.indexOf(wantedRow) : 0;
    if (rows.length) this.list.choose(Math.max(0, at), true);
    else this.part("detail").replaceChildren(element("p", { class: "soft" }, "No prompt matches."));
    this.place.dataset.state = "ready";
  }

  async filtered(isStale) {
    const wanted = this.part("filter").value;
    const all = Array.from({ length: this.group.prompts }, (_, row) => row);
    if (wanted === "all") return all;
    if (wanted === "flipped") {
      const found = directVerdicts(this.left, this.right);
      return found ? this.byBlock(found.details, json, (orders) => contradicts(orders), isStale) : [];
    }
    if (wanted === "equal") {
      const other = await this.perRow(this.right.text, (text) => text, isStale);
      const own = other && (await this.perRow(this.left.text, (text) => text, isStale));
      return own && all.filter((row) => own[row] !== null && own[row] === other[row]);
    }
    return all.filter((row) => outcome(this.preferred?.[row]) === wanted);
  }

  async byBlock(chunks, read, keep, isStale) {
    const rows = [];
    for (let block = 0; block < chunks.length; block++) {
      (await read(chunks[block])).forEach((value, place) => keep(value) && rows.push(block * this.index.block + place));
      if (isStale()) return null;
    }
    return rows;
  }

  async perRow(chunks, convert, isStale) {
    const values = [];
    for (const chunk of chunks) {
      for (const text of await texts(chunk)) values.push(convert(text));
      if (isStale?.()) return null;
    }
    return values;
  }

  async sorted(rows) {
    const order = this.part("sort").value;
    if (order === "prompt") return rows;
    const length = (text) => text?.length ?? 0;
    const [left, right] = order === "score" ? [this.leftScores ?? [], this.rightScores ?? []]
      : await Promise.all([this.left, this.right].map((column) => this.perRow(column.text, length)));
    const difference = (row) => (left[row] ?? NaN) - (right[row] ?? NaN);
    const key = new Map(rows.map((row) => [row, difference(row)]));
    return rows.sort((a, b) => (isNaN(key.get(a)) - isNaN(key.get(b))) || key.get(b) - key.get(a) || a - b);
  }

  async fillRow(at, holder) {
    const row = this.rows[at];
    const word = { left: "left", right: "right", tie: "tie", none: "" }[outcome(this.preferred?.[row])];
    const snippet = element("span", { class: "snippet", dir: "auto" });
    const facts = [word && element("span", { class: `outcome ${word}` }, word === "tie" ? "tie" : `${word} preferred`)];
    const [a, b] = [this.leftScores?.[row], this.rightScores?.[row]];
    if (typeof a === "number" && typeof b === "number") facts.push(element("span", {}, `reward ${number(a - b, 2, true)}`));
    holder.append(snippet, element("span", { class: "facts" }, ...facts.filter(Boolean)));
    const block = await texts(this.group.text[Math.floor(row / this.index.block)]);
    snippet.append(...marked(block[row % this.index.block].slice(0, SNIPPET), this.expression));
  }

  async show(row) {
    const generation = this.generation;
    const parts = await detail(this.group, this.index.block, row, this.left, this.right, this.expression);
    if (generation !== this.generation || row !== this.rows[this.list.selected]) return;
    this.part("detail").replaceChildren(...parts);
    this.part("detail").scrollTop = 0;
    const state = { group: this.part("group").value, left: this.part("left").value, right: this.part("right").value,
      filter: this.part("filter").value, sort: this.part("sort").value, scope: this.part("scope").value, q: this.part("query").value, row };
    this.written = `#responses?${new URLSearchParams(state)}`;
    this.part("link").href = this.written;
  }
}
