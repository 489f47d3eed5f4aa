// What answers do not share, word by word: each is compared with the first.
const CELLS = 9e6; // of the comparison's table; longer answers are compared at their ends alone
const WORDS = /\s+|[\p{L}\p{N}_]+|[^\s\p{L}\p{N}_]/gu;

// Ranges [start, end) in the joined text of each answer: of the first what none of the others has, of these what it has not.
// An answer is a list of texts; no word goes from one to the next.
export function unshared(answers) {
  const [own, ...others] = answers.map((texts) => texts.flatMap((text) => text.match(WORDS) ?? []));
  const shared = answers.map(() => new Set());
  others.forEach((other, at) => {
    for (const [a, b] of common(own, other)) {
      shared[0].add(a);
      shared[at + 1].add(b);
    }
  });
  return [own, ...others].map((words, number) => {
    const ranges = [];
    let offset = 0;
    words.forEach((word, at) => {
      if (!shared[number].has(at)) {
        if (ranges.at(-1)?.[1] === offset) ranges.at(-1)[1] += word.length;
        else ranges.push([offset, offset + word.length]);
      }
      offset += word.length;
    });
    return ranges;
  });
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
