/** The view of search results: the query, the filters, and the similar moments as previews that play. */

import * as api from "./api.js";
import { createButton, createIcon, escapeControls, formatClock, formatCount, formatDuration, formatSentence, getTitle, h } from "./dom.js";
import { createFilters } from "./filters.js";
import { activateWithin, createPreview, createSwitches, removePreviews, togglePreview } from "./preview.js";
import { buildMomentHash, buildSimilarParams, createResultCard } from "./result-card.js";
import { buildHash, getNumber, navigate, parseRoute, toObject, updateParams } from "./route.js";
import { createDropZone, getUploadedFile } from "./upload.js";
import { createWordsForm } from "./words.js";

const PAGE_SIZE = 12;
const MAX_HITS = 100; // hits of one answer
const QUERY_PARAMS = ["film", "at", "upload", "text", "not", "from", "to", "per", "films", "begin", "end", "apart", "floor", "model"];

/** Return the parameters of an address that the server's search takes. */
function getQuery(params) {
  const all = toObject(params);
  return Object.fromEntries(QUERY_PARAMS.filter((name) => name in all).map((name) => [name, all[name]]));
}

/** Open the results of an address. */
export function open(route, { signal, fail }) {
  const view = new ResultsView(signal, fail);
  view.load(route.params);
  return {
    element: view.element,
    title: "Results",
    update: (next) => view.load(next.params),
    leave: () => removePreviews(view.element),
    keys: view.createKeys(),
  };
}

class ResultsView {
  constructor(signal, fail) {
    Object.assign(this, { signal, fail, hits: [], requestNumber: 0, filters: null, words: null, sides: [] });
    this.head = h("div", { class: "query" });
    this.sidebar = h("div", { class: "search-side" }, h("h1", { tabindex: "-1" }, "Similar moments"), this.head);
    this.summary = h("p", { class: "results-summary", role: "status" }, "Searching …");
    this.grid = h("div", { class: "hits" });
    this.foot = h("div", { class: "results-foot" });
    this.element = h("div", { class: "search" }, this.sidebar,
      h("section", { class: "results", "aria-label": "Results" },
        h("div", { class: "results-head" }, this.summary, createSwitches()), this.grid, this.foot));
  }

  async load(params) {
    const request = ++this.requestNumber; // the answer to an older request is dropped
    this.grid.classList.add("is-waiting");
    this.foot.replaceChildren();
    try {
      const library = await api.fetchLibrary({ model: params.get("model"), signal: this.signal });
      const file = params.has("upload") ? await api.fetchUpload(params.get("upload"), params.get("model"), this.signal) : null;
      if (request !== this.requestNumber) return;
      this.sides = api.getModel(library)?.sides ?? [];
      this.showWords(library, file, params);
      const count = Math.max(PAGE_SIZE, getNumber(params, "n", PAGE_SIZE));
      const answer = await this.fetchHits(params, 0, count);
      if (request !== this.requestNumber) return;
      this.showQuery(answer.query, file);
      this.showFilters(library, file, params);
      removePreviews(this.grid);
      this.grid.replaceChildren();
      this.hits = [];
      this.addHits(answer, params);
    } catch (error) {
      if (request === this.requestNumber && error.name !== "AbortError") this.showError(error);
    } finally {
      if (request === this.requestNumber) this.grid.classList.remove("is-waiting");
    }
  }

  /** Fetch `count` hits after the first `skip`, with as many requests as needed. */
  async fetchHits(params, skip, count) {
    const answer = await api.fetchHits({ ...getQuery(params), skip, count: Math.min(MAX_HITS, count) }, this.signal);
    if (count <= MAX_HITS || !answer.more) return answer;
    const rest = await this.fetchHits(params, skip + MAX_HITS, count - MAX_HITS);
    return { ...answer, hits: [...answer.hits, ...rest.hits], more: rest.more };
  }

  showQuery(query, file) {
    if (this.head.childElementCount) return;
    if (file) return void this.head.replaceChildren(...createFileHead(file));
    if (!query.film) return;
    const moment = { film_id: query.film_id ?? query.film, source: query.source, start_seconds: query.start_seconds, end_seconds: query.end_seconds };
    const where = `${getTitle(moment.source)}, ${formatClock(moment.start_seconds)}`;
    const clip = createPreview({ filmId: moment.film_id, start: moment.start_seconds, end: moment.end_seconds, label: where });
    activateWithin(this.head, clip);
    this.queryMoment = moment;
    this.head.replaceChildren(clip, h("p", { class: "query-name" },
      h("a", { href: buildMomentHash(moment), title: escapeControls(moment.source) }, getTitle(moment.source)),
      h("span", { class: "soft" }, ` at ${formatClock(moment.start_seconds, true)}`)));
  }

  showWords(library, file, params) {
    if (this.words) return void this.words.update(params);
    this.words = createWordsForm({ model: api.getModel(library), params, hasExample: Boolean(file) || params.has("film") });
    this.sidebar.append(this.words.element);
  }

