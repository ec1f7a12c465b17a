/** A film: its player, its time, and the moment under the playhead, from which a search begins. */

import * as api from "./api.js";
import { clock, h, length, plural, swap, titleOf } from "./dom.js";
import { forgetLanes } from "./lanes.js";
import { badge, reasonsOf } from "./library.js";
import { momentPanel } from "./moment.js";
import { go, hashOf, note, numberOf } from "./route.js";
import { timeline } from "./timeline.js";

const SETTLED_MS = 300; // after a seek, before the address and the heat strip follow
const STEP_SECONDS = 1;
const LAST_SECONDS = 0.05; // before the end: the last moment that can be asked about

/** Open a film at the moment that the address names. */
export function open(route, { signal, fail, retitle }) {
  const view = new Film(route.id, signal, fail);
  view.load(route.params).then((name) => retitle(name), (error) => {
    if (error.name !== "AbortError") view.refuse(error);
  });
  return {
    element: view.element,
    title: "Film",
    update: (next) => view.follow(next.params),
    leave: () => view.leave(),
    keys: {
      " ": () => view.play(),
      ArrowLeft: (event) => (event.shiftKey ? view.shot(-1) : view.seek(view.at - STEP_SECONDS)),
      ArrowRight: (event) => (event.shiftKey ? view.shot(1) : view.seek(view.at + STEP_SECONDS)),
      p: () => view.more("video"),
      s: () => view.more("audio"),
    },
  };
}

class Film {
  constructor(id, signal, fail) {
    Object.assign(this, { id, signal, fail, at: 0, asked: "", settling: 0, gone: false });
    this.element = h("div", { class: "film" }, h("h1", { tabindex: "-1" }, "Film"), h("p", { class: "soft" }, "Reading …"));
  }

  async load(params) {
    const model = params.get("model");
    const [film, shelf] = await Promise.all([api.film(this.id, model, this.signal), api.library({ model, signal: this.signal })]);
    this.film = film;
    this.searchable = film.embedded;
    const name = titleOf(film.source);
    const head = h("div", { class: "view-head film-head" }, h("div", {},
      h("h1", { tabindex: "-1", title: film.source }, name),
      h("p", { class: "card-facts" }, h("span", { class: "soft" }, this.facts()), badge(film.verdict))));
    if (!film.usable) {
      swap(this.element, head, h("div", { class: "panel" },
        h("p", {}, "This film was not taken in, so there is nothing to play or to search. Why:"), reasonsOf(film),
        h("p", {}, h("a", { href: hashOf("library") }, "To the library"))));
      return name;
    }
    this.video = this.player();
    this.line = timeline(film, (at) => this.seek(at));
    this.panel = momentPanel({ film, shelf, params, seek: (at) => this.seek(at), sidesChanged: (sides) => { note(sides); this.heat(); } });
    this.heatTold = h("p", { class: "heat-told soft" });
    swap(this.element, head, h("div", { class: "stage" },
      h("div", { class: "player" }, this.video),
      h("div", { class: "time" }, this.line.element, this.line.legend, this.line.told ? h("p", { class: "heat-told soft" }, this.line.told) : null, this.heatTold, reasonsOf(film)),
      this.panel.element));
    this.follow(params);
    return name;
  }

  facts() {
    const { film } = this;
    return film.usable ? `${length(film.duration_seconds)} · ${plural(film.shots, "shot")} · ${film.source.split("/").pop()}` : film.source.split("/").pop();
  }

  player() {
    const video = h("video", { controls: true, playsinline: true, preload: "auto", "aria-label": titleOf(this.film.source), src: api.mediaUrl(this.id) });
    video.addEventListener("loadedmetadata", () => { if (Math.abs(video.currentTime - this.at) > 0.01) video.currentTime = this.at; });
    video.addEventListener("seeking", () => this.moved(video.currentTime));
    video.addEventListener("pause", () => this.moved(video.currentTime));
    video.addEventListener("play", () => this.run());
    video.addEventListener("error", () => { if (!this.gone) this.fail(new api.Refusal("this film's proxy cannot be played; it may have been taken out of the library")); });
    return video;
  }

