/** What was found: the query, the controls, and the moments that are like it, as previews that play. */

import * as api from "./api.js";
import { button, clock, h, icon, length, plural, sentence, titleOf } from "./dom.js";
import { hitCard, likeThis, momentOf } from "./hit.js";
import { attendIn, dismiss, preview, switches, toggle } from "./preview.js";
import { refine } from "./refine.js";
import { current, go, hashOf, note, numberOf, plainOf } from "./route.js";
import { dropZone, keptFile } from "./upload.js";

const PAGE = 12;
const MOST = 100; // hits of one answer
const ASKED = ["film", "at", "upload", "from", "to", "per", "films", "begin", "end", "apart", "floor", "model"];

/** Return what a search's address asks the server for. */
export function queryOf(params) {
  const all = plainOf(params);
  return Object.fromEntries(ASKED.filter((name) => name in all).map((name) => [name, all[name]]));
}

/** Open the results of an address. */
export function open(route, { signal, fail }) {
  const view = new Results(signal, fail);
  view.load(route.params);
  return {
    element: view.element,
    title: "Results",
    update: (next) => view.load(next.params),
    leave: () => dismiss(view.element),
    keys: view.keys(),
  };
}

class Results {
  constructor(signal, fail) {
    Object.assign(this, { signal, fail, hits: [], floor: null, asked: 0, controls: null });
    this.head = h("div", { class: "query" });
    this.side = h("div", { class: "search-side" }, h("h1", { tabindex: "-1" }, "Moments like this"), this.head);
    this.told = h("p", { class: "found-told", role: "status" }, "Searching …");
    this.grid = h("div", { class: "hits" });
    this.foot = h("div", { class: "found-foot" });
    this.element = h("div", { class: "search" }, this.side,
      h("section", { class: "found", "aria-label": "What was found" },
        h("div", { class: "found-head" }, this.told, switches()), this.grid, this.foot));
  }

  async load(params) {
    const asked = ++this.asked; // an answer to an older question is not shown
    this.grid.classList.add("is-waiting");
    this.foot.replaceChildren(); // more of what was asked before is not wanted
    try {
      const shelf = await api.library({ model: params.get("model"), signal: this.signal });
      const file = params.has("upload") ? await api.upload(params.get("upload"), params.get("model"), this.signal) : null;
      const shown = Math.max(PAGE, numberOf(params, "n", PAGE));
      const found = await this.ask(params, 0, shown);
      if (asked !== this.asked) return;
      this.query(found.query, file);
      this.refine(shelf, file, params);
      dismiss(this.grid);
      this.grid.replaceChildren();
      this.hits = [];
      this.show(found, params);
    } catch (error) {
      if (asked === this.asked && error.name !== "AbortError") this.refuse(error);
    } finally {
      if (asked === this.asked) this.grid.classList.remove("is-waiting");
    }
  }

  /** Ask for hits from `skip` on, as many answers as it takes. */
  async ask(params, skip, count) {
    const query = queryOf(params);
    const found = await api.search({ ...query, skip, count: Math.min(MOST, count) }, this.signal);
    if (count > MOST && found.more) {
      const rest = await this.ask(params, skip + MOST, count - MOST);
      return { ...found, hits: [...found.hits, ...rest.hits], more: rest.more };
    }
    return found;
  }

  query(query, file) {
    if (this.head.childElementCount) return;
    if (file) return this.head.replaceChildren(...fileHead(file));
    const span = { film_id: query.film_id ?? query.film, source: query.source, start_seconds: query.start_seconds, end_seconds: query.end_seconds };
    const where = `${titleOf(span.source)}, ${clock(span.start_seconds)}`;
    const clip = preview({ filmId: span.film_id, start: span.start_seconds, end: span.end_seconds, label: where });
    attendIn(this.head, clip);
    this.asker = span;
    this.head.replaceChildren(clip, h("p", { class: "query-name" },
      h("a", { href: momentOf(span), title: span.source }, titleOf(span.source)),
      h("span", { class: "soft" }, ` at ${clock(span.start_seconds, true)}`)));
  }

  refine(shelf, file, params) {
    if (this.controls) return this.controls.show(params);
    const change = (changes) => go(hashOf("search", { ...plainOf(current().params), n: null, ...changes }));
    this.controls = refine({ films: shelf.films.filter((film) => film.embedded), params, has: file?.sides, isFile: Boolean(file), change });
    this.side.append(this.controls.element);
  }

