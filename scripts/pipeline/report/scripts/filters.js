// Filters of the list of prompts: which ones two columns have, and which rows each keeps.
import { json, texts, whole } from "./codec.js";
import { contradicts, directVerdicts, labels, outcome, preferences, scores } from "./outcomes.js";

const FAULTS = { empty: "empty", unfinished: "unfinished", repeating: "repeating", refusing: "refusing" };

// By name: {title, keep}, where keep() gives a predicate of row numbers.
export function filtersOf(group, left, right) {
  const found = { all: { title: "all prompts", keep: async () => () => true } };
  const add = (name, title, keep) => { found[name] = { title, keep }; };
  const wanted = { left: "left preferred", right: "right preferred", tie: "ties", none: "no verdict" };
  for (const [name, title] of Object.entries(wanted)) {
    add(name, title, async () => {
      const preferred = await preferences(left, right);
      return (row) => outcome(preferred?.[row]) === name;
    });
  }
  const direct = directVerdicts(left, right);
  if (direct?.orders > 1) {
    add("flipped", "orders contradict", async () => {
      const orders = await whole(direct.details, json);
      return (row) => contradicts(orders[row]);
    });
  }
  if (direct && left.score !== undefined && right.score !== undefined) {
    const sides = { "reward-not-judge": ["left", 1, "right"], "reward-not-judge-right": ["right", -1, "left"] };
    for (const [name, [side, sign, winner]] of Object.entries(sides)) {
      add(name, `reward prefers ${side}, judge does not`, async () => {
        const [preferred, own, other] = await Promise.all([preferences(left, right), scores(left), scores(right)]);
        return (row) => own[row] !== null && other[row] !== null && sign * (own[row] - other[row]) > 0 && outcome(preferred[row]) === winner;
      });
    }
  }
  if (direct?.labels !== undefined) {
    add("labelled", "labelled", async () => {
      const label = await labels(left, right);
      return (row) => label[row] !== null;
    });
    for (const [name, side, winner] of [["label-not-judge", "left", "right"], ["label-not-judge-right", "right", "left"]]) {
      add(name, `label prefers ${side}, judge does not`, async () => {
        const [label, preferred] = await Promise.all([labels(left, right), preferences(left, right)]);
        return (row) => outcome(label[row]) === side && outcome(preferred[row]) === winner;
      });
    }
  }
  add("equal", "equal responses", async () => {
    const [own, other] = [await whole(left.text, texts), await whole(right.text, texts)];
    return (row) => own[row] !== null && own[row] === other[row];
  });
  for (const [name, title] of Object.entries(FAULTS)) {
    if (left.faults?.[name] === undefined) continue;
    add(name, `left is ${title}`, async () => {
      const rows = new Set(await json(left.faults[name]));
      return (row) => rows.has(row);
    });
  }
  const seeds = pairsOfSeeds(group, left, right);
  const every = { won: ["left", "left won with every seed"], lost: ["right", "left lost with every seed"] };
  for (const [name, [winner, title]] of seeds.length > 1 ? Object.entries(every) : []) {
    add(`${name}-all`, title, async () => {
      const preferred = await Promise.all(seeds.map((pair) => preferences(...pair)));
      return (row) => preferred.every((values) => outcome(values[row]) === winner);
    });
  }
  const siblings = group.columns.filter((column) => column.run === left.run && column.seed !== null && column.decoding === left.decoding);
  if (siblings.length > 1) {
    add("same", "left is the same with every seed", async () => {
      const columns = await Promise.all(siblings.map((column) => whole(column.text, texts)));
      return (row) => Boolean(columns[0][row]?.trim()) && columns.every((column) => column[row] === columns[0][row]);
    });
  }
  return found;
}

// The same two runs as left and right with each seed that has verdicts on them.
function pairsOfSeeds(group, left, right) {
  const moving = left.seed === null ? right : left;
  const seeds = group.columns
    .filter((column) => column.run === moving.run && column.seed !== null && column.decoding === moving.decoding)
    .map((column) => column.seed);
  const withSeed = (side, seed) => (side.seed === null ? side
    : group.columns.find((column) => column.run === side.run && column.seed === seed && column.decoding === side.decoding));
  return seeds.map((seed) => [withSeed(left, seed), withSeed(right, seed)])
    .filter(([a, b]) => a && b && directVerdicts(a, b));
}
