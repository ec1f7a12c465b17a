/** The view of one film: its player, its timeline, and the current moment, from which a search can start. */

import * as api from "./api.js";
import { escapeControls, formatClock, formatCount, formatDuration, getTitle, h, replaceContent } from "./dom.js";
import { createBadge, createReasons } from "./library.js";
import { createMomentPanel } from "./moment-panel.js";
import { buildHash, getNumber, navigate, updateParams } from "./route.js";
import { createTimeline } from "./timeline.js";
import { removeTracks } from "./tracks.js";
import { describeWords } from "./words.js";

const SETTLE_MS = 300; // after a seek, before the address and the similarity track follow
const STEP_SECONDS = 1;
const END_MARGIN_SECONDS = 0.05; // the last moment that can be searched from is this long before the end

/** Open a film at the moment that the address names. */
export function open(route, { signal, fail, retitle }) {
  const view = new FilmView(route.id, signal, fail);
  view.load(route.params).then((title) => retitle(title), (error) => {
    if (error.name !== "AbortError") view.showLoadError(error);
  });
  return {
    element: view.element,
    title: "Film",
    update: (next) => view.update(next.params),
    leave: () => view.leave(),
    keys: {
      " ": () => view.togglePlay(),
      ArrowLeft: (event) => (event.shiftKey ? view.seekShot(-1) : view.seek(view.at - STEP_SECONDS)),
      ArrowRight: (event) => (event.shiftKey ? view.seekShot(1) : view.seek(view.at + STEP_SECONDS)),
      p: () => view.searchSimilar("video"),
      s: () => view.searchSimilar("audio"),
    },
  };
}

class FilmView {
  constructor(id, signal, fail) {
    Object.assign(this, { id, signal, fail, at: 0, heatKey: "", settleTimer: 0, hasLeft: false });
    this.element = h("div", { class: "film" }, h("h1", { tabindex: "-1" }, "Film"), h("p", { class: "soft" }, "Loading …"));
  }

  async load(params) {
    const model = params.get("model");
    const [film, library] = await Promise.all([
      api.fetchFilm(this.id, model, this.signal),
      api.fetchLibrary({ model, signal: this.signal }),
    ]);
    this.film = film;
    const title = getTitle(film.source);
    const head = h("div", { class: "view-head film-head" }, h("div", {},
      h("h1", { tabindex: "-1", title: escapeControls(film.source) }, title),
      h("p", { class: "card-facts" }, h("span", { class: "soft" }, this.describe()), createBadge(film.verdict))));
    if (film.usable) this.build(head, library, params);
    else replaceContent(this.element, head, createRejectedPanel(film));
    return title;
  }

  build(head, library, params) {
    const { film } = this;
    this.video = this.createPlayer();
    this.timeline = createTimeline(film, (at) => this.seek(at));
    this.panel = createMomentPanel({
      film, library, params,
      seek: (at) => this.seek(at),
      onModalities: (modalities) => { updateParams(modalities); this.updateHeat(); },
    });
    this.heatNote = h("p", { class: "timeline-note soft" });
    const { element, legend, recurrenceText } = this.timeline;
    const recurrenceNote = recurrenceText ? h("p", { class: "timeline-note soft" }, recurrenceText) : null;
    replaceContent(this.element, head, h("div", { class: "stage" },
      h("div", { class: "player" }, this.video),
      h("div", { class: "time" }, element, legend, recurrenceNote, this.heatNote, createReasons(film)),
      this.panel.element));
    this.update(params);
  }

  describe() {
    const { film } = this;
    const name = escapeControls(film.source.split("/").pop());
    return film.usable ? `${formatDuration(film.duration_seconds)} · ${formatCount(film.shots, "shot")} · ${name}` : name;
  }

  createPlayer() {
    const video = h("video", {
      controls: true, playsinline: true, preload: "auto", "aria-label": getTitle(this.film.source), src: api.buildMediaUrl(this.id),
    });
    video.addEventListener("loadedmetadata", () => { if (Math.abs(video.currentTime - this.at) > 0.01) video.currentTime = this.at; });
    video.addEventListener("seeking", () => this.moveTo(video.currentTime));
    video.addEventListener("pause", () => this.moveTo(video.currentTime));
    video.addEventListener("play", () => this.followPlayback());
    video.addEventListener("error", () => {
      if (!this.hasLeft) this.fail(new api.ServerError("this film's proxy cannot be played; it may have been removed from the library"));
    });
    return video;
  }

