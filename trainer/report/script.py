"""What makes the rows of a long table searchable and sortable; without it all rows are shown."""

SCRIPT = """
const MOST = 25;
const number = (cell) => Number.parseFloat(
  (cell.firstChild?.textContent ?? "").replaceAll(",", "").replace("\\u2212", "-"));
for (const search of document.querySelectorAll(".search")) {
  const table = search.nextElementSibling.querySelector("table"), body = table.tBodies[0];
  const [input, more, said] = search.children, rows = [...body.rows];
  const words = new Map(rows.map((row) => [row, row.textContent.toLowerCase()]));
  let most = MOST;
  function show() {
    const asked = input.value.toLowerCase().split(/\\s+/).filter(Boolean);
    const found = rows.filter((row) => asked.every((word) => words.get(row).includes(word)));
    body.replaceChildren(...found.slice(0, most));
    said.textContent = `${Math.min(most, found.length)} of ${found.length} shown`;
    more.hidden = found.length <= most;
  }
  function sort(head) {
    const turn = head.ariaSort === "ascending" ? -1 : 1, at = head.cellIndex;
    const value = head.className === "number" ? (row) => number(row.cells[at]) : null;
    rows.sort((a, b) => {
      if (!value) return turn * a.cells[at].textContent.localeCompare(b.cells[at].textContent);
      const [x, y] = [value(a), value(b)];
      if (Number.isNaN(x) || Number.isNaN(y)) return Number.isNaN(x) - Number.isNaN(y);
      return turn * (x - y);
    });
    for (const other of head.parentNode.cells) other.removeAttribute("aria-sort");
    head.ariaSort = turn > 0 ? "ascending" : "descending";
    show();
  }
  for (const head of table.tHead.rows[0].cells) {
    const button = document.createElement("button");
    button.append(...head.childNodes);
    button.addEventListener("click", () => sort(head));
    head.append(button);
  }
  input.addEventListener("input", show);
  more.addEventListener("click", () => { most = Infinity; show(); });
  search.hidden = false;
  show();
}
"""
