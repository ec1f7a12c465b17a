/** The view of the library: every film with its pictures and verdict, the drop zone, and a filter box. */

import * as api from "./api.js";
import { createIcon, escapeControls, formatCount, formatDuration, formatSentence, getTitle, h, replaceContent } from "./dom.js";
import { buildHash, updateParams } from "./route.js";
import { createDropZone, createNotice } from "./upload.js";
import { createWordsForm } from "./words.js";

const BADGES = { accepted: "good", "accepted with warnings": "warned", rejected: "bad" };

/** Open the library. */
export function open(route, { signal, fail }) {
  const head = h("div", { class: "view-head" }, h("h1", { tabindex: "-1" }, "Library"), h("p", { class: "soft" }, "Loading …"));
  const body = h("div", {});
  const filter = createFilterBox(route.params.get("q") ?? "");
  const element = h("div", { class: "library" }, head, body);
  let words = null;
  let isFilterRequested = false; // its key was pressed before the library was loaded

  async function load() {
    try {
      const library = await api.fetchLibrary({ refresh: true, model: route.params.get("model"), signal });
      replaceContent(head, ...createHead(library), filter.element);
      const cards = library.films.filter((film) => film.usable).map((film) => createFilmCard(film, library));
      const rejected = library.films.filter((film) => !film.usable).map(createRejectedRow);
      filter.setElements([...cards, ...rejected]);
      if (isFilterRequested) filter.input.focus();
      const dropZone = library.models.length ? createDropZone() : null;
      words = library.models.length ? createWordsForm({ model: api.getModel(library), params: new URLSearchParams() }) : null;
      const parts = [createNotice(library), words?.element, dropZone, ...createSections(cards, rejected), filter.none];
      body.replaceChildren(...parts.filter(Boolean));
    } catch (error) {
      if (error.name !== "AbortError") {
        head.lastChild.replaceWith(h("p", {}, h("a", { href: buildHash("library"), onclick: () => location.reload() }, "Try again")));
        fail(error);
      }
    }
  }
  load();
  return {
    element,
    title: "Library",
    update: (next) => filter.setText(next.params.get("q") ?? ""),
    keys: { "/": () => { isFilterRequested = true; filter.input.focus(); }, w: () => words?.focus() },
  };
}

function createHead(library) {
  const usable = library.films.filter((film) => film.usable);
  const seconds = usable.reduce((sum, film) => sum + film.duration_seconds, 0);
  const shots = usable.reduce((sum, film) => sum + film.shots, 0);
  const model = api.getModel(library);
  const shown = model ? `; model: ${api.describeModel(model)}` : "";
  const facts = `${formatCount(usable.length, "film")}, ${formatDuration(seconds)}, ${formatCount(shots, "shot")}${shown}`;
  return [h("div", {}, h("h1", { tabindex: "-1" }, library.name), h("p", { class: "soft" }, facts))];
}

function createSections(cards, rejected) {
  if (!cards.length && !rejected.length) return [h("p", { class: "empty" }, "This library has no films yet.")];
  return [
    cards.length ? h("section", { "aria-label": "Films", class: "films" }, cards) : null,
    rejected.length ? h("section", { class: "rejected" }, h("h2", {}, "Rejected"), h("ul", { class: "rejected-list" }, rejected)) : null,
  ];
}

