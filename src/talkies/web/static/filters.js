/** The controls of a search: picture or sound, how results are grouped, which films and times, weaker matches. */

import { createChoice, getTitle, h, setChoice } from "./dom.js";
import { getNumber } from "./route.js";

const MODALITIES = [["video", "Picture", "picture"], ["audio", "Sound", "sound"], ["both", "Both", "both"]];
const GROUPS = [["moment", "Moment"], ["shot", "Shot"], ["film", "Film"]];
const FILTERS = ["films", "apart", "begin", "end", "per", "floor"];
const MANY_FILMS = 8; // above this, the list of films gets a search box

/** Return what a choice of modalities shows if nothing was chosen: both, or the only one that is available. */
export const getDefaultModality = (available) => (available.length === 1 ? available[0] : "both");

/** Return the options of a modality choice; those that the query or the model does not have are disabled. */
export function listModalities(available = ["video", "audio"]) {
  const isMissing = (value) => (value === "both" ? available.length < 2 : !available.includes(value));
  return MODALITIES.map(([value, text, iconName]) => [value, text, iconName, isMissing(value)]);
}

/**
 * Return the controls `{element, update}`; `onChange` is called with the changed parameters of the address.
 * `films` can be chosen from, `params` are the address's parameters; `update(params)` sets the controls from them.
 * `own` are the modalities of the moment or file (none: only words), `others` those that can be matched against.
 */
export function createFilters({ films, params, own, others, isMoment, onChange }) {
  const chosen = (name, next) => next.get(name) ?? getDefaultModality(name === "from" ? own : others);
  const from = createChoice("Ask with", "from", listModalities(own), chosen("from", params), (value) => onChange({ from: value }));
  const to = createChoice("Match against", "to", listModalities(others), chosen("to", params), (value) => onChange({ to: value }));
  from.hidden = !own.length;
  const per = createChoice("One result per", "per", GROUPS, params.get("per") ?? "moment", (value) => onChange({ per: value === "moment" ? null : value }));
  const weaker = h("input", {
    type: "checkbox", checked: params.get("floor") === "false",
    onchange: (event) => onChange({ floor: event.target.checked ? "false" : null }),
  });
  const apart = createSecondsField("apart", params, onChange);
  const begin = createSecondsField("begin", params, onChange);
  const end = createSecondsField("end", params, onChange);
  const filmFilter = createFilmFilter(films, params, onChange);

  const summary = h("summary", {}, describeFilters(params));
  const details = h("details", { class: "filters-more", open: matchMedia("(min-width: 901px)").matches },
    summary,
    per,
    h("label", { class: "check" }, weaker, h("span", {}, "Show weaker matches")),
    filmFilter.element,
    isMoment ? h("label", { class: "field" }, h("span", {}, "In the same film, at least"), apart, h("span", {}, "s away")) : null,
    h("div", { class: "field" }, h("label", {}, "Only from ", begin), h("label", {}, " to ", end), h("span", {}, "s of a film")));
  const element = h("form", { class: "filters", "aria-label": "Search settings", onsubmit: (event) => event.preventDefault() }, from, to, details);

  function update(next) {
    setChoice(from, chosen("from", next));
    setChoice(to, chosen("to", next));
    setChoice(per, next.get("per") ?? "moment");
    weaker.checked = next.get("floor") === "false";
    for (const field of [apart, begin, end]) {
      if (field !== document.activeElement) field.value = getNumber(next, field.name, ""); // do not overwrite typing
    }
    filmFilter.update(next);
    summary.textContent = describeFilters(next);
  }
  return { element, update };
}

/** Return the title of the further filters, with the number that is set: on a phone they are folded. */
function describeFilters(params) {
  const count = FILTERS.filter((name) => params.has(name)).length;
  return count ? `More filters (${count} set)` : "More filters";
}

function createSecondsField(name, params, onChange) {
  return h("input", {
    type: "number", name, min: "0", step: "any", inputmode: "decimal", value: getNumber(params, name, ""), placeholder: "0",
    onchange: (event) => onChange({ [name]: event.target.value || null }),
  });
}

function createFilmFilter(films, params, onChange) {
  const chosen = new Set(params.getAll("films"));
  const boxes = films.map((film) => h("input", {
    type: "checkbox", name: "films", value: film.film_id, checked: chosen.has(film.film_id),
    onchange: () => onChange({ films: boxes.filter((box) => box.checked).map((box) => box.value) }),
  }));
  const rows = films.map((film, i) => h("label", { class: "check" }, boxes[i], h("span", {}, getTitle(film.source))));
  const find = h("input", {
    type: "search", placeholder: "find a film", "aria-label": "Find a film to search within",
    oninput: () => rows.forEach((row) => { row.hidden = !row.textContent.toLowerCase().includes(find.value.toLowerCase()); }),
  });
  const element = h("fieldset", { class: "within" },
    h("legend", {}, "Only in these films"), films.length > MANY_FILMS ? find : null, h("div", { class: "within-list" }, rows));

  function update(next) {
    const filmIds = new Set(next.getAll("films"));
    for (const box of boxes) box.checked = filmIds.has(box.value);
  }
  return { element, update };
}
