// Which prompts the page is about: the split's, or a set's, which the address says: #answer?set=alpaca_eval.
import { element } from "./codec.js";

const followers = [];

function setChoice() {
  return document.querySelector("select[data-choose-set]"); // there is none where there are no sets
}

export function chosenSet() {
  return setChoice()?.value;
}

// Calls `show` with the set's name whenever another is chosen.
export function onSet(show) {
  followers.push(show);
}

// An address of the page with the set that is chosen; the split's is the usual one.
export function inSet(address) {
  const [place, state] = address.split("?");
  const wanted = new URLSearchParams(state);
  wanted.delete("set");
  if (setChoice()?.selectedIndex > 0) wanted.set("set", chosenSet());
  return wanted.size ? `${place}?${wanted}` : place;
}

export function offerSets() {
  const choice = setChoice();
  if (!choice) return;
  const keep = () => history.replaceState(null, "", inSet(location.hash || "#answer"));
  const read = () => {
    const wanted = new URLSearchParams(location.hash.split("?")[1]).get("set");
    if (wanted !== null && wanted !== choice.value && [...choice.options].some((option) => option.value === wanted)) {
      choice.value = wanted;
      showSet(choice);
    } else if (location.hash && wanted === null) keep();
  };
  choice.addEventListener("change", () => {
    showSet(choice);
    keep();
  });
  addEventListener("hashchange", read);
  for (const table of document.querySelectorAll("table.matrix")) offerOrder(table);
  for (const axis of document.querySelectorAll(".axes input")) axis.addEventListener("change", () => sameAxis(axis.value));
  read();
}

function showSet(choice) {
  for (const part of document.querySelectorAll("[data-set]")) part.hidden = part.dataset.set !== choice.value;
  for (const note of document.querySelectorAll(".of-split")) note.hidden = choice.selectedIndex === 0;
  for (const part of document.querySelectorAll("[data-categories]")) part.open = part.dataset.categories === choice.value;
  for (const table of document.querySelectorAll("table[data-by-set]")) {
    const head = table.querySelector(`th[data-name="${CSS.escape(choice.value)}"]`);
    if (head) orderBy(table, head.cellIndex);
    const folded = table.closest("details");
    if (folded && choice.selectedIndex > 0) folded.open = Boolean(head);
    for (const row of table.rows) for (const cell of row.cells) cell.classList.toggle("chosen", cell.cellIndex === head?.cellIndex);
    if (head) table.parentElement.scrollLeft = Math.max(0, head.offsetLeft - table.parentElement.clientWidth / 2);
  }
  for (const show of followers) show(choice.value);
}

// Headings that order the rows by their column.
function offerOrder(table) {
  for (const head of table.tHead.rows[0].cells) {
    if (!head.dataset.name) continue;
    const [name, ...more] = head.childNodes;
    head.replaceChildren(element("button", { class: "sort", onclick: () => orderBy(table, head.cellIndex) }, name), ...more);
  }
}

// The rows with the highest rates first; those without one last.
function orderBy(table, column) {
  const rate = (row) => parseFloat(row.cells[column].textContent);
  const rows = [...table.tBodies[0].rows];
  rows.sort((a, b) => isNaN(rate(a)) - isNaN(rate(b)) || rate(b) - rate(a));
  table.tBodies[0].append(...rows);
  for (const head of table.tHead.rows[0].cells) head.setAttribute("aria-sort", head.cellIndex === column ? "descending" : "none");
}

// The cost that is chosen for one set is shown for all.
function sameAxis(column) {
  for (const axis of document.querySelectorAll(".axes input")) axis.checked = axis.value === column;
}
