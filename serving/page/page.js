// The page: a customer, a plan, a basket, and what the model makes of them.

import { ask, lastOnly, useKey } from "./api.js";
import { attempt, onSubmit, suggest } from "./forms.js";
import {
  bar, byId, calendar, choices, count, element, inWords, percent, plusDays, tripInWords,
} from "./parts.js";
import { startPrices } from "./prices.js";

const SHOWN = 10;
const PAST = 200;
const USUAL_PENCE = 150;
const COLUMNS = { size: "Size", sensitivity: "Price sensitivity", type: "Type", focus: "Focus" };

/** Who is asked about: a code that the server knows, or a history that this page made up. */
let customer = null;
let history = null;
/** How many earlier trips of theirs are known. */
let known = 0;
let basket = [];
/** A trip that happened, to compare the answer with. */
let happened = null;
let model = null;

const plan = byId("plan");
const askBasket = lastOnly();
const askVisit = lastOnly();

const who = () => (history ? { history } : { customer });

function planned() {
  const values = new FormData(plan);
  const kind = Object.fromEntries(
    Object.keys(COLUMNS).map((name) => [name, values.get(name)]).filter(([, label]) => label),
  );
  const store = values.get("store");
  return { date: values.get("date"), hour: Number(values.get("hour")), ...(store && { store }), kind };
}

// The model

async function start() {
  model = await ask("v1/model");
  byId("key").hidden = true;
  byId("model").textContent =
    `${model.products.toLocaleString("en-GB")} products, ${count(model.stores.length, "store")}, ` +
    `${model.customers.toLocaleString("en-GB")} customers, receipts up to ${inWords(plusDays(model.first_date, -1))}`;
  plan.elements.store.replaceChildren(
    element("option", { value: "" }, "that of the last trip"),
    ...model.stores.map((code) => element("option", { value: code }, code)),
  );
  byId("kinds").replaceChildren(
    ...Object.entries(COLUMNS).map(([name, title]) => choices(name, title, model.labels[name], "not known")),
  );
  byId("segments").replaceChildren(
    choices("price_sensitivity", "Price sensitivity", model.labels.price_sensitivity, "unknown"),
    choices("lifestage", "Life stage", model.labels.lifestage, "unknown"),
  );
  await startPrices(model);
  plan.elements.date.min = model.first_date;
  plan.elements.date.max = model.last_date;
  plan.elements.date.value = model.first_date;
  plan.elements.hour.value = 12;
  await anyone();
}

// The customer

async function anyone() {
  const letters = await ask("v1/customers?limit=1000");
  const code = letters.codes[Math.floor(Math.random() * letters.codes.length)];
  if (code) await lookUp(code);
}

async function lookUp(code) {
  const found = await ask(`v1/customers/${encodeURIComponent(code)}?trips=${PAST}`);
  [customer, history, known] = [code, null, found.trips];
  byId("customer").value = code;
  byId("segments").hidden = true;
  byId("bought").hidden = true;
  const segments = Object.values(found.segments).filter(Boolean).join(", ");
  byId("known").textContent =
    `${count(found.trips, "trip")}${segments && `, ${segments}`}` +
    (found.trips > PAST ? `; the latest ${PAST} are shown` : "");
  showPast(found.latest);
  showLater(found.later);
  await forget();
}

async function makeUp() {
  [customer, history, known] = [null, { segments: {}, trips: [] }, 0];
  byId("customer").value = "";
  byId("segments").hidden = false;
  byId("bought").hidden = false;
  byId("known").textContent =
    "A customer without a past. Fill a basket and press “They bought this” to give them one.";
  showPast([]);
  showLater([]);
  await forget();
}

/** Begin anew with another customer. */
async function forget() {
  [basket, happened] = [[], null];
  byId("why").replaceChildren();
  showBasket();
  await Promise.all([showVisit(), answer()]);
}

function showPast(trips) {
  byId("day").replaceChildren();
  byId("calendar").replaceChildren(...(trips.length ? [calendar(trips, showDay)] : []));
  const region = byId("calendar");
  region.scrollLeft = region.scrollWidth;
}

