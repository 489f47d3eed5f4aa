// The page: charts, the table of results, the browser of responses.
import { Browser } from "./browser.js";
import { drawCharts } from "./charts.js";
import { offerTables } from "./exports.js";
import { followAddress } from "./place.js";
import { ResultsTable } from "./table.js";

const browser = new Browser(document.getElementById("responses"));
offerTables();
new ResultsTable(document.getElementById("results"), (row) => browser.open(row));
followAddress(Promise.all([drawCharts(), browser.first]));
