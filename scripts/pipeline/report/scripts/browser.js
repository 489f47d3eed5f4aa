// The browser of responses: two to four columns, a filter, a search, a list of prompts, one prompt in full.
import { element, json, number, texts, whole } from "./codec.js";
import { decorate, markMatches } from "./decorate.js";
import { columnKey, columnName, detail, shortKey } from "./detail.js";
import { filtersOf } from "./filters.js";
import { Labels } from "./labels.js";
import { runScript } from "./packed.js";
import { margins, outcome, preferences, scores } from "./outcomes.js";
import { matchingRows, pattern, rowsOfId, warm } from "./search.js";
import { VirtualList } from "./virtual_list.js";

const SORTS = { prompt: "in their order", judge: "judge's margin, left first", "judge-up": "judge's margin, right first",
  score: "reward, left higher first", "score-up": "reward, right higher first",
  length: "length, left longer first", "length-up": "length, right longer first" };
const FORMS = { plain: "text", typewriter: "text in a code font", formatted: "Markdown and formulas" };
const MORE = ["third", "fourth"]; // columns beside the two that filters and orders are of
const SNIPPET = 160;
const PAUSE = 80; // milliseconds without a key, after which a search begins

export class Browser {
  constructor(place, index) {
    this.place = place;
    this.index = index;
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
    this.part("sort").append(...options(SORTS));
    this.part("group").addEventListener("change", () => this.read(new URLSearchParams({ group: this.index.groups[this.part("group").value].title })));
    this.part("form").append(...options(FORMS));
    for (const name of ["left", "right", "filter", "slice", "sort", "scope"]) this.part(name).addEventListener("change", () => this.update());
    for (const name of MORE) this.part(name).addEventListener("change", () => this.update(this.rows[this.list.selected]));
    this.part("form").addEventListener("change", () => this.rows.length && this.show(this.rows[this.list.selected]));
    for (const name of ["invisible", "differences"]) this.part(name).addEventListener("change", () => this.decorate());
    this.part("detail").addEventListener("unfold", () => this.decorate());
    this.labels = new Labels();
    this.part("blind").addEventListener("change", () => this.update(this.rows[this.list.selected]));
    this.part("save").addEventListener("click", () => this.labels.save());
    this.part("detail").addEventListener("verdict", ({ detail: verdict }) => this.take(verdict));
    this.part("swap").addEventListener("click", () => {
      [this.part("left").value, this.part("right").value] = [this.part("right").value, this.part("left").value];
      this.update();
    });
    let waiting;
    this.part("query").addEventListener("input", () => {
      clearTimeout(waiting);
      waiting = setTimeout(() => this.update(), PAUSE);
    });
    // A reader who goes to the search will soon search.
    this.part("query").addEventListener("focus", () => {
      const generation = this.generation;
      warm(this.sources(), () => generation !== this.generation);
    });
  }

  // Shows what a link asks for; without one, the last run beside the baseline run.
  read(wanted) {
    const number_ = Math.max(0, this.index.groups.findIndex((group) => group.title === wanted.get("group")));
    this.group = this.index.groups[number_];
    this.part("group").value = number_;
    const columns = this.group.columns;
    for (const side of ["left", "right"]) {
      this.part(side).replaceChildren(...columns.map((column, i) => element("option", { value: i }, columnName(column))));
    }
    for (const name of MORE) {
      const found = columns.findIndex((column) => [columnKey(column), shortKey(column)].includes(wanted.get(name)));
      this.part(name).replaceChildren(...[-1, ...columns.keys()].map((i) => element("option", { value: i }, i < 0 ? "none" : columnName(columns[i]))));
      this.part(name).value = found;
    }
    const at = (run, seed) => columns.findIndex((column) => column.run === run && (seed === undefined || column.seed === seed));
    const named = (side) => columns.findIndex((column) => [columnKey(column), shortKey(column)].includes(wanted.get(side)));
    const runs = columns.filter((column) => column.seed !== null && column.decoding === this.group.told);
    const left = named("left") >= 0 ? named("left") : at(runs.at(-1)?.run);
    const other = at(this.index.baseline, columns[left]?.seed);
    this.part("left").value = Math.max(0, left);
    this.part("right").value = named("right") >= 0 ? named("right") : Math.max(0, other === left || other < 0 ? at("chosen") : other);
    this.offerFilters(wanted.get("filter") ?? "all");
    const slices = ["", ...this.group.slices.map((part) => part.name)];
    this.part("slice").replaceChildren(...slices.map((name) => element("option", { value: name }, name || "all kinds")));
    this.part("slice").parentElement.hidden = slices.length < 2;
    this.part("slice").value = slices.includes(wanted.get("slice")) ? wanted.get("slice") : "";
    this.part("sort").value = wanted.get("sort") ?? "prompt";
    this.part("scope").value = wanted.get("scope") ?? "shown";
    this.part("form").value = wanted.get("form") in FORMS ? wanted.get("form") : this.part("form").value;
    this.part("query").value = wanted.get("q") ?? "";
    return this.update(Number(wanted.get("row") ?? -1));
  }