function showDay(day, trips, button) {
  for (const other of byId("calendar").querySelectorAll("[aria-pressed=true]")) {
    other.setAttribute("aria-pressed", "false");
  }
  button.setAttribute("aria-pressed", "true");
  byId("day").replaceChildren(
    element("h3", {}, inWords(day)),
    ...trips.flatMap((trip) => [
      element("p", { className: "note" }, tripInWords(trip)),
      element("ul", { className: "chips" }, ...trip.products.map((code) => chip(code, "+", () => put(code)))),
    ]),
  );
}

function chip(code, sign, action) {
  if (!code) return element("li", {}, "unknown to the model ");
  const verb = sign === "+" ? "Add" : "Remove";
  const button = element("button", { type: "button", "aria-label": `${verb} ${code}` }, sign);
  button.addEventListener("click", () => attempt(action));
  return element("li", {}, code, button);
}

function showLater(trips) {
  byId("later").hidden = !trips.length;
  byId("later-trips").replaceChildren(
    ...trips.slice(0, 20).map((trip) => {
      const button = element("button", { type: "button" }, `${inWords(trip.date)}, ${trip.hour} h`);
      button.addEventListener("click", () => attempt(() => compare(trip)));
      return element("li", {}, button, ` ${count(trip.products.length, "item")}`);
    }),
  );
}

async function compare(trip) {
  setPlan(trip.date, trip.hour, trip.store);
  [basket, happened] = [[], trip];
  showBasket();
  await answer();
}

function setPlan(date, hour, store) {
  plan.elements.date.value = date;
  plan.elements.hour.value = hour;
  plan.elements.store.value = store ?? "";
}

// The next trip

async function showVisit() {
  byId("visit-days").hidden = !known;
  if (!known) {
    byId("visit").textContent = "When they will come is told after their first trip.";
    return;
  }
  const visit = await askVisit("v1/next-visit", { ...who(), not_before: model.first_date });
  const use = element("button", { type: "button" }, "Use it");
  use.addEventListener("click", () => attempt(async () => {
    setPlan(visit.date, visit.hour, visit.store);
    await answer();
  }));
  const best = visit.days.reduce((one, other) => (other.p > one.p ? other : one));
  const days = visit.days.slice(0, 28);
  const where = visit.store ?? "a store where they never were";
  byId("visit").replaceChildren(
    `Likeliest: ${inWords(visit.date)} (${percent(best.p)}), ${where}, ${visit.hour} h. `, use,
  );
  const columns = days.map((day) => {
    const column = element("span", { title: `${inWords(day.value)}: ${percent(day.p)}` });
    column.style.height = `${(100 * day.p) / best.p}%`;
    return column;
  });
  byId("visit-days").setAttribute(
    "aria-label", `Chances of each day from ${inWords(days[0].value)} on, for four weeks`,
  );
  byId("visit-days").replaceChildren(...columns);
}

function put(code) {
  if (!basket.includes(code)) basket.push(code);
  showBasket();
  return answer();
}

function takeOut(code) {
  basket = basket.filter((other) => other !== code);
  showBasket();
  return answer();
}

function showBasket() {
  const chips = basket.map((code) => chip(code, "×", () => takeOut(code)));
  byId("basket").replaceChildren(...(chips.length ? chips : [element("li", {}, "empty ")]));
  byId("bought").elements.spend.value = USUAL_PENCE * basket.length;
}

async function theyBought(spend) {
  if (!basket.length) throw new Error("put something into the basket first");
  const { date, hour, store, kind } = planned();
  const items = basket.map((product) => ({ product }));
  history.trips.push({ date, hour, store: store ?? model.stores[0], kind, items, spend_pence: spend });
  known = history.trips.length;
  byId("known").textContent = `${count(known, "trip")}, made up`;
  showPast(history.trips.toReversed().map((trip) => ({
    ...trip, products: trip.items.map((item) => item.product),
  })));
  setPlan(plusDays(date, 3), hour, store);
  await forget();
}

// The answer

async function answer() {
  if (!plan.reportValidity()) return;
  const question = { ...who(), ...planned(), products: SHOWN };
  const found = basket.length
    ? await askBasket("v1/completion", { ...question, basket })
    : await askBasket("v1/next-basket", question);
  byId("answer-title").textContent = basket.length ? "What else?" : "Next basket";
  byId("summary").textContent = `${found.expected_items.toFixed(1)} items expected${
    basket.length ? " beside those in the basket" : ""}. ${compared(found.products)}`;
  if (found.left_out.length) {
    byId("summary").append(` The model does not know ${found.left_out.join(", ")}.`);
  }
  byId("answer").replaceChildren(...found.products.map(chance));
  byId("kind-chances").replaceChildren(
    ...Object.entries(found.kind).map(([name, labels]) => kindChances(COLUMNS[name], labels)),
  );
}

