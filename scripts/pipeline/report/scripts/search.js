// Search in texts: block after block, giving way to the page in between.
import { texts } from "./codec.js";

const TURN = 24; // milliseconds of work before the page gets its turn
const MARKS = 1000; // of a text; more of them nobody looks at, and a page cannot take any number
const ENOUGH = 8; // characters of the beginning of an id that tell it from others

export function pattern(query) {
  return query ? new RegExp(query.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"), "iu") : null;
}

// Rows (of `rows`, ascending) where any of the sources matches; null when `isStale` says that nobody waits any more.
export async function matchingRows(rows, sources, expression, block, isStale) {
  const found = [];
  let started = performance.now();
  for (let at = 0; at < rows.length; ) {
    const number = Math.floor(rows[at] / block);
    const parts = await Promise.all(sources.map((source) => texts(source[number])));
    if (isStale()) return null;
    for (; at < rows.length && Math.floor(rows[at] / block) === number; at++) {
      const place = rows[at] - number * block;
      if (parts.some((part) => part[place] !== null && expression.test(part[place]))) found.push(rows[at]);
    }
    if (performance.now() - started > TURN) {
      await new Promise((resume) => setTimeout(resume));
      started = performance.now();
    }
  }
  return found;
}

// Rows whose prompt has the id that was asked for, as the page prints it or its beginning; null where none has.
export function rowsOfId(query, ids) {
  const wanted = query.trim().replace(/^prompt /, "");
  const found = [...ids.keys()].filter((row) => ids[row] === wanted || (wanted.length >= ENOUGH && ids[row].startsWith(wanted)));
  return found.length ? found : null;
}

// Ranges [start, end) of the matches in a text: the first ones of very many.
export function matches(text, expression) {
  const ranges = [];
  for (const match of text.matchAll(new RegExp(expression.source, "giu"))) {
    ranges.push([match.index, match.index + match[0].length]);
    if (ranges.length >= MARKS) break;
  }
  return ranges;
}
