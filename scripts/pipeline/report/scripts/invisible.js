// Characters that nobody sees: each gets its code before it, where a reader asks for them.
const INVISIBLE = /[\t\u00a0\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u2000-\u200f\u2028-\u202f\u205f-\u2064\u2066-\u206f\u3000\ufe00-\ufe0f\ufeff]|[\u{e0000}-\u{e01ef}]| +(?=\n|$)/gu;
const INLINE = "mark, ins, strong, em, s, code, span";

export function showInvisible(place) {
  const walker = document.createTreeWalker(place, NodeFilter.SHOW_TEXT);
  const found = [];
  while (walker.nextNode()) {
    const above = walker.currentNode.parentElement;
    if (above.closest(".text") && !above.closest(".formula")) found.push(walker.currentNode);
  }
  for (const node of found) {
    const text = node.data;
    const parts = [];
    let last = 0;
    for (const { 0: character, index } of text.matchAll(INVISIBLE)) {
      if (character[0] === " " && index + character.length === text.length && !endsLine(node)) continue;
      parts.push(text.slice(last, index));
      const code = character[0] === " " ? "·".repeat(character.length) : `U+${character.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}`;
      const sign = document.createElement("span");
      sign.className = "invisible";
      sign.textContent = code;
      parts.push(sign);
      last = index;
    }
    if (parts.length) node.replaceWith(...parts, text.slice(last));
  }
}

// Whether nothing stands behind a text on its line.
function endsLine(node) {
  let last = node;
  while (!last.nextSibling && last.parentElement.matches(INLINE)) last = last.parentElement;
  return !last.nextSibling || last.nextSibling.nodeName === "BR";
}
