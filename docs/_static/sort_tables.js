// On the pages of results a click on a head sorts the table: by number where cells begin with one,
// else as text.
const number = (text) => {
  const found = /^[^\d+-]*([+-]?\d[\d,]*\.?\d*(?:e[+-]?\d+)?)/i.exec(text.trim());
  return found && /^[+\-\d(.]/.test(text.trim()) ? parseFloat(found[1].replaceAll(",", "")) : NaN;
};

const sortBy = (table, column, head) => {
  const up = head.getAttribute("aria-sort") !== "ascending";
  const body = table.tBodies[0];
  const key = (row) => row.cells[column]?.textContent ?? "";
  const rows = [...body.rows];
  const numeric = rows.filter((row) => !Number.isNaN(number(key(row)))).length > rows.length / 2;
  const compare = (a, b) => {
    if (!numeric) return key(a).localeCompare(key(b));
    const [x, y] = [number(key(a)), number(key(b))];
    return (Number.isNaN(x) ? Infinity : x) - (Number.isNaN(y) ? Infinity : y);
  };
  rows.sort((a, b) => (up ? compare(a, b) : compare(b, a)));
  body.append(...rows);
  table.querySelectorAll("th").forEach((one) => one.removeAttribute("aria-sort"));
  head.setAttribute("aria-sort", up ? "ascending" : "descending");
};

document.addEventListener("DOMContentLoaded", () => {
  if (!location.pathname.includes("/results/")) return;
  document.querySelectorAll(".bd-article table").forEach((table) => {
    const heads = table.tHead ? [...table.tHead.rows[0].cells] : [];
    if (!table.tBodies.length || table.tBodies[0].rows.length < 3 || heads.length < 2) return;
    table.classList.add("sortable");
    heads.forEach((head, column) => {
      head.tabIndex = 0;
      head.addEventListener("click", () => sortBy(table, column, head));
      head.addEventListener("keydown", (event) => {
        if (event.key === "Enter") sortBy(table, column, head);
      });
    });
  });
});
