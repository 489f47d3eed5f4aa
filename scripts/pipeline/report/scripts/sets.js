// Sets of prompts: one of them, or all, in the tables of runs by sets and of categories.
export function filterSets() {
  for (const select of document.querySelectorAll("select[data-choose-set]")) {
    const section = select.closest("section");
    select.addEventListener("change", () => {
      for (const part of section.querySelectorAll("[data-sets]")) {
        part.hidden = select.value !== "" && !JSON.parse(part.dataset.sets).includes(select.value);
      }
    });
  }
}
