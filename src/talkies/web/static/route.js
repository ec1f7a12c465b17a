/**
 * The state of the page is the hash of its address: `#/film/ID?at=12.5`, `#/search?film=ID&at=12.5&to=audio`.
 * Here it is read and written, and nowhere else.
 */

/** Return the view, the film's id and the parameters that the address names. */
export function current() {
  const [path, query = ""] = location.hash.replace(/^#\/?/, "").split("?");
  const [view, id = ""] = path.split("/");
  return { view: view || "library", id: plain(id), params: new URLSearchParams(query) };
}

/** Return the hash of a view: values that say nothing are left out, lists are repeated, the chosen model goes along. */
export function hashOf(view, params = {}, id = "") {
  const query = new URLSearchParams();
  const model = current().params.get("model");
  for (const [name, value] of Object.entries(model ? { model, ...params } : params)) {
    for (const one of [value].flat()) {
      if (one !== null && one !== undefined && one !== "" && one !== false) query.append(name, String(one));
    }
  }
  const path = view === "library" ? "" : view;
  return `#/${path}${id ? `/${encodeURIComponent(id)}` : ""}${query.size ? `?${query}` : ""}`;
}

/** Go to an address, which becomes a step of the history. */
export function go(hash) {
  location.hash = hash;
}

/** Write some parameters into the address as it stands, without a step of the history; null takes one out. */
export function note(changes) {
  const { view, id, params } = current();
  const next = { ...plainOf(params), ...changes };
  history.replaceState(history.state, "", hashOf(view, next, id));
}

/** Return parameters as an object: a list where a name is repeated. */
export function plainOf(params) {
  const names = [...new Set(params.keys())];
  return Object.fromEntries(names.map((name) => {
    const all = params.getAll(name);
    return [name, all.length > 1 ? all : all[0]];
  }));
}

/** Return a parameter's number, or `otherwise` if it is none. */
export function numberOf(params, name, otherwise = null) {
  const text = params.get(name);
  const value = Number(text);
  return text === null || text === "" || !Number.isFinite(value) ? otherwise : value;
}

function plain(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
