// What is known of two columns prompt by prompt: preference of the left over the right, scores, and where details are.
import { json, whole } from "./codec.js";

// The verdicts that compare the two directly: {preference, details, mirrored}, null where none were asked for.
export function directVerdicts(left, right) {
  const same = (run, other) => other.seed === null || (other.seed === run.seed && other.decoding === run.decoding);
  if (left.verdicts?.[right.run] && same(left, right)) return { ...left.verdicts[right.run], mirrored: false };
  if (right.verdicts?.[left.run] && same(right, left)) return { ...right.verdicts[left.run], mirrored: true };
  return null;
}

export async function preferences(left, right) {
  return seen(directVerdicts(left, right), "preference");
}

// Labels of the two, as preferences; null where there are none.
export async function labels(left, right) {
  return seen(directVerdicts(left, right), "labels");
}

async function seen(found, name) {
  if (found?.[name] === undefined) return null;
  const values = await json(found[name]);
  return found.mirrored ? values.map((value) => (value === null ? null : 1 - value)) : values;
}

// How far the judge puts the left above the right: the difference of its scores, of its preferences where it gave none,
// averaged over the orders; NaN without a verdict. Empty where no judge compared the two.
export async function margins(left, right) {
  const found = directVerdicts(left, right);
  if (!found) return [];
  const verdicts = await whole(found.details, json);
  const graded = verdicts.some((orders) => orders.some((order) => order[3] !== null && order[4] !== null));
  const sign = found.mirrored ? -1 : 1;
  return verdicts.map((orders) => {
    const parsed = orders.filter((order) => (graded ? order[3] !== null && order[4] !== null : order[2] !== null));
    const each = parsed.map((order) => (graded ? order[3] - order[4] : 2 * order[2] - 1));
    return parsed.length ? (sign * each.reduce((sum, one) => sum + one, 0)) / parsed.length : NaN;
  });
}

export async function scores(column) {
  return column.score === undefined ? null : json(column.score);
}

export function outcome(preference) {
  if (preference === null || preference === undefined) return "none";
  return preference === 0.5 ? "tie" : preference > 0.5 ? "left" : "right";
}

// Orders of one pair that contradict each other.
export function contradicts(orders) {
  const values = orders.map((order) => order[2]).filter((value) => value !== null);
  return values.some((value) => value > 0.5) && values.some((value) => value < 0.5);
}
