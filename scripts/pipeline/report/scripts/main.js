// The page: charts, the table of results, the browser of responses.
import { Browser } from "./browser.js";
import { drawCharts } from "./charts.js";
import { readJson } from "./codec.js";
import { offerTables } from "./exports.js";
import { followAddress } from "./place.js";
import { filterSets } from "./sets.js";
import { ResultsTable } from "./table.js";

filterSets();
offerTables();
// An excerpt of the page has not all of its sections.
const [responses, results] = ["responses", "results"].map((name) => document.getElementById(name));
const [index, table] = await Promise.all([responses && readJson("responses-index"), results && readJson("results-table")]);
const browser = responses && new Browser(responses, index);
if (results) new ResultsTable(results, table, browser && ((row) => browser.open(row)));
followAddress(Promise.all([drawCharts(), browser?.first]));
