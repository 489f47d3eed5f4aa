// Tables as files: CSV with ends of intervals in columns of their own, Markdown and LaTeX with them in brackets.
import { element } from "./codec.js";

const INTERVAL = /^(\S+) to (\S+)$/;
const KINDS = { CSV: ["csv", asCsv], Markdown: ["md", asMarkdown], LaTeX: ["tex", asLatex] };

// {names, numeric, rows} of a table; a cell is {text, low, high}, the ends "" where it has no interval.
export function readTable(table) {
  const heads = [...table.tHead.rows[table.tHead.rows.length - 1].cells];
  const rows = [...table.tBodies].flatMap((body) => [...body.rows]).map((row) => [...row.cells].map(readCell));
  return { names: heads.map((head) => readCell(head).text), numeric: heads.map((head) => head.classList.contains("n")), rows };
}

function readCell(cell) {
  const own = cell.cloneNode(true);
  const small = own.querySelector("small");
  const [, low = "", high = ""] = INTERVAL.exec(small?.textContent.trim() ?? "") ?? [];
  for (const part of own.querySelectorAll("small, .hidden")) part.remove();
  const text = own.textContent.replace(/\s+/g, " ").trim();
  return { text: text || (small && !low ? small.textContent.trim() : text), low, high };
}

export function asCsv({ names, rows }) {
  const split = names.map((_, i) => rows.some((row) => row[i]?.low));
  const head = names.flatMap((name, i) => (split[i] ? [name, `${name} low`, `${name} high`] : [name]));
  const lines = rows.map((row) => names.flatMap((_, i) => {
    const { text, low, high } = row[i] ?? { text: "", low: "", high: "" };
    return split[i] ? [text, low, high] : [text];
  }));
  return [head, ...lines].map((line) => line.map(csvField).join(",")).join("\r\n") + "\r\n";
}

// A field as spreadsheets read it: a number with a plain minus sign, and no text that they would take for a formula.
function csvField(text) {
  const plain = text === "–" ? "" : text.replace(/^\u2212(?=[\d∞])/, "-");
  const safe = /^[=+\-@\t]/.test(plain) && !/^[+-][\d.]+$/.test(plain) ? `'${plain}` : plain;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

export function asMarkdown({ names, numeric, rows }) {
  const escape = (text) => text.replace(/[\\|*_`<>[\]]/g, "\\$&");
  const cell = ({ text, low, high }) => escape(text) + (low ? ` [${low}, ${high}]` : "");
  const lines = [names.map(escape), numeric.map((is) => (is ? "---:" : "---")), ...rows.map((row) => row.map(cell))];
  return lines.map((line) => `| ${line.join(" | ")} |\n`).join("");
}

export function asLatex({ names, numeric, rows }) {
  const special = { "\\": "\\textbackslash{}", "~": "\\textasciitilde{}", "^": "\\textasciicircum{}", "\u2212": "$-$", "–": "--", "±": "$\\pm$",
    "<": "\\textless{}", ">": "\\textgreater{}", "|": "\\textbar{}" };
  const escape = (text) => text.replace(/[\\~^\u2212–±<>|]|[&%$#_{}]/g, (mark) => special[mark] ?? `\\${mark}`);
  const cell = ({ text, low, high }) => escape(text) + (low ? ` {\\scriptsize [${escape(low)}, ${escape(high)}]}` : "");
  const line = (cells) => `${cells.join(" & ")} \\\\\n`;
  const body = rows.map((row) => line(row.map(cell))).join("");
  return `% needs booktabs\n\\begin{tabular}{${numeric.map((is) => (is ? "r" : "l")).join("")}}\n\\toprule\n` +
    `${line(names.map(escape))}\\midrule\n${body}\\bottomrule\n\\end{tabular}\n`;
}

export function saveFile(name, text, kind) {
  const address = URL.createObjectURL(new Blob([text], { type: kind }));
  element("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}

// Buttons that save a table as it stands; `name` is that of the file.
export function saving(table, name, called) {
  const buttons = Object.entries(KINDS).map(([title, [ending, write]]) => element("button", {
    class: "link", onclick: () => saveFile(`${name}.${ending}`, write(readTable(table)), "text/plain"),
  }, title, element("span", { class: "hidden" }, ` of the table ${called}`)));
  return element("p", { class: "ways" }, ...buttons);
}

// Below each table of the page that has heads and scrolls; the head of its column of names stays in sight with that.
export function offerTables() {
  for (const section of document.querySelectorAll("main > section")) {
    const holders = [...section.querySelectorAll(".scroll")]
      .filter((holder) => holder.querySelector(":scope > table > thead") && !holder.closest("table, #data"));
    holders.forEach((holder, at) => {
      const name = holders.length > 1 ? `${section.id}-${at + 1}` : section.id;
      const table = holder.querySelector("table");
      markNames(table);
      holder.after(saving(table, name, holder.getAttribute("aria-label") ?? name));
    });
  }
}

export function markNames(table) {
  const column = [...(table.tBodies[0]?.rows[0]?.cells ?? [])].findIndex((cell) => cell.tagName === "TH");
  table.tHead?.rows[table.tHead.rows.length - 1].cells[column]?.classList.add("run");
}
