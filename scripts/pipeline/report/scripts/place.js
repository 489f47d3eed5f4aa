// Where an address leads: its section stays in sight while what stands above it is drawn, until the reader moves.
export function followAddress(drawn) {
  let held = performance.getEntriesByType("navigation")[0]?.type === "navigate"; // a page that is reloaded stays where it was
  const section = () => document.getElementById(location.hash.slice(1).split("?")[0]);
  const show = () => held && section()?.scrollIntoView({ behavior: "instant" });
  for (const event of ["wheel", "touchmove", "keydown", "pointerdown"]) {
    addEventListener(event, () => { held = false; }, { passive: true });
  }
  const above = new ResizeObserver(show);
  above.observe(document.body);
  let done = false;
  addEventListener("hashchange", () => {
    if (!done) held = true;
    if (!done || location.hash.includes("?")) section()?.scrollIntoView(done ? {} : { behavior: "instant" });
  });
  drawn.then(() => {
    done = true;
    above.disconnect();
    show();
  });
}
