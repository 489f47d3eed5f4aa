// Marks in the texts that are shown: what answers do not share, what was searched for, characters that nobody sees.
import { unshared } from "./differences.js";
import { showInvisible } from "./invisible.js";
import { matches } from "./search.js";

const MADE = ".text mark, .text ins, .text .invisible";

// Takes away what it made before. `answers` are the elements of the answers, the first of which the others are compared with.
export function decorate(place, answers, { expression, differences, invisible }) {
  for (const made of place.querySelectorAll(MADE)) made.replaceWith(...(made.className === "invisible" ? [] : made.childNodes));
  place.normalize();
  if (differences && answers.length > 1) {
    const parts = answers.map((answer) => [...pieces(answer)]);
    unshared(parts.map((each) => each.map((piece) => piece.text))).forEach((ranges, at) => wrap(parts[at], ranges, "ins"));
  }
  if (expression) {
    for (const text of place.querySelectorAll(".text:not(.reply)")) markMatches(text, expression);
  }
  if (invisible) showInvisible(place);
}

export function markMatches(place, expression) {
  const parts = [...pieces(place)];
  wrap(parts, matches(parts.map((piece) => piece.text).join(""), expression), "mark");
}

// The texts of an element in their order; of a formula, which is marked as a whole, its source.
function* pieces(place) {
  for (const child of place.childNodes) {
    if (child.nodeType === Node.TEXT_NODE) yield { node: child, text: child.data };
    else if (child.matches(".formula")) yield { node: child, text: child.title };
    else yield* pieces(child);
  }
}

// Puts what stands in the ranges (ascending, in the joined text of the pieces) into elements of their own.
function wrap(parts, ranges, tag) {
  let [at, offset] = [0, 0];
  for (const { node, text } of parts) {
    const end = offset + text.length;
    const found = [];
    let last = 0;
    for (; at < ranges.length && ranges[at][0] < end; at++) {
      const [from, to] = [Math.max(ranges[at][0] - offset, 0), Math.min(ranges[at][1] - offset, text.length)];
      const made = document.createElement(tag);
      if (node.nodeType === Node.TEXT_NODE) {
        made.textContent = text.slice(from, to);
        found.push(text.slice(last, from), made);
        last = to;
      } else if (!found.length) {
        node.before(made);
        made.append(node);
        found.push(made);
      }
      if (ranges[at][1] > end) break; // goes on in the next piece
    }
    if (found.length && node.nodeType === Node.TEXT_NODE) node.replaceWith(...found.filter((part) => part !== ""), text.slice(last));
    offset = end;
  }
}