  open(row) {
    const group = this.index.groups.find((found) => ["dataset", "model", "decoding"].every((name) => found[name] === row[name]));
    const left = group.columns.find((column) => column.run === row.run && (!row.seeded || String(column.seed) === row.seed));
    const right = group.columns.find((column) => column.run === row.against && (column.seed === null || column.seed === left.seed));
    this.place.scrollIntoView({ behavior: "smooth" });
    return this.read(new URLSearchParams({ group: group.title, left: columnKey(left), ...(right ? { right: columnKey(right) } : {}) }));
  }

  // The filters of the two columns that are chosen, `wanted` where they have it.
  offerFilters(wanted) {
    [this.left, this.right] = ["left", "right"].map((side) => this.group.columns[Number(this.part(side).value)] ?? this.group.columns[0]);
    const more = MORE.map((name) => this.group.columns[Number(this.part(name).value)]).filter(Boolean);
    this.columns = [this.left, this.right, ...more];
    this.part("fourth").parentElement.hidden = !more.length;
    this.part("browser").classList.toggle("wide", more.length > 0);
    this.part("browser").classList.toggle("blind", this.part("blind").checked);
    this.filters = filtersOf(this.group, this.left, this.right);
    this.part("filter").replaceChildren(...Object.entries(this.filters).map(([value, { title }]) => element("option", { value }, title)));
    this.part("filter").value = wanted in this.filters ? wanted : "all";
  }

  async update(wantedRow = -1) {
    const generation = ++this.generation;
    const isStale = () => generation !== this.generation;
    this.offerFilters(this.part("filter").value);
    this.expression = pattern(this.part("query").value);
    this.part("status").textContent = "searching…";
    this.place.dataset.state = "busy";
    const [preferred, leftScores, rightScores] = await Promise.all([preferences(this.left, this.right), scores(this.left), scores(this.right)]);
    if (isStale()) return;
    Object.assign(this, { preferred, leftScores, rightScores });
    const keep = await this.filters[this.part("filter").value].keep();
    const slice = this.group.slices.find((part) => part.name === this.part("slice").value);
    const all = slice ? await json(slice.rows) : Array.from({ length: this.group.prompts }, (_, row) => row);
    if (isStale()) return;
    let rows = all.filter(keep);
    let told = false;
    if (this.expression) {
      const named = rowsOfId(this.part("query").value, await json(this.group.ids));
      rows = named ? rows.filter((row) => named.includes(row))
        : await matchingRows(rows, this.sources(), this.expression, this.index.block, isStale, (found) => {
          told = true;
          this.tell(found);
        });
    }
    if (rows) rows = await this.sorted(rows);
    if (!rows || isStale()) return;
    const at = wantedRow >= 0 ? rows.indexOf(wantedRow) : 0;
    const chosen = told && wantedRow < 0 && this.part("sort").value === "prompt" ? this.list.selected : -1; // while it searched
    this.list.place.scrollTop = chosen < 0 ? 0 : this.list.place.scrollTop;
    this.list.selected = chosen;
    this.rows = rows;
    this.list.setLength(rows.length);
    this.part("status").textContent = `${rows.length.toLocaleString("en")} of ${this.group.prompts.toLocaleString("en")} prompts`;
    if (!rows.length) this.part("detail").replaceChildren(element("p", { class: "soft" }, "No prompt matches."));
    else if (chosen < 0) this.list.choose(Math.max(0, at), true);
    this.place.dataset.state = "ready";
  }

