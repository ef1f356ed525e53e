// The section about prices: what a product's price does, what replaces it, and a plan.

import { ask, lastOnly } from "./api.js";
import { attempt, onSubmit, suggest } from "./forms.js";
import { bar, byId, element } from "./parts.js";

const SHOWN = 8;
const RISE = 1.1;
const RESTS_ON = {
  "own sales": "what its own sales did when its price moved",
  "typical product": "what other products do: its own sales say little",
};
const UNKNOWN = {
  "price never moved": "Its price never moved, so these receipts cannot tell what another one would do.",
  "too few sales": "It is sold too seldom to tell.",
  "sold by weight": "It is sold by weight and has no shelf price.",
};
const askPrice = lastOnly();

const rounded = (value, digits) => value.toLocaleString("en-GB", {
  minimumFractionDigits: digits, maximumFractionDigits: digits,
}).replace("-", "−");
const signed = (value, digits) => `${value > 0 ? "+" : ""}${rounded(value, digits)}`;
const money = (pence) => rounded(pence / 100, 2);
const shareOf = (after, before) => `${signed(100 * (after / before - 1), 1)} %`;
const ends = ({ low, high }) => `${rounded(low, 2)} to ${rounded(high, 2)}`;

/** What is known of prices at all; the form and the plan only where they can be asked about. */
export async function startPrices(model) {
  byId("price-of").hidden = !model.prices;
  if (!model.prices) {
    byId("prices").textContent = model.prices_moved
      ? "This server was given no answers about prices: it is started without --prices."
      : "The prices in these receipts never moved, so they cannot tell what other prices would do.";
    return;
  }
  const found = await ask("v1/prices");
  const own = found.own.median === null ? "" :
    `Of ${found.products.toLocaleString("en-GB")} products the one in the middle sells ` +
    `${rounded(Math.abs(found.own.median), 1)} % ${found.own.median < 0 ? "fewer" : "more"} units when its ` +
    "price goes up by 1 %. ";
  const cross = found.cross_identifiable ? "" :
    "Which products replace each other cannot be told from these receipts.";
  byId("prices").textContent = own + cross;
  byId("price-plan").replaceChildren(...(found.plan ? await planned(found.plan) : []));
}

async function planned(plan) {
  const { changes } = await ask(`v1/price-plan?limit=${SHOWN}`);
  const rows = changes.map((each) => {
    const product = element("button", { type: "button" }, each.product);
    product.addEventListener("click", () => attempt(() => show(each.product)));
    return element("tr", {},
      element("th", { scope: "row" }, product),
      ...[money(each.price_pence), money(each.new_price_pence),
        shareOf(each.new_price_pence, each.price_pence), signed(each.gain_pence / 100, 2)]
        .map((text) => element("td", {}, text)));
  });
  const heads = ["product", "today", "new", "change", "profit"];
  const binding = plan.rules.filter((rule) => rule.binds).map((rule) => rule.rule.replaceAll("_", " "));
  return [
    element("h3", {}, "Prices worth charging"),
    element("p", {}, `${plan.changed.toLocaleString("en-GB")} prices change. Expected profit a week: `
      + `${money(plan.profit_pence)} → ${money(plan.new_profit_pence)} `
      + `(${shareOf(plan.new_profit_pence, plan.profit_pence)}).`
      + (plan.usual_gain === null ? "" : ` At the prices usually paid: ${shareOf(1 + plan.usual_gain, 1)}.`)),
    element("p", { className: "caution" }, `Do not book it: ${plan.caution}.`),
    element("p", { className: "note" }, binding.length ? `Rules that hold it back: ${binding.join(", ")}.`
      : "No rule holds it back."),
    element("div", { className: "scroll", tabIndex: 0, role: "region", "aria-label": "Prices that change" },
      element("table", { className: "figures" },
        element("caption", { className: "note" }, `The ${rows.length} that earn most, in profit a week`),
        element("thead", {}, element("tr", {}, ...heads.map((name) => element("th", { scope: "col" }, name)))),
        element("tbody", {}, ...rows))),
  ];
}

async function show(product) {
  const found = await askPrice(`v1/prices/${encodeURIComponent(product)}`);
  byId("priced").value = product;
  byId("price-answer").replaceChildren(...(found.elasticity === null ? unknown(found) : known(found)));
}

function unknown(found) {
  return [
    element("h3", {}, `${found.product}: not known`),
    element("p", {}, UNKNOWN[found.rests_on] ?? found.rests_on),
  ];
}

function known(found) {
  const units = 100 * (RISE ** found.elasticity - 1);
  return [
    element("h3", {}, `${found.product}: elasticity ${rounded(found.elasticity, 2)}`),
    element("p", {}, `90 % interval ${ends(found)}. A price 10 % higher: ${signed(units, 0)} % units.`),
    element("p", { className: "note" }, `It rests on ${RESTS_ON[found.rests_on] ?? found.rests_on}. `
      + `The price moved in ${found.weeks_with_a_move} weeks; today it is ${money(found.price_pence)}, and `
      + `${rounded(found.units_a_week, 1)} units sell a week.`),
    ...ofPlan(found),
    ...rivals(found.rivals),
  ];
}

function ofPlan({ plan, price_pence: today, units_a_week: units }) {
  if (!plan || plan.unit_cost_pence === null) return [];
  if (plan.new_price_pence === today) return [element("p", {}, "In the plan its price stays.")];
  return [element("p", {}, `In the plan: ${money(today)} → ${money(plan.new_price_pence)}, expected units `
    + `${shareOf(plan.new_units_a_week, units)}, profit ${signed(plan.gain_pence / 100, 2)} a week.`)];
}

function rivals(found) {
  if (!found.length) return [];
  const most = found[0].elasticity;
  return [
    element("p", { className: "note" }, "It sells more when these get 1 % dearer, in %:"),
    element("dl", {}, ...found.flatMap((each) => [
      element("dt", {}, each.product), element("dd", {}, bar(each.elasticity / most)),
      element("dd", { title: `90 % interval ${ends(each)}` }, signed(each.elasticity, 2)),
    ])),
  ];
}

suggest(byId("priced"), byId("priced-products"), "v1/products");
onSubmit(byId("price-of"), () => show(byId("priced").value.trim()));
