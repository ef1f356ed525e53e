// What all forms of the page share: work that may fail, lists of codes that grow as one types.

import { lastOnly, Refused } from "./api.js";
import { byId, element } from "./parts.js";

/** Do it, and say what goes wrong. */
export async function attempt(work) {
  try {
    byId("wrong").textContent = "";
    await work();
  } catch (error) {
    if (error.name === "AbortError") return;
    if (error instanceof Refused && error.status === 401) byId("key").hidden = false;
    else byId("wrong").textContent = error.message;
  }
}

export function onSubmit(form, work) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    attempt(work);
  });
}

/** Codes that begin with what is typed; path: where they are listed. */
export function suggest(input, list, path) {
  const asked = lastOnly();
  input.addEventListener("input", () => attempt(async () => {
    const found = await asked(`${path}?limit=20&prefix=${encodeURIComponent(input.value)}`);
    list.replaceChildren(...found.codes.map((code) => element("option", { value: code })));
  }));
}
