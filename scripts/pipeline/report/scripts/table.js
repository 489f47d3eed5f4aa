// The table of all results: filters, columns to choose, sorting by a click on a heading.
import { element, number } from "./codec.js";
import { markNames, saving } from "./exports.js";

const TITLES = { tag: "tag", dataset: "dataset", model: "model", decoding: "decoding", method: "method", run: "run", against: "against", seed: "seeds", caveats: "rests on" };

export class ResultsTable {
  constructor(place, content, openRun) {
    this.place = place;
    this.openRun = openRun;
    Object.assign(this, content);
    this.chosen = {};
    this.usual = this.columns.filter((column) => column.shown).map((column) => column.name);
    this.controls = place.querySelector(".controls");
    this.table = place.querySelector("table");
    this.count = place.querySelector(".count");
    this.buildControls();
    this.link = element("a", {}, "link to this view");
    this.count.append(element("span"), " ", this.link);
    place.querySelector(".scroll").after(saving(this.table, "results", "of all results"));
    this.read(location.hash);
    window.addEventListener("hashchange", () => { if (location.hash !== this.written) this.read(location.hash); });
  }

  // Shows what a link asks for: #results?against=chosen&sort=-rating; without one all runs, many of them by their rating.
  read(hash) {
    if (this.written !== undefined && !hash.startsWith("#results?")) return;
    const wanted = new URLSearchParams(hash.startsWith("#results?") ? hash.slice(9) : "");
    const many = this.byRating && this.columns.some((column) => column.name === "rating");
    const sort = wanted.get("sort") ?? (many ? "-rating" : "");
    this.sort = sort && sort !== "config" ? { name: sort.replace(/^-/, ""), down: sort.startsWith("-") } : null;
    const names = wanted.get("columns")?.split(",") ?? this.usual;
    this.shown = new Set(this.columns.map((column) => column.name).filter((name) => names.includes(name)));
    for (const box of this.controls.querySelectorAll("[data-column]")) box.checked = this.shown.has(box.dataset.column);
    this.chosen = {};
    for (const select of this.controls.querySelectorAll("select")) {
      const value = wanted.get(select.dataset.filter) ?? "";
      select.value = [...select.options].some((option) => option.value === value) ? value : "";
      if (select !== this.seedSelect) this.chosen[select.dataset.filter] = select.value;
    }
    document.getElementById("each-seed").checked = wanted.has("seeds");
    document.getElementById("best-only").checked = this.selected && wanted.has("best");
    this.search.value = wanted.get("q") ?? "";
    this.draw();
  }

  // The address of what is shown, which names what is chosen and leaves out what is usual.
  address() {
    const state = new URLSearchParams(Object.entries({ ...this.chosen, seed: this.seedSelect.value, q: this.search.value }).filter(([, value]) => value));
    if (document.getElementById("each-seed").checked) state.set("seeds", "each");
    if (document.getElementById("best-only").checked) state.set("best", "only");
    const order = this.sort ? `${this.sort.down ? "-" : ""}${this.sort.name}` : "config";
    if (this.sort || this.byRating) state.set("sort", order);
    const columns = [...this.shown];
    if (columns.length !== this.usual.length || columns.some((name) => !this.usual.includes(name))) state.set("columns", columns.join(","));
    return `#results?${state}`;
  }

  value(row, name) {
    return name.startsWith("hyper.") ? row.hyper[name.slice(6)] : row[name];
  }

  distinct(name, rows) {
    const values = [...new Set(rows.map((row) => this.value(row, name)).filter((value) => value !== undefined))];
    return values.every((value) => value !== "" && !isNaN(value)) ? values.sort((a, b) => a - b) : values;
  }

  buildControls() {
    const seeds = element("input", { type: "checkbox", id: "each-seed", onchange: () => this.draw() });
    this.controls.append(element("label", { class: "check" }, seeds, "each seed"));
    const best = element("input", { type: "checkbox", id: "best-only", disabled: !this.selected, onchange: () => this.draw() });
    this.controls.append(element("label", { class: "check" }, best, "best of each sweep"));
    for (const name of ["tag", "dataset", "model", "decoding", "method", "against", ...this.hyper.map((key) => `hyper.${key}`)]) {
      const values = this.distinct(name, this.rows);
      const title = name.replace("hyper.", "");
      const select = element("select", { "data-filter": name, "aria-label": title, onchange: (event) => {
        this.chosen[name] = event.target.value;
        this.draw();
      } });
      select.append(element("option", { value: "" }, `all`));
      for (const value of values) select.append(element("option", { value }, value));
      this.controls.append(element("label", { class: values.length > 1 ? "" : "single" }, element("span", {}, title), select));
    }
    this.seedSelect = element("select", { "data-filter": "seed", "aria-label": "seed", onchange: () => this.draw() });
    this.seedSelect.append(element("option", { value: "" }, "all"));
    for (const value of this.distinct("seed", this.rows.filter((row) => row.seeded))) {
      this.seedSelect.append(element("option", { value }, value));
    }
    this.controls.append(element("label", {}, element("span", {}, "seed"), this.seedSelect));
    this.search = element("input", { type: "search", placeholder: "name of a run", "aria-label": "name of a run", oninput: () => this.draw() });
    this.controls.append(element("label", {}, element("span", {}, "run"), this.search));
    const menu = element("div", { class: "menu" });
    for (const column of this.columns) {
      const box = element("input", { type: "checkbox", "data-column": column.name, onchange: (event) => {
        if (event.target.checked) this.shown.add(column.name);
        else this.shown.delete(column.name);
        this.draw();
      } });
      menu.append(element("label", { class: "check" }, box, column.title));
    }
    this.controls.append(element("details", { class: "columns" }, element("summary", {}, "columns"), menu));
  }