  // What a search looks at: the prompts, and the columns that are shown or all.
  sources() {
    const columns = this.part("scope").value === "all" ? this.group.columns : this.columns;
    return [this.group.text, ...columns.map((column) => column.text)];
  }

  // Lists what a search has found so far, the first of them chosen.
  tell(found) {
    const first = this.place.dataset.state !== "searching";
    this.place.dataset.state = "searching";
    this.rows = found;
    if (first) Object.assign(this.list, { selected: -1 }).place.scrollTop = 0;
    this.list.setLength(found.length);
    if (first) this.list.choose(0);
    this.part("status").textContent = `${found.length.toLocaleString("en")} so far, searching…`;
  }

  async sorted(rows) {
    const [order, up] = this.part("sort").value.split("-");
    if (order === "prompt") return rows;
    const values = order === "judge" ? await margins(this.left, this.right) : await this.differences(order);
    const direction = up ? -1 : 1;
    const key = new Map(rows.map((row) => [row, direction * (values[row] ?? NaN)]));
    return rows.sort((a, b) => (isNaN(key.get(a)) - isNaN(key.get(b))) || key.get(b) - key.get(a) || a - b);
  }

  async differences(order) {
    const length = (text) => text?.length ?? 0;
    const [left, right] = order === "score" ? [this.leftScores ?? [], this.rightScores ?? []]
      : await Promise.all([this.left, this.right].map(async (column) => (await whole(column.text, texts)).map(length)));
    return Array.from({ length: this.group.prompts }, (_, row) => (left[row] ?? NaN) - (right[row] ?? NaN));
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
    const turns = (await json(this.group.turns[Math.floor(row / this.index.block)]))[row % this.index.block];
    const asked = turns.findLast(([role]) => role === "user") ?? [null, 0];
    snippet.append(block[row % this.index.block].slice(asked[1], asked[2]).slice(0, SNIPPET));
    if (this.expression) markMatches(snippet, this.expression);
  }

  async show(row) {
    const generation = this.generation;
    const [form, blind] = [this.part("form").value, this.part("blind").checked];
    if (form === "formatted") await runScript("reading");
    const parts = await detail(this.group, this.index.block, row, this.columns, { form, blind, expression: this.expression });
    if (generation !== this.generation || row !== this.rows[this.list.selected] || form !== this.part("form").value) return;
    this.part("detail").replaceChildren(...parts);
    this.decorate();
    this.part("detail").scrollTop = 0;
    const state = { group: this.group.title, left: columnKey(this.left), right: columnKey(this.right) };
    this.columns.slice(2).forEach((column, i) => { state[MORE[i]] = columnKey(column); });
    for (const name of ["filter", "slice", "sort", "scope", "form"]) state[name] = this.part(name).value;
    this.written = `#responses?${new URLSearchParams({ ...state, q: this.part("query").value, row })}`;
    this.part("link").href = this.written;
  }

  // A reader's verdict: the next prompt is shown, if there is one.
  take(verdict) {
    this.labels.add(verdict);
    this.part("save").hidden = false;
    this.part("save").textContent = `save ${this.labels.given.size} of your verdicts`;
    this.list.choose(Math.min(this.list.selected + 1, this.rows.length - 1), true);
  }

  decorate() {
    const answers = [...this.part("detail").querySelectorAll("article")].map((article) => article.querySelector(".text")).filter(Boolean);
    const [differences, invisible] = ["differences", "invisible"].map((name) => this.part(name).checked);
    decorate(this.part("detail"), answers, { expression: this.expression, differences, invisible });
  }
}