  /** Let the playhead follow while the film plays. */
  run() {
    const step = () => {
      if (this.gone || this.video.paused) return;
      this.place(this.video.currentTime);
      requestAnimationFrame(step);
    };
    step();
  }

  play() {
    if (!this.video) return;
    if (this.video.paused) this.video.play().catch(() => {});
    else this.video.pause();
  }

  seek(at) {
    if (!this.video) return;
    const within = Math.min(this.film.duration_seconds - LAST_SECONDS, Math.max(0, at));
    this.moved(within);
    if (this.video.readyState > 0) this.video.currentTime = within;
  }

  shot(by) {
    const starts = this.film?.shot_spans?.map(([start]) => start) ?? [];
    const next = by > 0 ? starts.find((start) => start > this.at + 0.05) : starts.findLast((start) => start < this.at - 0.5);
    if (next !== undefined) this.seek(next + 0.01);
  }

  place(at) {
    this.at = Math.min(at, Math.max(0, this.film.duration_seconds - LAST_SECONDS)); // at the end it would be rounded up
    this.line.setTime(this.at);
    this.panel.setTime(this.at);
  }

  moved(at) {
    this.place(at);
    clearTimeout(this.settling);
    this.settling = setTimeout(() => {
      if (this.gone) return;
      note({ at: this.at.toFixed(2) });
      if (this.video.paused) this.heat();
    }, SETTLED_MS);
  }

  /** Do as the address says: its moment, its sides, its query. */
  follow(params) {
    if (!this.video) return;
    this.params = params;
    this.panel.follow(params);
    const at = numberOf(params, "at", 0);
    if (Math.abs(at - this.at) > 0.02 || at === 0) this.seek(at);
    clearTimeout(this.settling);
    this.heat();
  }

  /** Show where this film is like the query that led here, or else like the moment under the playhead. */
  async heat() {
    if (!this.searchable) return;
    const { like, like_at: likeAt, upload, model } = Object.fromEntries(this.params);
    const { from, to } = this.panel.sides();
    const query = upload ? { upload } : like ? { film: like, at: likeAt } : { film: this.id, at: this.at.toFixed(2) };
    const key = JSON.stringify([query, from, to]);
    if (key === this.asked) return;
    this.asked = key;
    try {
      const found = await api.heat(this.id, { ...query, from, to, model }, this.signal);
      if (this.asked !== key || this.gone) return;
      this.line.setHeat(found, to);
      this.tell(upload, like, Number(likeAt));
    } catch (error) {
      if (error.name === "AbortError") return;
      this.line.setHeat(null);
      this.fail(error);
    }
  }

  tell(upload, like, likeAt) {
    if (!upload && !like) return this.heatTold.replaceChildren("“Alike” shows how like each moment is to the one under the playhead.");
    const what = upload ? "your file" : `the moment at ${clock(likeAt, true)}${like === this.id ? "" : " of another film"} that you searched from`;
    this.heatTold.replaceChildren(`“Alike” shows how like each moment is to ${what}. `,
      h("a", { href: hashOf("film", { at: this.at.toFixed(2), ...this.panel.sides() }, this.id) }, "Show it for the moment under the playhead"));
  }

  more(side) {
    if (this.searchable && this.video) go(hashOf("search", { film: this.id, at: this.at.toFixed(2), from: side, to: side }));
  }

  refuse(error) {
    swap(this.element, h("h1", { tabindex: "-1" }, "This film cannot be shown"), h("p", {}, h("a", { href: hashOf("library") }, "To the library")));
    this.fail(error);
  }

  leave() {
    this.gone = true;
    clearTimeout(this.settling);
    if (!this.video) return;
    forgetLanes(this.element);
    this.video.pause();
    this.video.removeAttribute("src");
    this.video.load();
  }
}
