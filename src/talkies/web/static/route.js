/**
 * The state of the page is the hash of its address: `#/film/ID?at=12.5`, `#/search?film=ID&at=12.5&to=audio`.
 * Only this module reads and writes it.
 */

/** Return the view, the film's id and the parameters of the current address. */
export function parseRoute() {
  const [path, query = ""] = location.hash.replace(/^#\/?/, "").split("?");
  const [view, id = ""] = path.split("/");
  return { view: view || "library", id: decode(id), params: new URLSearchParams(query) };
}

/** Return the hash of a view: empty values are left out, lists are repeated, the chosen model is kept. */
export function buildHash(view, params = {}, id = "") {
  const query = new URLSearchParams();
  const model = parseRoute().params.get("model");
  for (const [name, value] of Object.entries(model ? { model, ...params } : params)) {
    for (const item of [value].flat()) {
      if (item !== null && item !== undefined && item !== "" && item !== false) query.append(name, String(item));
    }
  }
  const path = view === "library" ? "" : view;
  return `#/${path}${id ? `/${encodeURIComponent(id)}` : ""}${query.size ? `?${query}` : ""}`;
}

/** Go to an address, as a new step of the history. */
export function navigate(hash) {
  location.hash = hash;
}

/** Change parameters of the current address without a new step of the history; null removes one. */
export function updateParams(changes) {
  const { view, id, params } = parseRoute();
  const next = { ...toObject(params), ...changes };
  history.replaceState(history.state, "", buildHash(view, next, id));
}

/** Return parameters as an object; a repeated name has a list. */
export function toObject(params) {
  const names = [...new Set(params.keys())];
  return Object.fromEntries(names.map((name) => {
    const all = params.getAll(name);
    return [name, all.length > 1 ? all : all[0]];
  }));
}

/** Return a parameter as a number, or `fallback` if it is not one. */
export function getNumber(params, name, fallback = null) {
  const text = params.get(name);
  const value = Number(text);
  return text === null || text === "" || !Number.isFinite(value) ? fallback : value;
}

function decode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
