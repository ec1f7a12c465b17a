/** The view of the map: every moment is a point, and moments that look or sound alike are close together. */

import * as api from "./api.js";
import { Chart } from "./chart.js";
import { createButton, createChoice, escapeControls, formatClock, formatCount, getTitle, h, limitChoice, setChoice } from "./dom.js";
import { activateWithin, createPreview, removePreviews, togglePreview } from "./preview.js";
import { buildMomentHash, buildSimilarParams, getMiddle } from "./result-card.js";
import { buildHash, getNumber, navigate, parseRoute, toObject, updateParams } from "./route.js";
import { createNotice } from "./upload.js";

const HOVER_MS = 140; // before the moment under the pointer is played

/** Open the map. */
export function open(route, { signal, fail }) {
  const view = new MapView(signal, fail);
  view.load(route.params);
  const step = (x, y) => () => view.chart?.step(x, y);
  return {
    element: view.element,
    title: "Map",
    update: (next) => view.load(next.params),
    leave: () => { view.chart?.leave(); removePreviews(view.element); },
    keys: {
      ArrowLeft: step(-1, 0), ArrowRight: step(1, 0), ArrowUp: step(0, -1), ArrowDown: step(0, 1),
      Enter: () => view.openChosen(), " ": () => view.toggleChosen(), p: () => view.searchSimilar("video"), s: () => view.searchSimilar("audio"),
      "+": () => view.chart?.zoom(1.5), "-": () => view.chart?.zoom(1 / 1.5), 0: () => view.chart?.showAll(),
    },
  };
}

class MapView {
  constructor(signal, fail) {
    Object.assign(this, { signal, fail, chart: null, wanted: null, modality: null, sides: [], hoverTimer: 0, chosen: null });
    this.modalityChoice = createChoice("Arrange", "side", [["video", "By picture", "picture"], ["audio", "By sound", "sound"]], "video", (modality) => {
      navigate(buildHash("map", { ...toObject(parseRoute().params), side: modality, x: null, y: null, z: null }));
    });
    this.summary = h("p", { class: "soft" }, "Loading the map …");
    this.chartArea = h("div", { class: "chart" });
    this.details = h("div", { class: "map-details", "aria-live": "polite" });
    this.legend = h("div", { class: "map-legend" });
    this.tools = h("div", { class: "map-tools" },
      createButton("", "plus", () => this.chart?.zoom(1.5), { class: "button round", "aria-label": "Zoom in" }),
      createButton("", "minus", () => this.chart?.zoom(1 / 1.5), { class: "button round", "aria-label": "Zoom out" }),
      createButton("", "whole", () => this.chart?.showAll(), { class: "button round", "aria-label": "Show everything" }));
    this.element = h("div", { class: "map" },
      h("div", { class: "view-head" }, h("div", {}, h("h1", { tabindex: "-1" }, "Map"), this.summary), this.modalityChoice),
      h("div", { class: "map-body" }, h("div", { class: "map-field" }, this.chartArea, this.tools), h("div", { class: "map-side" }, this.details, this.legend)));
  }

  async load(params) {
    const wanted = params.get("side") === "audio" ? "audio" : "video";
    if (wanted === this.wanted) return void this.chart?.setLook(readLook(params));
    this.wanted = wanted;
    try {
      const library = await api.fetchLibrary({ model: params.get("model"), signal: this.signal });
      if (!library.models.length) return void this.showNotice(library);
      if (wanted !== this.wanted) return;
      this.sides = api.getModel(library)?.sides ?? [wanted];
      const modality = this.sides.includes(wanted) ? wanted : this.sides[0]; // the model may lack the other
      this.modality = modality;
      setChoice(this.modalityChoice, modality);
      limitChoice(this.modalityChoice, this.sides);
      const { points } = await api.fetchMap(modality, params.get("model"), this.signal);
      if (modality !== this.modality) return;
      this.draw(library, points, params);
    } catch (error) {
      if (error.name === "AbortError") return;
      this.summary.textContent = "";
      this.fail(error);
    }
  }

  showNotice(library) {
    this.summary.textContent = "";
    this.modalityChoice.hidden = true;
    this.element.querySelector(".map-body").replaceChildren(createNotice(library) ?? "");
  }

