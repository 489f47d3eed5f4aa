// Chunks of the page: unpacked when they are wanted and kept while there is room.
import { unpacked } from "./packed.js";

const ROOM = 256e6; // characters of decoded text held at once
const decoded = new Map(); // chunk number -> promise of {value, size}, least recently used first
let held = 0;

export async function readJson(id) {
  return JSON.parse(await unpacked(id));
}

async function cached(number, convert) {
  let entry = decoded.get(number);
  if (entry) {
    decoded.delete(number);
  } else {
    entry = unpacked(`chunk-${number}`).then((text) => {
      held += text.length;
      return { value: convert(text), size: text.length };
    });
  }
  decoded.set(number, entry);
  const { value } = await entry;
  for (const [oldest, promise] of decoded) {
    if (held <= ROOM || oldest === number) break;
    decoded.delete(oldest);
    held -= (await promise).size;
  }
  return value;
}

// The texts of a block, null for one that is not there; its place is a chunk, or [chunk, first, step] where columns share it.
export async function texts(place) {
  const [number, first, step] = [place].flat();
  const parts = await cached(number, (text) => text.split("\x1e").map((part) => (part === "\x1f" ? null : part)));
  return step === undefined ? parts : parts.filter((_, at) => at % step === first);
}

export function json(number) {
  return cached(number, JSON.parse);
}

// What all blocks of a column hold, in one list; `read` is texts or json.
export async function whole(chunks, read) {
  const parts = [];
  for (const chunk of chunks) parts.push(await read(chunk));
  return parts.flat();
}

// An element with text and children; text never becomes markup.
export function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name === "class") made.className = value;
    else if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value !== false && value !== null && value !== undefined) made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

export function number(value, digits, sign = false) {
  if (value === undefined || value === null) return "–";
  const text = value.toFixed(digits).replace("-", "−");
  return sign && value > 0 ? `+${text}` : text;
}