  showFilters(library, file, params) {
    if (this.filters) return void this.filters.update(params);
    const model = api.getModel(library);
    const isMoment = params.has("film");
    this.filters = createFilters({
      films: library.films.filter((film) => film.embedded),
      params,
      own: file?.sides ?? (isMoment ? model.sides : []),
      others: file || isMoment ? model.sides : model.text,
      isMoment,
      onChange: (changes) => navigate(buildHash("search", { ...toObject(parseRoute().params), n: null, ...changes })),
    });
    this.sidebar.append(this.filters.element, h("p", { class: "query-model soft small" }, `Model: ${api.describeModel(model)}`));
  }

  addHits(answer, params) {
    const { film, at, upload, text, not, from, to, model } = getQuery(params);
    const query = { like: film, like_at: at, upload, text, not, from, to, model };
    for (const hit of answer.hits) {
      this.hits.push(hit);
      this.grid.append(createResultCard(hit, { place: this.hits.length, scoreThreshold: answer.floor, query, sides: this.sides }));
    }
    this.summary.replaceChildren(...createSummary(this.hits, answer));
    this.foot.replaceChildren(...(answer.more ? [createButton("Show more", "plus", () => this.loadMore(params), { class: "button wide" })] : []));
    if (!this.hits.length) this.grid.append(createEmptyMessage(answer, params));
  }

  async loadMore(params) {
    const request = this.requestNumber;
    const moreButton = this.foot.querySelector("button");
    moreButton.disabled = true;
    try {
      const answer = await this.fetchHits(params, this.hits.length, PAGE_SIZE);
      if (request !== this.requestNumber) return;
      const firstNew = this.hits.length;
      this.addHits(answer, params);
      updateParams({ n: this.hits.length });
      this.grid.children[firstNew]?.querySelector("h3 a").focus({ preventScroll: true });
    } catch (error) {
      if (request !== this.requestNumber || error.name === "AbortError") return;
      moreButton.disabled = false;
      this.fail(error);
    }
  }

  showError(error) {
    removePreviews(this.grid);
    this.hits = [];
    this.summary.textContent = "";
    this.foot.replaceChildren();
    const wayOut = parseRoute().params.has("upload") ? createDropZone() : h("p", {}, h("a", { href: buildHash("library") }, "Back to the library"));
    this.grid.replaceChildren(wayOut);
    this.fail(error);
  }

  createKeys() {
    const getActiveCard = () => document.activeElement?.closest(".hit") ?? this.element.querySelector(".hit:hover");
    const searchSimilar = (modality) => {
      const hit = getActiveCard()?.hit ?? this.queryMoment;
      if (hit) navigate(buildHash("search", buildSimilarParams(hit, modality)));
    };
    const focusCard = (by) => {
      const cards = [...this.grid.querySelectorAll(".hit")];
      const next = cards[Math.min(cards.length - 1, Math.max(0, cards.indexOf(getActiveCard()) + by))];
      next?.querySelector("h3 a").focus();
    };
    return {
      p: () => searchSimilar("video"),
      s: () => searchSimilar("audio"),
      w: () => this.words?.focus(),
      " ": () => {
        const clip = (getActiveCard() ?? this.element).querySelector(".preview");
        if (clip) togglePreview(clip);
      },
      ArrowRight: () => focusCard(1),
      ArrowLeft: () => focusCard(-1),
    };
  }
}

function createSummary(hits, answer) {
  if (!hits.length) return ["No match."];
  const films = new Set(hits.map((hit) => hit.film_id)).size;
  const isExact = answer.exact || answer.recall === null;
  const recall = isExact ? "" : ` The approximate index finds ${Math.round(answer.recall * 100)} % of the ten best matches.`;
  return [
    h("b", {}, `${formatCount(hits.length, "moment")}${answer.more ? " so far" : ""}`),
    ` in ${formatCount(films, "film")}, most similar first.${recall}`,
  ];
}

function createEmptyMessage(answer, params) {
  const showWeaker = () => navigate(buildHash("search", { ...toObject(params), floor: "false" }));
  return h("div", { class: "empty" },
    h("p", { class: "empty-message" }, formatSentence(answer.nothing ?? "no match")),
    params.get("floor") === "false" ? null : h("p", {}, createButton("Show weaker matches", "plus", showWeaker)));
}

/** Return the head of a search by file: the file itself if this page holds it, its name and its duration. */
function createFileHead(file) {
  const hasBoth = file.sides.length > 1;
  const kind = hasBoth ? "clip" : file.sides[0] === "audio" ? "sound" : "picture";
  const hasDuration = file.sides.includes("audio") || file.seconds > 1.5; // a picture has the duration of one clip
  const content = createFileContent(file);
  content?.addEventListener("error", () => content.remove()); // the browser cannot show what talkies could read
  return [
    content ? h("div", { class: "query-file" }, content) : null,
    h("p", { class: "query-name" }, createIcon(hasBoth ? "both" : kind), h("span", {}, file.name),
      h("span", { class: "soft" }, hasDuration ? `${kind}, ${formatDuration(Math.max(1, file.seconds))}` : kind)),
  ].filter(Boolean);
}

function createFileContent(file) {
  const uploaded = getUploadedFile(file.upload);
  const type = uploaded?.type.split("/", 1)[0];
  if (type === "image") return h("img", { src: uploaded.url, alt: `The picture ${file.name}` });
  if (type === "audio") return h("audio", { src: uploaded.url, controls: true, "aria-label": file.name });
  if (type === "video") return h("video", { src: uploaded.url, controls: true, muted: true, playsinline: true, "aria-label": file.name });
  return null;
}
