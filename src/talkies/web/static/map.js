/** The library as a map: moments that look or sound alike lie near one another; to wander in. */

import * as api from "./api.js";
import { Chart } from "./chart.js";
import { button, choice, choose, clock, h, plural, titleOf } from "./dom.js";
import { likeThis, middleOf, momentOf } from "./hit.js";
import { attendIn, dismiss, preview, toggle } from "./preview.js";
import { current, go, hashOf, note, numberOf, plainOf } from "./route.js";
import { noticeOf } from "./upload.js";

const HOVERED_MS = 140; // before a moment under the pointer is played

/** Open the map. */
export function open(route, { signal, fail }) {
  const view = new MapView(signal, fail);
  view.load(route.params);
  const turn = (x, y) => () => view.chart?.step(x, y);
  return {
    element: view.element,
    title: "Map",
    update: (next) => view.load(next.params),
    leave: () => { view.chart?.leave(); dismiss(view.element); },
    keys: {
      ArrowLeft: turn(-1, 0), ArrowRight: turn(1, 0), ArrowUp: turn(0, -1), ArrowDown: turn(0, 1),
      Enter: () => view.enter(), " ": () => view.playChosen(), p: () => view.more("video"), s: () => view.more("audio"),
      "+": () => view.chart?.zoom(1.5), "-": () => view.chart?.zoom(1 / 1.5), 0: () => view.chart?.whole(),
    },
  };
}

class MapView {
  constructor(signal, fail) {
    Object.assign(this, { signal, fail, chart: null, side: null, waiting: 0, chosen: null });
    this.sides = choice("Near what", "side", [["video", "By picture", "picture"], ["audio", "By sound", "sound"]], "video", (side) => {
      go(hashOf("map", { ...plainOf(current().params), side, x: null, y: null, z: null }));
    });
    this.told = h("p", { class: "soft" }, "Laying out the map …");
    this.field = h("div", { class: "chart" });
    this.shown = h("div", { class: "map-shown", "aria-live": "polite" });
    this.legend = h("div", { class: "map-legend" });
    this.tools = h("div", { class: "map-tools" },
      button("", "plus", () => this.chart?.zoom(1.5), { class: "button round", "aria-label": "Closer" }),
      button("", "minus", () => this.chart?.zoom(1 / 1.5), { class: "button round", "aria-label": "Farther" }),
      button("", "whole", () => this.chart?.whole(), { class: "button round", "aria-label": "The whole map" }));
    this.element = h("div", { class: "map" },
      h("div", { class: "view-head" }, h("div", {}, h("h1", { tabindex: "-1" }, "Map"), this.told), this.sides),
      h("div", { class: "map-body" }, h("div", { class: "map-field" }, this.field, this.tools), h("div", { class: "map-side" }, this.shown, this.legend)));
  }

  async load(params) {
    const side = params.get("side") === "audio" ? "audio" : "video";
    choose(this.sides, side);
    if (side === this.side) return this.chart?.look(lookOf(params));
    this.side = side;
    try {
      const shelf = await api.library({ model: params.get("model"), signal: this.signal });
      if (!shelf.models.length) return this.empty(shelf);
      const { points } = await api.map(side, params.get("model"), this.signal);
      if (side !== this.side) return;
      this.draw(shelf, points, params);
    } catch (error) {
      if (error.name === "AbortError") return;
      this.told.textContent = "";
      this.fail(error);
    }
  }

  empty(shelf) {
    this.told.textContent = "";
    this.sides.hidden = true;
    this.element.querySelector(".map-body").replaceChildren(noticeOf(shelf) ?? "");
  }

