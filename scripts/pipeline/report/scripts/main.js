// The page: charts, the table of results, the browser of responses.
import { Browser } from "./browser.js";
import { drawCharts } from "./charts.js";
import { offerTables } from "./exports.js";
import { followAddress } from "./place.js";
import { offerSets, onSet } from "./sets.js";
import { ResultsTable } from "./table.js";

offerSets();
const responses = document.getElementById("responses"); // there is none where there are no responses
const browser = responses && new Browser(responses);
offerTables();
const results = new ResultsTable(document.getElementById("results"), (row) => browser?.open(row));
followAddress(Promise.all([drawCharts(), browser?.first]));
onSet((name) => {
  results.draw();
  browser?.follow(name);
  drawCharts();
});
