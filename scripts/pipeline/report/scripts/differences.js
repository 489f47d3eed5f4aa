// What two answers do not share, word by word: what is shown of each, with the words that only it has marked.
const CELLS = 9e6; // of the comparison's table; longer answers are compared at their ends alone

export function showDifferences(place) {
  const [left, right] = [...place.querySelectorAll("article")].map((article) => article.querySelector(".text"));
  if (!left || !right) return;
  const [own, other] = [left, right].map((side) => side.textContent.match(/\s+|[\p{L}\p{N}_]+|[^\s\p{L}\p{N}_]/gu) ?? []);
  const kept = common(own, other);
  for (const [side, words, same] of [[left, own, kept.map(([at]) => at)], [right, other, kept.map(([, at]) => at)]]) {
    const shared = new Set(same);
    const parts = [];
    for (let at = 0, end; at < words.length; at = end) {
      for (end = at + 1; end < words.length && shared.has(end) === shared.has(at);) end++;
      const text = words.slice(at, end).join("");
      if (shared.has(at)) parts.push(text);
      else {
        const only = document.createElement("ins");
        only.textContent = text;
        parts.push(only);
      }
    }
    side.replaceChildren(...parts);
  }
}

// Places (in the one, in the other) of a longest common sequence, in their order.
function common(own, other) {
  let start = 0;
  while (start < own.length && start < other.length && own[start] === other[start]) start++;
  let [a, b] = [own.length, other.length];
  const found = Array.from({ length: start }, (_, at) => [at, at]);
  const ends = [];
  while (a > start && b > start && own[a - 1] === other[b - 1]) ends.unshift([--a, --b]);
  const [rows, columns] = [a - start, b - start];
  if (rows * columns <= CELLS) {
    const width = columns + 1;
    const longest = new Uint16Array((rows + 1) * width);
    for (let i = rows - 1; i >= 0; i--) {
      for (let j = columns - 1; j >= 0; j--) {
        longest[i * width + j] = own[start + i] === other[start + j] ? longest[(i + 1) * width + j + 1] + 1
          : Math.max(longest[(i + 1) * width + j], longest[i * width + j + 1]);
      }
    }
    for (let i = 0, j = 0; i < rows && j < columns;) {
      if (own[start + i] === other[start + j]) found.push([start + i++, start + j++]);
      else if (longest[(i + 1) * width + j] >= longest[i * width + j + 1]) i++;
      else j++;
    }
  }
  return [...found, ...ends];
}
