// A list of any length that holds only the rows in sight.
import { element } from "./codec.js";

const HEIGHT = 58;
const LIMIT = 16e6; // pixels that browsers surely scroll over

export class VirtualList {
  constructor(place, fill, select) {
    Object.assign(this, { place, fill, select, length: 0, selected: -1, drawn: new Map() });
    this.sizer = element("div", { class: "sizer" });
    place.append(this.sizer);
    place.addEventListener("scroll", () => requestAnimationFrame(() => this.draw()));
    place.addEventListener("keydown", (event) => this.onKey(event));
    new ResizeObserver(() => this.draw()).observe(place);
  }

  setLength(length) {
    this.length = length;
    this.sizer.style.height = `${Math.min(length * HEIGHT, LIMIT)}px`;
    this.sizer.replaceChildren();
    this.drawn.clear();
    this.draw();
  }

  // The row at the top: lists beyond LIMIT are scrolled over in proportion.
  get first() {
    const inSight = this.place.clientHeight;
    const whole = this.sizer.offsetHeight - inSight;
    const share = whole > 0 ? this.place.scrollTop / whole : 0;
    return share * Math.max(0, this.length - inSight / HEIGHT);
  }

  draw() {
    const start = Math.max(0, Math.floor(this.first) - 2);
    const end = Math.min(this.length, start + Math.ceil(this.place.clientHeight / HEIGHT) + 5);
    for (const [index, row] of this.drawn) {
      if (index < start || index >= end) {
        row.remove();
        this.drawn.delete(index);
      }
    }
    for (let index = start; index < end; index++) {
      let row = this.drawn.get(index);
      if (!row) {
        row = element("div", { class: "row", role: "option", id: `row-${index}`, onclick: () => this.choose(index) });
        this.drawn.set(index, row);
        this.sizer.append(row);
        this.fill(index, row);
      }
      row.style.transform = `translateY(${this.place.scrollTop + (index - this.first) * HEIGHT}px)`;
      row.setAttribute("aria-selected", index === this.selected);
    }
  }

  choose(index, scroll = false) {
    if (index < 0 || index >= this.length) return;
    this.selected = index;
    if (scroll) {
      const [top, bottom] = [index - this.first, index + 1 - this.first - this.place.clientHeight / HEIGHT];
      const scale = Math.min(1, LIMIT / (this.length * HEIGHT)) * HEIGHT;
      if (top < 0) this.place.scrollTop += top * scale;
      else if (bottom > 0) this.place.scrollTop += bottom * scale;
    }
    this.place.setAttribute("aria-activedescendant", `row-${index}`);
    this.draw();
    this.select(index);
  }

  onKey(event) {
    const page = Math.max(1, Math.floor(this.place.clientHeight / HEIGHT) - 1);
    const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity };
    if (!(event.key in steps)) return;
    event.preventDefault();
    this.choose(Math.min(this.length - 1, Math.max(0, this.selected + steps[event.key])), true);
  }
}
