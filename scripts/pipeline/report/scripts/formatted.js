// Markdown, code and formulas as elements of a fixed set of kinds whose contents are text: HTML stays text, a link is
// its text and address, an image its description and address, and nothing is asked for.
import { element } from "./codec.js";

const BLOCKS = { paragraph: "p", blockquote: "blockquote", bullet_list: "ul", ordered_list: "ol", list_item: "li", table: "table",
  thead: "thead", tbody: "tbody", tr: "tr", th: "th", td: "td", strong: "strong", em: "em", s: "s" };
const MATHML = "http://www.w3.org/1998/Math/MathML";
const UNWANTED = /^(on.*|id|.*href|src|action|formaction)$/i; // attributes that formulas need not
const LONGEST = 3000; // characters of a formula
// How formulas open and close, whether they have their lines to themselves, and the most characters of one in a line.
const PAIRS = [["$$", "$$", true, LONGEST], ["\\[", "\\]", true, LONGEST], ["\\(", "\\)", false, 500], ["$", "$", false, 500]];
const ENVIRONMENT = /^\\begin\{((?:equation|align|alignat|gather|multline|eqnarray)\*?)\}/;

let markdown = null;

export function formatted(text) {
  if (!markdown) {
    markdown = window.markdownit({ html: false, breaks: true });
    markdown.inline.ruler.before("escape", "formula", inlineFormula);
    markdown.block.ruler.before("fence", "formula", blockFormula, { alt: ["paragraph", "blockquote", "list"] });
  }
  const place = document.createDocumentFragment();
  build(markdown.parse(text, {}), place);
  return [...place.childNodes];
}

function build(tokens, place) {
  const open = [{ place }];
  for (const token of tokens) {
    const kind = token.type.replace(/_(open|close)$/, "");
    const above = open.at(-1).place;
    if (token.nesting < 0) {
      const { place: done, address } = open.pop();
      if (address && address !== done.textContent) done.append(element("small", {}, ` (${address})`));
    } else if (token.nesting > 0) {
      const made = token.hidden ? above : container(kind, token);
      if (made !== above) above.append(made);
      open.push({ place: made, address: kind === "link" ? token.attrGet("href") : null });
    } else if (kind === "inline") build(token.children, above);
    else above.append(leaf(kind, token));
  }
}

function container(kind, token) {
  if (kind === "link") return element("span", { class: "address" });
  if (kind === "heading") return element("div", { class: `heading level${token.tag.slice(1)}`, role: "heading", "aria-level": 5, dir: "auto" });
  const made = element(BLOCKS[kind] ?? "div", { dir: "auto" });
  if (kind === "ordered_list" && token.attrGet("start") !== null) made.setAttribute("start", token.attrGet("start"));
  const side = /^text-align:(left|right|center)$/.exec(token.attrGet("style") ?? "");
  if (side) made.style.textAlign = side[1];
  return made;
}

function leaf(kind, token) {
  if (kind === "softbreak" || kind === "hardbreak") return element("br");
  if (kind === "hr") return element("hr");
  if (kind === "code_inline") return element("code", {}, token.content);
  if (kind === "image") return element("span", { class: "address" }, `[image: ${token.content}]`, element("small", {}, ` (${token.attrGet("src")})`));
  if (kind === "formula") return formula(token.content, token.meta.display);
  if (kind === "fence" || kind === "code_block") {
    const language = token.info.trim().split(/\s+/)[0];
    return element("pre", { tabindex: 0, dir: "ltr" }, language ? element("small", { class: "language" }, language) : null, element("code", {}, token.content.replace(/\n$/, "")));
  }
  return document.createTextNode(token.content);
}

// A formula as MathML; one that is none, or is too long, as it was written.
function formula(source, display) {
  const made = element(display ? "div" : "span", { class: "formula", title: source });
  try {
    if (source.length > LONGEST) throw new RangeError("too long");
    window.temml.render(source, made, { displayMode: display, throwOnError: true, trust: false, maxExpand: 300, maxSize: [40, 400], macros: {} });
  } catch {
    made.replaceChildren(element("code", {}, source));
    return made;
  }
  for (const part of made.querySelectorAll("*")) {
    if (part.namespaceURI !== MATHML && part.localName !== "span") part.replaceWith(part.textContent);
    for (const name of part.getAttributeNames()) if (UNWANTED.test(name)) part.removeAttribute(name);
  }
  return made;
}

function inlineFormula(state, silent) {
  const pair = PAIRS.find(([opening]) => state.src.startsWith(opening, state.pos));
  if (!pair) return false;
  const [opening, closing, display, most] = pair;
  const start = state.pos + opening.length;
  const length = lengthOf(state.src.slice(start, Math.min(state.posMax, start + most)), closing);
  if (length < 1) return false;
  if (!silent) Object.assign(state.push("formula", "", 0), { content: state.src.slice(start, start + length).trim(), meta: { display } });
  state.pos = start + length + closing.length;
  return true;
}

// Where a formula ends in the text behind its opening; -1 for one that does not. A single dollar that opens has no space
// behind it, and the next one closes, with no space before it and no digit behind it: other dollars are money.
function lengthOf(text, closing) {
  if (closing === "$") {
    const found = /^(?![\s$])(?:[^$\\]|\\.)*?(?<!\s)(?=\$(?!\d))/su.exec(text);
    return found ? found[0].length : -1;
  }
  return text.slice(0, text.indexOf(closing)).trim() ? text.indexOf(closing) : -1;
}

// A formula that has its lines to itself.
function blockFormula(state, startLine, endLine, silent) {
  const lineAt = (line) => state.src.slice(state.bMarks[line] + state.tShift[line], state.eMarks[line]).trimEnd();
  if (state.sCount[startLine] - state.blkIndent >= 4) return false;
  const first = lineAt(startLine);
  const environment = ENVIRONMENT.exec(first)?.[1];
  const pair = environment ? ["", `\\end{${environment}}`] : PAIRS.find(([opening, , display]) => display && first.startsWith(opening));
  if (!pair) return false;
  const [opening, closing] = pair;
  let text = first.slice(opening.length);
  let line = startLine;
  while (!text.includes(closing)) {
    line++;
    if (line >= endLine || state.isEmpty(line) || state.sCount[line] < state.blkIndent || text.length > LONGEST) return false;
    text += `\n${lineAt(line)}`;
  }
  const content = text.slice(0, environment ? undefined : -closing.length).trim();
  if (text.indexOf(closing) !== text.length - closing.length || !content) return false;
  if (silent) return true;
  Object.assign(state.push("formula", "", 0), { content, meta: { display: true }, block: true, map: [startLine, line + 1] });
  state.line = line + 1;
  return true;
}
