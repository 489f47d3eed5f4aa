// Charts: each specification into its place, one after another so that the page stays responsive.
import { element, readJson } from "./codec.js";
import { saveFile } from "./exports.js";
import { numbersOf } from "./numbers.js";
import { runScript } from "./packed.js";

const OPTIONS = { mode: "vega-lite", renderer: "svg", actions: false, ast: true, defaultStyle: false, hover: true,
  tooltip: { disableDefaultStyle: true } };

export async function drawCharts() {
  const views = new Map();
  const [specifications] = await Promise.all([readJson("chart-specifications"), runScript("charts")]);
  for (const [place, specification] of Object.entries(specifications)) {
    const target = document.getElementById(place);
    // Vega names the place by the description, or else calls every chart the same
    const description = target?.getAttribute("aria-label");
    if (target) {
      const { view } = await window.vegaEmbed(target, { ...specification, description }, OPTIONS);
      views.set(place, view);
      target.after(waysOut(place, description, specification, view));
    }
    await new Promise((resume) => setTimeout(resume));
  }
  for (const menu of document.querySelectorAll("[data-choices]")) offerChoices(menu, views);
  document.documentElement.dataset.charts = "drawn";
}

// Below a chart: its numbers as a table, made when they are asked for, and the chart as a file.
function waysOut(place, description, specification, view) {
  const summary = element("summary", {}, "numbers", element("span", { class: "hidden" }, ` of ${description}`));
  const numbers = element("details", { class: "numbers" }, summary);
  const fill = () => numbers.open && numbers.replaceChildren(summary, ...numbersOf(specification, description, chosenIn(specification, view)));
  numbers.addEventListener("toggle", fill);
  if (chosenIn(specification, view)) view.addSignalListener("chosen", fill);
  const svg = element("button", { class: "link", onclick: async () => saveFile(`${place}.svg`, await onPaper(await view.toSVG()), "image/svg+xml") },
    "SVG", element("span", { class: "hidden" }, ` of ${description}`));
  return element("div", { class: "ways" }, numbers, svg);
}

// The runs that a chart draws, where readers choose them.
function chosenIn(specification, view) {
  return specification.params?.some((one) => one.name === "chosen") ? view.signal("chosen") : undefined;
}

// A drawing with the colours of paper in place of the page's.
async function onPaper(svg) {
  for (const [variable, color] of Object.entries(await readJson("chart-colors"))) svg = svg.replaceAll(variable, color);
  return svg;
}

// Boxes that say which runs the charts of a row draw.
function offerChoices(menu, views) {
  const places = menu.dataset.choices.split(" ").map((place) => views.get(place));
  const boxes = [...menu.querySelectorAll("input")];
  const drawn = new Set(places[0].signal("chosen"));
  for (const box of boxes) {
    box.checked = drawn.has(box.value);
    box.addEventListener("change", () => {
      if (!boxes.some((one) => one.checked)) box.checked = true; // a chart of nothing has no axes
      const chosen = boxes.filter((one) => one.checked).map((one) => one.value);
      for (const view of places) view.signal("chosen", chosen).runAsync();
    });
  }
}
