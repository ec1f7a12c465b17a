/** The library: every film with its pictures and its verdict, the place to drop a file, and a box to filter with. */

import * as api from "./api.js";
import { h, icon, length, plural, sentence, swap, titleOf } from "./dom.js";
import { hashOf, note } from "./route.js";
import { dropZone, noticeOf } from "./upload.js";

const BADGES = { accepted: "good", "accepted with warnings": "warned", rejected: "bad" };

/** Open the library. */
export function open(route, { signal, fail }) {
  const head = h("div", { class: "view-head" }, h("h1", { tabindex: "-1" }, "Library"), h("p", { class: "soft" }, "Reading …"));
  const body = h("div", {});
  const filter = filterBox(route.params.get("q") ?? "");
  const element = h("div", { class: "library" }, head, body);
  let isWanted = false; // the filter, by its key, before it is there

  async function load() {
    try {
      const shelf = await api.library({ anew: true, model: route.params.get("model"), signal });
      swap(head, ...headOf(shelf), filter.element);
      const cards = shelf.films.filter((film) => film.usable).map((film) => filmCard(film, shelf));
      const refused = shelf.films.filter((film) => !film.usable).map(refusedRow);
      filter.over([...cards, ...refused]);
      if (isWanted) filter.input.focus();
      body.replaceChildren(...[noticeOf(shelf), shelf.models.length ? dropZone() : null, ...sections(cards, refused), filter.none].filter(Boolean));
    } catch (error) {
      if (error.name !== "AbortError") {
        head.lastChild.replaceWith(h("p", {}, h("a", { href: hashOf("library"), onclick: () => location.reload() }, "Try again")));
        fail(error);
      }
    }
  }
  load();
  return { element, title: "Library", update: (next) => filter.set(next.params.get("q") ?? ""), keys: { "/": () => { isWanted = true; filter.input.focus(); } } };
}

function headOf(shelf) {
  const usable = shelf.films.filter((film) => film.usable);
  const seconds = usable.reduce((sum, film) => sum + film.duration_seconds, 0);
  const shots = usable.reduce((sum, film) => sum + film.shots, 0);
  const told = `${plural(usable.length, "film")}, ${length(seconds)}, ${plural(shots, "shot")}`;
  return [h("div", {}, h("h1", { tabindex: "-1" }, shelf.name), h("p", { class: "soft" }, told))];
}

function sections(cards, refused) {
  if (!cards.length && !refused.length) return [h("p", { class: "empty" }, "No film is in this library yet.")];
  return [
    cards.length ? h("section", { "aria-label": "Films", class: "films" }, cards) : null,
    refused.length ? h("section", { class: "refused" }, h("h2", {}, "Not taken in"), h("ul", { class: "refused-list" }, refused)) : null,
  ];
}

/** Return the box and what it does: of each element only those are shown whose words hold all of its. */
function filterBox(text) {
  let elements = [];
  const none = h("p", { class: "empty", hidden: true, role: "status" }, "No film has these words.");
  const input = h("input", {
    type: "search", value: text, placeholder: "Filter films", "aria-label": "Filter films", "aria-keyshortcuts": "/",
    oninput: () => { note({ q: input.value.trim() || null }); apply(); },
  });
  const apply = () => {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const one of elements) one.hidden = !words.every((word) => one.words.includes(word));
    none.hidden = !elements.length || elements.some((one) => !one.hidden);
    for (const part of document.querySelectorAll(".films, .refused")) part.hidden = !part.querySelector(".film-card:not([hidden]), .refused-list > li:not([hidden])");
  };
  return {
    input, none,
    element: h("label", { class: "filter" }, icon("search"), input, h("kbd", { "aria-hidden": "true" }, "/")),
    over: (next) => { elements = next; requestAnimationFrame(apply); },
    set: (next) => { if (input.value.trim() !== next) { input.value = next; apply(); } },
  };
}

/** Return the badge of a verdict. */
export function badge(verdict) {
  return h("span", { class: `badge is-${BADGES[verdict] ?? "bad"}` }, verdict === "accepted with warnings" ? "with warnings" : verdict);
}

/** Return the reasons of a verdict, as sentences. */
export function reasonsOf(film) {
  return film.reasons.length ? h("ul", { class: "reasons" }, film.reasons.map((reason) => h("li", { title: reason.code }, sentence(reason.text)))) : null;
}

function filmCard(film, shelf) {
  const address = hashOf("film", {}, film.film_id);
  const facts = [length(film.duration_seconds), plural(film.shots, "shot")];
  const picture = h("img", { class: "card-picture", src: api.frameUrl(film.film_id, film.duration_seconds * 0.4), alt: "", loading: "lazy", decoding: "async" });
  const strip = h("img", { class: "card-strip", src: api.stripUrl(film.film_id, 5), alt: "", loading: "lazy", decoding: "async" });
  picture.addEventListener("load", () => lighten(picture, film));
  for (const image of [picture, strip]) image.addEventListener("error", () => image.classList.add("is-gone"));
  const name = titleOf(film.source);
  const card = h("article", { class: "film-card" },
    h("a", { class: "card-pictures", href: address, tabindex: "-1", "aria-hidden": "true" }, picture, strip),
    h("div", { class: "card-body" },
      h("h2", {}, h("a", { href: address, title: film.source }, name)),
      h("p", { class: "card-facts" }, h("span", { class: "soft" }, facts.join(" · ")), badge(film.verdict)),
      film.embedded || !shelf.models.length ? null : h("p", { class: "soft small" }, "Not embedded yet: it is not searched."),
      reasonsOf(film)));
  card.words = `${name} ${film.source} ${film.verdict} ${film.film_id}`.toLowerCase();
  return card;
}

function refusedRow(film) {
  const row = h("li", {},
    h("p", {}, h("a", { href: hashOf("film", {}, film.film_id) }, film.source.split("/").pop()), " ", badge(film.verdict)),
    reasonsOf(film));
  row.words = `${film.source} ${film.verdict} ${film.film_id}`.toLowerCase();
  return row;
}

const TRIED = [0.6, 0.22, 0.78]; // shares of a film's length

/** Take a card's picture from elsewhere in its film where the one that came is all but black. */
function lighten(image, film) {
  image.tried = (image.tried ?? 0) + 1;
  const canvas = h("canvas", { width: "8", height: "8" });
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  pen.drawImage(image, 0, 0, 8, 8);
  const { data } = pen.getImageData(0, 0, 8, 8);
  const mean = data.reduce((sum, value, i) => (i % 4 === 3 ? sum : sum + value), 0) / 192;
  if (mean < 14 && image.tried <= TRIED.length) image.src = api.frameUrl(film.film_id, film.duration_seconds * TRIED[image.tried - 1]);
}
