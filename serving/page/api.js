// Questions to the server that this page came from.

const KEY = "retailsim-key";
/** The page lies one folder below the interface. */
const ROOT = new URL("../", import.meta.url);

/** What the server says is wrong, in its words. */
export class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

export function useKey(key) {
  sessionStorage.setItem(KEY, key);
}

/** The answer to a GET, or to a POST where there is a body. */
export async function ask(path, body, signal) {
  const headers = {};
  const key = sessionStorage.getItem(KEY);
  if (key) headers.Authorization = `Bearer ${key}`;
  if (body) headers["Content-Type"] = "application/json";
  const response = await fetch(new URL(path, ROOT), {
    method: body ? "POST" : "GET", headers, body: body && JSON.stringify(body), signal,
  });
  const answer = await response.json();
  if (!response.ok) {
    const { message, field } = answer.error;
    throw new Refused(response.status, field ? `${field}: ${message}` : message);
  }
  return answer;
}

/** A question of which only the last answer counts: an earlier one still open is given up. */
export function lastOnly() {
  let open = null;
  return async (path, body) => {
    open?.abort();
    open = new AbortController();
    return ask(path, body, open.signal);
  };
}