  visibleRows() {
    const seeded = document.getElementById("each-seed").checked || this.seedSelect.value !== "";
    document.getElementById("each-seed").checked = seeded;
    const best = document.getElementById("best-only").checked;
    const wanted = Object.entries(this.chosen).filter(([, value]) => value !== "");
    const text = this.search.value.toLowerCase();
    const rows = this.rows.filter((row) => row.seeded === seeded && (!best || row.best) &&
      wanted.every(([name, value]) => this.value(row, name) === value) &&
      (!this.seedSelect.value || row.seed === this.seedSelect.value) && row.run.toLowerCase().includes(text));
    if (this.sort) {
      const { name, down } = this.sort;
      const missing = (value) => value === undefined || value === "";
      const compare = (a, b) => (typeof a === "number" ? a - b : String(a).localeCompare(String(b), undefined, { numeric: true }));
      rows.sort((first, second) => {
        const [a, b] = [this.value(first, name), this.value(second, name)];
        if (missing(a) || missing(b)) return missing(a) - missing(b);
        return down ? compare(b, a) : compare(a, b);
      });
    }
    return rows;
  }

  draw() {
    const rows = this.visibleRows();
    const several = (name) => this.distinct(name, this.rows).length > 1;
    const names = this.names.filter((name) => name === "run" || name === "seed" || several(name) ||
      (name === "caveats" && rows.some((row) => row.caveats)));
    const texts = [...names, ...this.hyper.map((key) => `hyper.${key}`)];
    const columns = this.columns.filter((column) => this.shown.has(column.name));
    const head = element("tr");
    for (const name of texts) head.append(this.heading(name, TITLES[name] ?? name.slice(6), false));
    for (const column of columns) head.append(this.heading(column.name, column.title, true));
    const body = element("tbody");
    for (const row of rows) {
      const line = element("tr");
      for (const name of texts) {
        const value = this.value(row, name) ?? "";
        if (name === "run") {
          const link = this.openRun ? element("button", { class: "link", title: "read its responses", onclick: () => this.openRun(row) }, value) : value;
          line.append(element("th", { scope: "row" }, link, row.best ? element("small", {}, "best of its sweep") : ""));
        } else line.append(element("td", {}, value));
      }
      for (const column of columns) line.append(this.cell(row, column));
      body.append(line);
    }
    this.table.replaceChildren(element("thead", {}, head), body);
    markNames(this.table);
    this.written = this.address();
    this.link.href = this.written;
    this.count.firstElementChild.textContent = `${rows.length} of ${this.rows.filter((row) => row.seeded === (rows[0]?.seeded ?? false)).length} rows`;
  }

  heading(name, title, isNumber) {
    const sorted = this.sort?.name === name ? (this.sort.down ? "descending" : "ascending") : "none";
    const button = element("button", { class: "sort", "data-sort": name, onclick: () => {
      // Numbers start with the highest, names with the first; the third click restores the order of the config.
      const first = isNumber;
      if (this.sort?.name !== name) this.sort = { name, down: first };
      else if (this.sort.down === first) this.sort = { name, down: !first };
      else this.sort = null;
      this.draw();
    } }, title);
    return element("th", { scope: "col", class: isNumber ? "n" : "", "aria-sort": sorted }, button);
  }

  cell(row, column) {
    const value = row[column.name];
    const signed = column.name === "difference";
    const small = column.name.includes("p_value") && value < 10 ** -column.digits;
    const text = small ? `< ${number(10 ** -column.digits, column.digits)}` : number(value, column.digits, signed);
    const cell = element("td", { class: "n" }, text);
    const [low, high] = [row[`${column.name}_low`], row[`${column.name}_high`]];
    if (low !== undefined) cell.append(element("small", {}, `${number(low, column.digits)} to ${number(high, column.digits)}`));
    return cell;
  }
}
