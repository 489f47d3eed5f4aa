// Charts: each specification into its place, one after another so that the page stays responsive.
import { readJson } from "./codec.js";

const OPTIONS = { mode: "vega-lite", renderer: "svg", actions: false, ast: true, defaultStyle: false, hover: true,
  tooltip: { disableDefaultStyle: true } };

export async function drawCharts() {
  for (const [place, specification] of Object.entries(readJson("chart-specifications"))) {
    const target = document.getElementById(place);
    // Vega names the place by the description, or else calls every chart the same
    const description = target?.getAttribute("aria-label");
    if (target) await window.vegaEmbed(target, { ...specification, description }, OPTIONS);
    await new Promise((resume) => setTimeout(resume));
  }
  document.documentElement.dataset.charts = "drawn";
}
