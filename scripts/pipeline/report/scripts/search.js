// Search in texts: block after block, giving way to the page in between.
import { texts } from "./codec.js";

const TURN = 24; // milliseconds of work before the page gets its turn
const TOLD = 120; // milliseconds after which a search tells what it has found so far
const MARKS = 1000; // of a text; more of them nobody looks at, and a page cannot take any number
const ENOUGH = 8; // characters of the beginning of an id that tell it from others

export function pattern(query) {
  return query ? new RegExp(query.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"), "iu") : null;
}

// Rows (of `rows`, ascending) where any of the sources matches; null when `isStale` says that nobody waits any more.
// `tell` is given those of a search that takes long, each time that there are more.
export async function matchingRows(rows, sources, expression, block, isStale, tell) {
  const found = [];
  let [started, toldAt, told] = [performance.now(), performance.now(), 0];
  for (let at = 0; at < rows.length; ) {
    const number = Math.floor(rows[at] / block);
    const parts = await Promise.all(sources.map((source) => texts(source[number])));
    if (isStale()) return null;
    for (; at < rows.length && Math.floor(rows[at] / block) === number; at++) {
      const place = rows[at] - number * block;
      if (parts.some((part) => part[place] !== null && expression.test(part[place]))) found.push(rows[at]);
    }
    if (found.length > told && performance.now() - toldAt > TOLD) {
      tell([...found]);
      [toldAt, told] = [performance.now(), found.length];
    }
    if (performance.now() - started > TURN) {
      await new Promise((resume) => setTimeout(resume));
      started = performance.now();
    }
  }
  return found;
}

// Unpacks what a search looks at, block after block, while nobody waits for anything else.
export async function warm(sources, isStale) {
  for (let number = 0; number < (sources[0]?.length ?? 0) && !isStale(); number++) {
    await Promise.all(sources.map((source) => texts(source[number])));
    await new Promise((resume) => setTimeout(resume));
  }
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
