// Tables that can be sorted and filtered, and points of plots that say what they are.
// Without this script, the tables are complete and the points have titles.

const EMPTY = new Set(["", "-"]);

/** Return the value to sort a cell by: its first number if all of the column begin with one. */
function sortKeys(cells) {
  const texts = cells.map((cell) => cell.innerText.trim());
  const numbers = texts.map((text) => Number.parseFloat(text.replaceAll(",", "")));
  const numeric = texts.every((text, i) => EMPTY.has(text) || !Number.isNaN(numbers[i]));
  return texts.map((text, i) => (EMPTY.has(text) ? null : numeric ? numbers[i] : text));
}

/** Say whether a column of a table holds numbers: tables of text alone are in a meant order. */
function hasNumbers(rows) {
  return [...rows[0].cells].some((_, column) =>
    sortKeys(rows.map((row) => row.cells[column])).some((key) => typeof key === "number"),
  );
}

function compare(one, other) {
  return typeof one === "number" ? one - other : one.localeCompare(other);
}

/** Sort the rows of a table; what is empty stays last. */
function sort(table, column, descending) {
  const body = table.tBodies[0];
  const rows = [...body.rows];
  const keys = sortKeys(rows.map((row) => row.cells[column]));
  const order = rows.map((row, i) => [keys[i], row]);
  order.sort(([one], [other]) => {
    if (one === null || other === null) return (one === null) - (other === null);
    return descending ? compare(other, one) : compare(one, other);
  });
  body.append(...order.map(([, row]) => row));
  [...table.tHead.rows[0].cells].forEach((header, i) => {
    if (i === column) header.ariaSort = descending ? "descending" : "ascending";
    else header.removeAttribute("aria-sort");
  });
}

function element(name, properties, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

function select(label, options, className = "") {
  const choice = element("select", {}, ...options.map(([value, text]) => new Option(text, value)));
  return { choice, box: element("label", { className }, label, choice) };
}

/** Put sort buttons into a header; return a menu that does the same on a phone. */
function sortable(table) {
  const headers = [...table.tHead.rows[0].cells];
  headers.forEach((header, column) => {
    const button = element("button", { type: "button" }, ...header.childNodes);
    button.addEventListener("click", () => {
      sort(table, column, header.ariaSort === "ascending");
    });
    header.replaceChildren(button);
  });
  const names = headers.map((header) => header.innerText.trim());
  const options = names.flatMap((name, i) => [
    [`${i} up`, `${name} ↑`],
    [`${i} down`, `${name} ↓`],
  ]);
  const { choice, box } = select("Sort by", [["", "as listed"], ...options], "on-phone");
  choice.addEventListener("change", () => {
    const [column, direction] = choice.value.split(" ");
    if (choice.value) sort(table, Number(column), direction === "down");
  });
  return box;
}

/** Return menus that hide the items whose values differ, and how many are shown. */
function filters(names, items, noun) {
  const shown = element("output", {});
  const values = items.map((item) => item.dataset.filter.split("|"));
  const menus = names.map((name, i) => {
    const options = [...new Set(values.map((value) => value[i]))];
    options.sort((one, other) => one.localeCompare(other, "en", { numeric: true }));
    return select(name, [["", "all"], ...options.map((option) => [option, option])]);
  });
  const update = () => {
    items.forEach((item, i) => {
      item.hidden = menus.some(({ choice }, k) => choice.value && choice.value !== values[i][k]);
    });
    const count = items.filter((item) => !item.hidden).length;
    shown.value = `${count} of ${items.length} ${noun}`;
  };
  menus.forEach(({ choice }) => choice.addEventListener("change", update));
  update();
  return [...menus.map(({ box }) => box), shown];
}

/** Fold the cards of a phone after the first ones; return the button that unfolds them. */
function foldable(table) {
  table.classList.add("folded");
  const button = element("button", { type: "button", className: "on-phone" }, "Show all rows");
  button.addEventListener("click", () => {
    table.classList.remove("folded");
    button.remove();
  });
  return button;
}

function tools(children, on = "") {
  return element("div", { className: `tools ${on}` }, ...children);
}

for (const table of document.querySelectorAll("table[data-cards]")) {
  const rows = [...table.tBodies[0].rows];
  if (rows.length < 5 || !hasNumbers(rows) || table.closest(".doc")) continue;
  const menus =
    "filter" in table.dataset ? filters(table.dataset.filter.split("|"), rows, "rows") : [];
  const bar = tools([...menus, sortable(table)], menus.length ? "" : "on-phone");
  const frame = table.closest(".md-typeset__scrollwrap") ?? table;
  frame.before(bar);
  if (rows.length > 8) frame.after(tools([foldable(table)], "on-phone"));
}

for (const plot of document.querySelectorAll(".cost-plot")) {
  const panels = [...plot.querySelectorAll("figure")];
  plot.prepend(tools(filters([plot.dataset.filter], panels, "panels")));
}

const tip = element("div", { className: "tip", role: "tooltip", id: "tip", hidden: true });

function show(point) {
  tip.textContent = point.dataset.tip;
  tip.hidden = false;
  const spot = point.querySelector(".hit").getBoundingClientRect();
  const { width, height } = tip.getBoundingClientRect();
  const left = spot.left + spot.width / 2 - width / 2;
  const room = document.documentElement.clientWidth - width - 8;
  tip.style.left = `${Math.max(8, Math.min(left, room))}px`;
  const above = spot.top - height - 6;
  tip.style.top = `${above > 56 ? above : spot.bottom + 6}px`; // below the page's header
}

function hide() {
  tip.hidden = true;
}

const points = document.querySelectorAll("[data-tip]");
for (const point of points) {
  point.querySelector("title")?.remove(); // or the browser shows it too
  point.addEventListener("pointerenter", () => show(point));
  point.addEventListener("pointerleave", (event) => event.pointerType === "mouse" && hide());
  point.addEventListener("focus", () => show(point));
  point.addEventListener("blur", hide);
}
if (points.length) {
  document.body.append(tip);
  document.addEventListener("keydown", (event) => event.key === "Escape" && hide());
  document.addEventListener("scroll", hide, { passive: true });
  document.addEventListener("pointerdown", (event) => event.target.closest("[data-tip]") ?? hide());
}