  show(found, params) {
    const { film, at, upload, from, to, model } = queryOf(params);
    const query = { like: film, like_at: at, upload, from, to, model };
    this.floor = found.floor;
    for (const hit of found.hits) {
      this.hits.push(hit);
      this.grid.append(hitCard(hit, { place: this.hits.length, floor: found.floor, query }));
    }
    this.told.replaceChildren(...told(this.hits, found));
    this.foot.replaceChildren(...(found.more ? [button("Show more", "plus", () => this.more(params), { class: "button wide" })] : []));
    if (!this.hits.length) this.grid.append(nothing(found, params));
  }

  async more(params) {
    const asked = this.asked;
    const button = this.foot.querySelector("button");
    button.disabled = true;
    try {
      const found = await this.ask(params, this.hits.length, PAGE);
      if (asked !== this.asked) return;
      const first = this.hits.length;
      this.show(found, params);
      note({ n: this.hits.length });
      this.grid.children[first]?.querySelector("h3 a").focus({ preventScroll: true });
    } catch (error) {
      if (asked !== this.asked || error.name === "AbortError") return;
      button.disabled = false;
      this.fail(error);
    }
  }

  refuse(error) {
    dismiss(this.grid);
    this.hits = [];
    this.told.textContent = "";
    this.foot.replaceChildren();
    this.grid.replaceChildren(current().params.has("upload") ? dropZone() : h("p", {}, h("a", { href: hashOf("library") }, "To the library")));
    this.fail(error);
  }

  keys() {
    const attendedHit = () => document.activeElement?.closest(".hit") ?? this.element.querySelector(".hit:hover");
    const more = (side) => {
      const hit = attendedHit()?.hit ?? this.asker;
      if (hit) go(hashOf("search", likeThis(hit, side)));
    };
    const step = (by) => {
      const cards = [...this.grid.querySelectorAll(".hit")];
      const next = cards[Math.min(cards.length - 1, Math.max(0, cards.indexOf(attendedHit()) + by))];
      next?.querySelector("h3 a").focus();
    };
    return {
      p: () => more("video"),
      s: () => more("audio"),
      " ": () => {
        const clip = (attendedHit() ?? this.element).querySelector(".preview");
        if (clip) toggle(clip);
      },
      ArrowRight: () => step(1),
      ArrowLeft: () => step(-1),
    };
  }
}

function told(hits, found) {
  if (!hits.length) return ["No moment."];
  const films = new Set(hits.map((hit) => hit.film_id)).size;
  const recall = found.exact || found.recall === null ? "" : ` The index finds ${Math.round(found.recall * 100)} % of the ten likest.`;
  return [h("b", {}, `${plural(hits.length, "moment")}${found.more ? " so far" : ""}`), ` in ${plural(films, "film")}, the likest first.${recall}`];
}

function nothing(found, params) {
  return h("div", { class: "empty" },
    h("p", { class: "empty-told" }, sentence(found.nothing ?? "nothing found")),
    params.get("floor") === "false" ? null : h("p", {}, button("Show weaker ones", "plus", () => go(hashOf("search", { ...plainOf(params), floor: "false" })))));
}

function fileHead(file) {
  const kept = keptFile(file.upload);
  const isLong = file.sides.includes("audio") || file.seconds > 1.5; // a picture lasts as long as a clip is
  const both = file.sides.length > 1;
  const mark = both ? "both" : file.sides[0] === "audio" ? "sound" : "picture";
  const what = both ? "clip" : file.sides[0] === "audio" ? "sound" : "picture";
  const shown = !kept ? null
    : kept.type.startsWith("image/") ? h("img", { src: kept.url, alt: `The picture ${file.name}` })
    : kept.type.startsWith("audio/") ? h("audio", { src: kept.url, controls: true, "aria-label": file.name })
    : kept.type.startsWith("video/") ? h("video", { src: kept.url, controls: true, muted: true, playsinline: true, "aria-label": file.name })
    : null;
  shown?.addEventListener("error", () => shown.remove()); // the browser cannot show it; talkies could
  return [
    shown ? h("div", { class: "query-file" }, shown) : null,
    h("p", { class: "query-name" }, icon(mark), h("span", {}, file.name),
      h("span", { class: "soft" }, isLong ? `${what}, ${length(Math.max(1, file.seconds))}` : what)),
  ].filter(Boolean);
}