/** Return the filter box; it shows only the elements whose `words` contain every word that was typed. */
function createFilterBox(text) {
  let elements = [];
  const none = h("p", { class: "empty", hidden: true, role: "status" }, "No film matches this filter.");
  const input = h("input", {
    type: "search", value: text, placeholder: "Filter films", "aria-label": "Filter films", "aria-keyshortcuts": "/",
    oninput: () => { updateParams({ q: input.value.trim() || null }); applyFilter(); },
  });
  const applyFilter = () => {
    const words = input.value.normalize("NFC").toLowerCase().split(/\s+/).filter(Boolean);
    for (const element of elements) element.hidden = !words.every((word) => element.words.includes(word));
    none.hidden = !elements.length || elements.some((element) => !element.hidden);
    for (const section of document.querySelectorAll(".films, .rejected")) {
      section.hidden = !section.querySelector(".film-card:not([hidden]), .rejected-list > li:not([hidden])");
    }
  };
  return {
    input, none,
    element: h("label", { class: "filter" }, createIcon("search"), input, h("kbd", { "aria-hidden": "true" }, "/")),
    setElements: (next) => { elements = next; requestAnimationFrame(applyFilter); },
    setText: (next) => { if (input.value.trim() !== next) { input.value = next; applyFilter(); } },
  };
}

/** Return the coloured badge of a verdict. */
export function createBadge(verdict) {
  return h("span", { class: `badge is-${BADGES[verdict] ?? "bad"}` }, verdict === "accepted with warnings" ? "with warnings" : verdict);
}

/** Return the reasons of a verdict, as sentences. */
export function createReasons(film) {
  if (!film.reasons.length) return null;
  return h("ul", { class: "reasons" }, film.reasons.map((reason) => h("li", { title: reason.code }, formatSentence(reason.text))));
}

function createFilmCard(film, library) {
  const address = buildHash("film", {}, film.film_id);
  const facts = [formatDuration(film.duration_seconds), formatCount(film.shots, "shot")];
  const picture = h("img", { class: "card-picture", src: api.buildFrameUrl(film.film_id, film.duration_seconds * 0.4), alt: "", loading: "lazy", decoding: "async" });
  const strip = h("img", { class: "card-strip", src: api.buildStripUrl(film.film_id, 5), alt: "", loading: "lazy", decoding: "async" });
  picture.addEventListener("load", () => replaceDarkPicture(picture, film));
  for (const image of [picture, strip]) image.addEventListener("error", () => image.classList.add("is-gone"));
  const name = getTitle(film.source);
  const card = h("article", { class: "film-card" },
    h("a", { class: "card-pictures", href: address, tabindex: "-1", "aria-hidden": "true" }, picture, strip),
    h("div", { class: "card-body" },
      h("h2", {}, h("a", { href: address, title: escapeControls(film.source) }, name)),
      h("p", { class: "card-facts" }, h("span", { class: "soft" }, facts.join(" · ")), createBadge(film.verdict)),
      film.embedded || !library.models.length ? null : h("p", { class: "soft small" }, "Not embedded yet, so it is not searched."),
      createReasons(film)));
  card.words = `${name} ${film.source} ${film.other_names.join(" ")} ${film.verdict} ${film.film_id}`.normalize("NFC").toLowerCase();
  return card;
}

function createRejectedRow(film) {
  const row = h("li", {},
    h("p", {}, h("a", { href: buildHash("film", {}, film.film_id) }, escapeControls(film.source.split("/").pop())), " ", createBadge(film.verdict)),
    createReasons(film));
  row.words = `${film.source} ${film.other_names.join(" ")} ${film.verdict} ${film.film_id}`.normalize("NFC").toLowerCase();
  return row;
}

const DARK_LEVEL = 14; // of 255
const OTHER_POSITIONS = [0.6, 0.22, 0.78]; // shares of a film's duration

/** Replace a card's picture by one from elsewhere in its film if it is nearly black. */
function replaceDarkPicture(image, film) {
  image.attempts = (image.attempts ?? 0) + 1;
  const canvas = h("canvas", { width: "8", height: "8" });
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  pen.drawImage(image, 0, 0, 8, 8);
  const { data } = pen.getImageData(0, 0, 8, 8);
  const mean = data.reduce((sum, value, i) => (i % 4 === 3 ? sum : sum + value), 0) / 192;
  if (mean >= DARK_LEVEL || image.attempts > OTHER_POSITIONS.length) return;
  image.src = api.buildFrameUrl(film.film_id, film.duration_seconds * OTHER_POSITIONS[image.attempts - 1]);
}
