// Adds a box that filters the rows of a table. Without JavaScript all rows are there.
for (const table of document.querySelectorAll("table[data-filter]")) {
  const box = document.createElement("input");
  box.type = "search";
  box.className = "filter";
  box.placeholder = table.dataset.filter;
  box.setAttribute("aria-label", table.dataset.filter);
  const rows = [...table.tBodies].flatMap((body) => [...body.rows]).map((row) => [row, row.textContent.toLowerCase()]);
  box.addEventListener("input", () => {
    const words = box.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const [row, text] of rows) row.hidden = !words.every((word) => text.includes(word));
  });
  table.closest(".wide").before(box);
}