  draw(shelf, points, params) {
    const films = shelf.films.filter((film) => points.some((point) => point.film_id === film.film_id));
    const sources = new Map(films.map((film) => [film.film_id, film.source]));
    const hues = new Map(films.map((film, i) => [film.film_id, Math.round((215 + i * 137.508) % 360)]));
    this.points = points.map((point) => ({ ...point, source: sources.get(point.film_id) ?? point.film_id, hue: hues.get(point.film_id) ?? 0 }));
    const word = this.side === "audio" ? "sound" : "look";
    this.told.textContent = `${plural(points.length, "moment")} of ${plural(films.length, "film")}; those that ${word} alike lie near one another.`;
    this.chart?.leave();
    this.chart = new Chart(this.points, {
      label: `Map of ${points.length} moments by ${word === "look" ? "picture" : "sound"}; the arrow keys go from one to the next, Enter opens it`,
      look: lookOf(params),
      onChoose: (point, isOpened) => this.choose(point, isOpened),
      onLook: (look) => note({ x: look.x.toFixed(3), y: look.y.toFixed(3), z: look.z.toFixed(2) }),
    });
    this.field.replaceChildren(this.chart.element);
    this.drawLegend(films, hues, params.get("only"));
    const at = numberOf(params, "at");
    const away = (point) => Math.abs(middleOf(point) - at); // clips of shots overlap the others
    const there = this.points.filter((point) => point.film_id === params.get("film") && point.start_seconds <= at && at < point.end_seconds)
      .sort((one, other) => away(one) - away(other))[0];
    if (there) this.chart.choose(there);
    else this.shown.replaceChildren(h("p", { class: "soft map-hint" }, "Point at the map, or take the arrow keys, and the moment plays here. A click opens it in its film."));
  }

  drawLegend(films, hues, only) {
    this.chart.highlight(only);
    const buttons = films.map((film) => {
      const dot = h("span", { class: "dot" });
      dot.style.setProperty("--hue", hues.get(film.film_id));
      return h("button", { type: "button", class: "legend-film", "aria-pressed": String(film.film_id === only), title: film.source, onclick: (event) => {
        const next = event.currentTarget.getAttribute("aria-pressed") === "true" ? null : film.film_id;
        for (const other of buttons) other.setAttribute("aria-pressed", String(other === event.currentTarget && next !== null));
        note({ only: next });
        this.chart.highlight(next);
      } }, dot, h("span", {}, titleOf(film.source)));
    });
    this.legend.replaceChildren(h("h2", {}, "Films"), h("div", { class: "legend-films" }, buttons));
  }

  /** Show a moment beside the map; it is opened at once where it was clicked. */
  choose(point, isOpened) {
    if (isOpened) return go(momentOf(point));
    this.chosen = point;
    clearTimeout(this.waiting);
    this.waiting = setTimeout(() => this.show(point), HOVERED_MS);
    return undefined;
  }

  show(point) {
    const where = `${titleOf(point.source)}, ${clock(point.start_seconds)}`;
    note({ film: point.film_id, at: middleOf(point).toFixed(2) });
    dismiss(this.shown);
    const clip = preview({ filmId: point.film_id, start: point.start_seconds, end: point.end_seconds, label: where });
    const more = (side, name) => h("a", { class: `more side-${side}`, "data-more": side, href: hashOf("search", likeThis(point, side)) }, name);
    this.shown.replaceChildren(clip,
      h("p", { class: "query-name" }, h("a", { href: momentOf(point) }, titleOf(point.source)), h("span", { class: "soft" }, ` at ${clock(point.start_seconds, true)}`)),
      h("p", { class: "moment-more" }, h("span", { class: "soft" }, "More by"), more("video", "picture"), more("audio", "sound")));
    attendIn(this.shown, clip);
  }

  enter() {
    if (this.chosen) go(momentOf(this.chosen));
  }

  more(side) {
    if (this.chosen) go(hashOf("search", likeThis(this.chosen, side)));
  }

  playChosen() {
    const clip = this.shown.querySelector(".preview");
    if (clip) toggle(clip);
  }
}

function lookOf(params) {
  return { x: numberOf(params, "x", 0.5), y: numberOf(params, "y", 0.5), z: Math.max(1, numberOf(params, "z", 1)) };
}
