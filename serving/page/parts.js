// Pieces of the page, made of plain data.

export const byId = (id) => document.getElementById(id);

/** An element with properties and children; strings become text, so nothing is read as markup. */
export function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.includes("-") || name === "role") made.setAttribute(name, value);
    else made[name] = value;
  }
  made.append(...children);
  return made;
}

export function percent(p) {
  const digits = p >= 0.0995 || p === 0 ? 0 : 1;
  return `${(100 * p).toFixed(digits)} %`;
}

const LONG = { weekday: "long", day: "numeric", month: "long", year: "numeric", timeZone: "UTC" };

export function inWords(day) {
  return new Date(`${day}T00:00Z`).toLocaleDateString("en-GB", LONG);
}

export function plusDays(day, days) {
  const moved = new Date(`${day}T00:00Z`);
  moved.setUTCDate(moved.getUTCDate() + days);
  return moved.toISOString().slice(0, 10);
}

export function count(number, noun) {
  return `${number} ${noun}${number === 1 ? "" : "s"}`;
}

export function kindInWords(kind) {
  return Object.values(kind).filter(Boolean).join(", ");
}

export function tripInWords(trip) {
  const kind = kindInWords(trip.kind);
  return `${trip.hour} h, ${trip.store ?? "a store unknown to the model"}${kind && `, ${kind}`}`;
}

export function bar(share) {
  const filled = element("span");
  filled.style.width = `${100 * Math.min(share, 1)}%`;
  return element("div", { className: "bar", "aria-hidden": "true" }, filled);
}

/** A select whose first choice means that nothing is said. */
export function choices(name, title, labels, nothing) {
  const options = labels.map((label) => element("option", { value: label }, label));
  const select = element("select", { name }, element("option", { value: "" }, nothing), ...options);
  return element("label", {}, `${title} `, select);
}

const WEEKDAYS = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
const WEEKS = 26;

/** Baskets by day: a column a week, the last `WEEKS` up to the last trip. */
export function calendar(trips, onDay) {
  const ofDay = Map.groupBy(trips, (trip) => trip.date);
  const last = trips[0].date;
  const weekday = (new Date(`${last}T00:00Z`).getUTCDay() + 6) % 7;
  const first = plusDays(last, -weekday - 7 * (WEEKS - 1));
  const head = element("tr", {}, element("td"));
  const rows = WEEKDAYS.map((name) => element("tr", {}, element("th", { scope: "row" }, name)));
  let month = "";
  for (let week = 0; week < WEEKS; week++) {
    const monday = plusDays(first, 7 * week);
    const title = new Date(`${monday}T00:00Z`).toLocaleDateString("en-GB", {
      month: "short", timeZone: "UTC",
    });
    head.append(element("th", { scope: "col" }, title === month ? "" : title));
    month = title;
    rows.forEach((row, place) => row.append(cell(plusDays(monday, place), ofDay, onDay)));
  }
  const caption = element("caption", { className: "note" }, element("span", {}, "Items bought on each day"));
  return element("table", {}, caption, element("thead", {}, head), element("tbody", {}, ...rows));
}

function cell(day, ofDay, onDay) {
  const trips = ofDay.get(day);
  if (!trips) return element("td", {}, element("div", { className: "empty" }));
  const items = trips.reduce((sum, trip) => sum + trip.products.length, 0);
  const level = 1 + [3, 8, 16].filter((most) => items > most).length;
  const said = `${inWords(day)}: ${count(trips.length, "trip")}, ${count(items, "item")}`;
  const button = element("button", {
    type: "button", className: `level-${level}`, title: said, "aria-label": said,
    "aria-pressed": "false",
  }, `${items}`);
  button.addEventListener("click", () => onDay(day, trips, button));
  return element("td", {}, button);
}