function compared(products) {
  if (!happened) return "";
  const left = happened.products.filter((code) => !basket.includes(code));
  const hits = products.filter((each) => left.includes(each.product)).length;
  return `${hits} of the ${left.length} that were bought are among these ${products.length}.`;
}

function chance({ product, p, bought }) {
  const add = element("button", { type: "button", "aria-label": `Add ${product}` }, "Add");
  add.addEventListener("click", () => attempt(() => put(product)));
  const why = element("button", { type: "button", "aria-label": `Why ${product}` }, "Why?");
  why.addEventListener("click", () => attempt(() => explain(product)));
  const notes = element("span", { className: "note" }, bought ? " bought before" : " new to them");
  if (happened?.products.includes(product)) {
    notes.append(" ", element("span", { className: "hit" }, "✓ was bought"));
  }
  return element("li", {}, element("span", {}, product, notes), percent(p), why, add, bar(p));
}

function kindChances(title, labels) {
  const rows = Object.entries(labels).flatMap(([label, p]) => [
    element("dt", {}, label), element("dd", {}, bar(p)), element("dd", {}, percent(p)),
  ]);
  return element("div", {}, element("strong", {}, title), element("dl", {}, ...rows));
}

const PARTS = {
  network: "the network, reading the trip and the basket", kind_of_trip: "the kind of trip",
  sales: "how often the chain sells it", category: "its category", purchases: "their own purchases",
};

async function explain(product) {
  const { date, hour, store, kind } = planned();
  const found = await ask("v1/explain", { ...who(), date, hour, ...(store && { store }), kind, basket, product });
  const most = Math.max(...Object.values(found.parts).map(Math.abs), 1e-9);
  const rows = Object.entries(found.parts).flatMap(([name, part]) => [
    element("dt", {}, PARTS[name] ?? name),
    element("dd", {}, bar(Math.abs(part) / most)),
    element("dd", {}, `${part < 0 ? "−" : "+"}${Math.abs(part).toFixed(2)}`),
  ]);
  const gap = found.usual_gap_days === null ? "" : `, usually after ${count(Math.round(found.usual_gap_days), "day")}`;
  byId("why").replaceChildren(
    element("h3", { tabIndex: -1 }, `Why ${product}? ${percent(found.p)}, rank ${found.rank}`),
    element("p", {}, `On ${found.with_product} of ${count(found.trips, "trip")}${gap}; its category on ${found.with_category}.`),
    element("p", { className: "note" }, "What its score is the sum of:"),
    element("dl", {}, ...rows),
    ...(found.bought.length ? [element("p", { className: "note" }, "Bought last on")] : []),
    element("ul", { className: "trips" }, ...found.bought.slice(0, 5).map(
      (trip) => element("li", {}, `${inWords(trip.date)}, ${tripInWords(trip)}`),
    )),
  );
  byId("why").firstChild.focus();
}

suggest(byId("customer"), byId("customers"), "v1/customers");
suggest(byId("product"), byId("products"), "v1/products");
onSubmit(byId("key"), async () => {
  useKey(byId("key-text").value);
  await start();
});
onSubmit(byId("who"), () => lookUp(byId("customer").value.trim()));
byId("any").addEventListener("click", () => attempt(anyone));
byId("make-up").addEventListener("click", () => attempt(makeUp));
byId("segments").addEventListener("change", () => attempt(async () => {
  for (const select of byId("segments").querySelectorAll("select")) {
    history.segments[select.name] = select.value || null;
  }
  await answer();
}));
onSubmit(plan, answer);
plan.addEventListener("change", () => {
  happened = null;
  attempt(answer);
});
onSubmit(byId("add"), async () => {
  await put(byId("product").value.trim());
  byId("product").value = "";
});
onSubmit(byId("bought"), () => theyBought(Number(byId("bought").elements.spend.value)));

attempt(start);