  /** Move the playhead while the film plays. */
  followPlayback() {
    const step = () => {
      if (this.hasLeft || this.video.paused) return;
      this.setTime(this.video.currentTime);
      requestAnimationFrame(step);
    };
    step();
  }

  togglePlay() {
    if (!this.video) return;
    if (this.video.paused) this.video.play().catch(() => {});
    else this.video.pause();
  }

  seek(at) {
    if (!this.video) return;
    const time = Math.min(this.film.duration_seconds - END_MARGIN_SECONDS, Math.max(0, at));
    this.moveTo(time);
    if (this.video.readyState > 0) this.video.currentTime = time;
  }

  /** Seek to the start of the next (1) or previous (-1) shot. */
  seekShot(direction) {
    const starts = this.film?.shot_spans?.map(([start]) => start) ?? [];
    const next = direction > 0 ? starts.find((start) => start > this.at + 0.05) : starts.findLast((start) => start < this.at - 0.5);
    if (next !== undefined) this.seek(next + 0.01);
  }

  setTime(at) {
    this.at = Math.min(at, Math.max(0, this.film.duration_seconds - END_MARGIN_SECONDS)); // two decimals must not round past the end
    this.timeline.setTime(this.at);
    this.panel.setTime(this.at);
  }

  moveTo(at) {
    this.setTime(at);
    clearTimeout(this.settleTimer);
    this.settleTimer = setTimeout(() => {
      if (this.hasLeft) return;
      updateParams({ at: this.at.toFixed(2) });
      if (this.video.paused) this.updateHeat();
    }, SETTLE_MS);
  }

  /** Take the moment, the modalities and the query from the address. */
  update(params) {
    if (!this.video) return;
    this.params = params;
    this.panel.update(params);
    const at = getNumber(params, "at", 0);
    if (Math.abs(at - this.at) > 0.02 || at === 0) this.seek(at);
    clearTimeout(this.settleTimer);
    this.updateHeat();
  }

  /** Show how similar this film is to the query that led here, or otherwise to the moment under the playhead. */
  async updateHeat() {
    if (!this.film.embedded) return;
    const { like, like_at: likeAt, upload, model } = Object.fromEntries(this.params);
    const [text, not] = ["text", "not"].map((name) => this.params.getAll(name));
    const { from, to } = this.panel.getModalities();
    const example = upload ? { upload } : like ? { film: like, at: likeAt } : text.length ? {} : { film: this.id, at: this.at.toFixed(2) };
    const query = { ...example, text, not };
    const key = JSON.stringify([query, from, to]);
    if (key === this.heatKey) return;
    this.heatKey = key;
    try {
      const similarity = await api.fetchHeat(this.id, { ...query, from, to, model }, this.signal);
      if (this.heatKey !== key || this.hasLeft) return;
      this.timeline.setHeat(similarity, to);
      this.describeHeat(upload, like, Number(likeAt), describeWords(this.params));
    } catch (error) {
      if (error.name === "AbortError") return;
      this.timeline.setHeat(null);
      this.fail(error);
    }
  }

  describeHeat(upload, like, likeAt, words) {
    if (!upload && !like && !words) return this.heatNote.replaceChildren("“Similarity” compares each moment with the one under the playhead.");
    const moment = like ? `the moment at ${formatClock(likeAt, true)}${like === this.id ? "" : " of another film"} that you searched from` : null;
    const query = [upload ? "your file" : moment, words].filter(Boolean).join(" and ");
    return this.heatNote.replaceChildren(`“Similarity” compares each moment with ${query}. `,
      h("a", { href: buildHash("film", { at: this.at.toFixed(2), ...this.panel.getModalities() }, this.id) }, "Compare with the moment under the playhead"));
  }

  searchSimilar(modality) {
    if (this.film?.embedded && this.video) navigate(buildHash("search", { film: this.id, at: this.at.toFixed(2), from: modality, to: modality }));
  }

  showLoadError(error) {
    replaceContent(this.element, h("h1", { tabindex: "-1" }, "This film cannot be shown"), h("p", {}, h("a", { href: buildHash("library") }, "Back to the library")));
    this.fail(error);
  }

  leave() {
    this.hasLeft = true;
    clearTimeout(this.settleTimer);
    if (!this.video) return;
    removeTracks(this.element);
    this.video.pause();
    this.video.removeAttribute("src");
    this.video.load();
  }
}

function createRejectedPanel(film) {
  return h("div", { class: "panel" },
    h("p", {}, "This film was rejected at ingest, so it cannot be played or searched. Reasons:"), createReasons(film),
    h("p", {}, h("a", { href: buildHash("library") }, "Back to the library")));
}
