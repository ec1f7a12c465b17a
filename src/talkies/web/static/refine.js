/** The controls of a search: which sides, one hit each what, in which films, how far away, weaker ones too. */

import { choice, choose, h, titleOf } from "./dom.js";
import { numberOf } from "./route.js";

export const SIDES = [["video", "Picture", "picture"], ["audio", "Sound", "sound"], ["both", "Both", "both"]];
const EACH = [["moment", "Moment"], ["shot", "Shot"], ["film", "Film"]];

/** Return the sides to choose from; those that a query lacks are off. */
export function sidesOf(has = ["video", "audio"]) {
  return SIDES.map(([value, text, mark]) => [value, text, mark, value === "both" ? has.length < 2 : !has.includes(value)]);
}

/**
 * Return the controls `{element, show}`; `change` hears what is to be written into the address.
 * `films` are those to choose from, `params` the address's parameters; `show(params)` sets the controls anew.
 */
export function refine({ films, params, has, isFile, change }) {
  const sides = [
    choice("Like its", "from", sidesOf(has), params.get("from") ?? "both", (from) => change({ from })),
    choice("Found by their", "to", sidesOf(), params.get("to") ?? "both", (to) => change({ to })),
  ];
  const each = choice("One hit for each", "per", EACH, params.get("per") ?? "moment", (per) => change({ per: per === "moment" ? null : per }));
  const weaker = h("input", { type: "checkbox", checked: params.get("floor") === "false", onchange: (event) => change({ floor: event.target.checked ? "false" : null }) });
  const apart = secondsField("apart", params, change);
  const begin = secondsField("begin", params, change);
  const end = secondsField("end", params, change);
  const within = filmChoice(films, params, change);
  const summary = h("summary", {}, choicesOf(params));
  const more = h("details", { class: "refine-more", open: matchMedia("(min-width: 901px)").matches },
    summary,
    each,
    h("label", { class: "check" }, weaker, h("span", {}, "Show weaker ones too")),
    within.element,
    isFile ? null : h("label", { class: "field" }, h("span", {}, "In its own film, at least"), apart, h("span", {}, "s away")),
    h("div", { class: "field" }, h("label", {}, "Only from ", begin), h("label", {}, " to ", end), h("span", {}, "s of a film")));
  const element = h("form", { class: "refine", "aria-label": "Refine the search", onsubmit: (event) => event.preventDefault() },
    ...sides, more);

  function show(next) {
    choose(sides[0], next.get("from") ?? "both");
    choose(sides[1], next.get("to") ?? "both");
    choose(each, next.get("per") ?? "moment");
    weaker.checked = next.get("floor") === "false";
    for (const field of [apart, begin, end]) {
      if (field !== document.activeElement) field.value = numberOf(next, field.name, ""); // what is being typed stays
    }
    within.show(next);
    summary.textContent = choicesOf(next);
  }
  return { element, show };
}

/** Return the name of the further choices, with how many of them are made: on a phone they are folded away. */
function choicesOf(params) {
  const made = ["films", "apart", "begin", "end", "per", "floor"].filter((name) => params.has(name)).length;
  return made ? `More choices (${made} made)` : "More choices";
}

function secondsField(name, params, change) {
  return h("input", {
    type: "number", name, min: "0", step: "any", inputmode: "decimal", value: numberOf(params, name, ""), placeholder: "0",
    onchange: (event) => change({ [name]: event.target.value || null }),
  });
}

function filmChoice(films, params, change) {
  const chosen = new Set(params.getAll("films"));
  const boxes = films.map((film) => h("input", {
    type: "checkbox", name: "films", value: film.film_id, checked: chosen.has(film.film_id),
    onchange: () => change({ films: boxes.filter((box) => box.checked).map((box) => box.value) }),
  }));
  const rows = films.map((film, i) => h("label", { class: "check" }, boxes[i], h("span", {}, titleOf(film.source))));
  const find = h("input", {
    type: "search", placeholder: "find a film", "aria-label": "Find a film to search within",
    oninput: () => rows.forEach((row) => { row.hidden = !row.textContent.toLowerCase().includes(find.value.toLowerCase()); }),
  });
  const element = h("fieldset", { class: "within" }, h("legend", {}, "Only within"), films.length > 8 ? find : null, h("div", { class: "within-list" }, rows));
  return { element, show: (next) => {
    const now = new Set(next.getAll("films"));
    for (const box of boxes) box.checked = now.has(box.value);
  } };
}