  draw(library, points, params) {
    const films = library.films.filter((film) => points.some((point) => point.film_id === film.film_id));
    const sources = new Map(films.map((film) => [film.film_id, film.source]));
    const hues = new Map(films.map((film, i) => [film.film_id, Math.round((215 + i * 137.508) % 360)]));
    this.points = points.map((point) => ({ ...point, source: sources.get(point.film_id) ?? point.film_id, hue: hues.get(point.film_id) ?? 0 }));
    const word = this.modality === "audio" ? "sound" : "look";
    this.summary.textContent = `${formatCount(points.length, "moment")} of ${formatCount(films.length, "film")}; moments that ${word} alike are close together.`;
    this.chart?.leave();
    this.chart = new Chart(this.points, {
      label: `Map of ${points.length} moments by ${word === "look" ? "picture" : "sound"}; the arrow keys move between moments, Enter opens one`,
      look: readLook(params),
      onChoose: (point, isOpened) => this.choose(point, isOpened),
      onLook: (look) => updateParams({ x: look.x.toFixed(3), y: look.y.toFixed(3), z: look.z.toFixed(2) }),
    });
    this.chartArea.replaceChildren(this.chart.element);
    this.drawLegend(films, hues, params.get("only"));
    const at = getNumber(params, "at");
    const getDistance = (point) => Math.abs(getMiddle(point) - at); // clips of shots overlap the regular ones
    const isAtMoment = (point) => point.film_id === params.get("film") && point.start_seconds <= at && at < point.end_seconds;
    const [start] = this.points.filter(isAtMoment).sort((a, b) => getDistance(a) - getDistance(b));
    if (start) this.chart.choose(start);
    else this.details.replaceChildren(h("p", { class: "soft map-hint" }, "Hover over the map or use the arrow keys to play a moment here. Click to open it in its film."));
  }

  drawLegend(films, hues, only) {
    this.chart.highlight(only);
    const buttons = films.map((film) => {
      const dot = h("span", { class: "dot" });
      dot.style.setProperty("--hue", hues.get(film.film_id));
      const toggleFilm = ({ currentTarget }) => {
        const next = currentTarget.getAttribute("aria-pressed") === "true" ? null : film.film_id;
        for (const other of buttons) other.setAttribute("aria-pressed", String(other === currentTarget && next !== null));
        updateParams({ only: next });
        this.chart.highlight(next);
      };
      return h("button", {
        type: "button", class: "legend-film", "aria-pressed": String(film.film_id === only), title: escapeControls(film.source), onclick: toggleFilm,
      }, dot, h("span", {}, getTitle(film.source)));
    });
    this.legend.replaceChildren(h("h2", {}, "Films"), h("div", { class: "legend-films" }, buttons));
  }

  /** Show a moment next to the map after a short delay, or open it at once if it was clicked. */
  choose(point, isOpened) {
    if (isOpened) return navigate(buildMomentHash(point));
    this.chosen = point;
    clearTimeout(this.hoverTimer);
    this.hoverTimer = setTimeout(() => this.show(point), HOVER_MS);
    return undefined;
  }

  show(point) {
    const where = `${getTitle(point.source)}, ${formatClock(point.start_seconds)}`;
    updateParams({ film: point.film_id, at: getMiddle(point).toFixed(2) });
    removePreviews(this.details);
    const clip = createPreview({ filmId: point.film_id, start: point.start_seconds, end: point.end_seconds, label: where });
    const createSimilarLink = (modality, name) =>
      h("a", { class: `more side-${modality}`, "data-more": modality, href: buildHash("search", buildSimilarParams(point, modality)) }, name);
    this.details.replaceChildren(clip,
      h("p", { class: "query-name" }, h("a", { href: buildMomentHash(point) }, getTitle(point.source)), h("span", { class: "soft" }, ` at ${formatClock(point.start_seconds, true)}`)),
      h("p", { class: "moment-more" }, h("span", { class: "soft" }, "More by"),
        this.sides.includes("video") ? createSimilarLink("video", "picture") : null, this.sides.includes("audio") ? createSimilarLink("audio", "sound") : null));
    activateWithin(this.details, clip);
  }

  openChosen() {
    if (this.chosen) navigate(buildMomentHash(this.chosen));
  }

  searchSimilar(modality) {
    if (this.chosen) navigate(buildHash("search", buildSimilarParams(this.chosen, modality)));
  }

  toggleChosen() {
    const clip = this.details.querySelector(".preview");
    if (clip) togglePreview(clip);
  }
}

function readLook(params) {
  return { x: getNumber(params, "x", 0.5), y: getNumber(params, "y", 0.5), z: Math.max(1, getNumber(params, "z", 1)) };
}
