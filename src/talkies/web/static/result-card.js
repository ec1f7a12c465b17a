/** The card of a search result: its preview, its film and time, its score, and links from it. */

import { createIcon, escapeControls, formatClock, getTitle, h } from "./dom.js";
import { activateWithin, createPreview } from "./preview.js";
import { buildHash, parseRoute, toObject } from "./route.js";

/** Return the parameters of a search for moments similar to this one, by one modality. */
export function buildSimilarParams(hit, modality) {
  const { view, params } = parseRoute();
  const { per, floor, films } = view === "search" ? toObject(params) : {};
  return { film: hit.film_id, at: getMiddle(hit).toFixed(2), from: modality, to: modality, per, floor, films };
}

/** Return the address of a moment in its film; with the query, the film shows where else it is similar to it. */
export function buildMomentHash(hit, query = {}) {
  return buildHash("film", { at: Math.max(0, hit.start_seconds).toFixed(2), ...query }, hit.film_id);
}

/** Return the middle of a span, in seconds. */
export const getMiddle = (span) => (span.start_seconds + span.end_seconds) / 2;

/** Return the card of a hit; `place` counts from one, scores below `scoreThreshold` are weak, `sides` are the model's modalities. */
export function createResultCard(hit, { place, scoreThreshold, query, sides }) {
  const where = `${getTitle(hit.source)}, ${formatClock(hit.start_seconds)}`;
  const href = buildMomentHash(hit, query);
  const isWeak = scoreThreshold !== null && hit.score < scoreThreshold;

  const clip = createPreview({ filmId: hit.film_id, start: hit.start_seconds, end: hit.end_seconds, label: where });
  clip.prepend(h("a", { class: "preview-link", href, tabindex: "-1", "aria-hidden": "true" }));
  clip.append(h("span", { class: "preview-time" }, formatClock(hit.start_seconds)));

  const score = h("span", { class: "hit-score", title: "mean cosine similarity; 1 means identical, and words score lower than examples" },
    isWeak ? "weak " : "", createScoreBar(hit.score), hit.score.toFixed(2));
  const card = h("article", { class: isWeak ? "hit is-weak" : "hit", "data-place": place },
    clip,
    h("div", { class: "hit-body" },
      h("h3", {}, h("a", { href, title: escapeControls(hit.source) }, getTitle(hit.source))),
      h("p", { class: "hit-where" }, h("span", {}, `${formatClock(hit.start_seconds, true)} to ${formatClock(hit.end_seconds, true)}`), score)),
    h("div", { class: "hit-actions" },
      h("span", { class: "hit-more" }, "More by"),
      sides.includes("video") ? createSimilarLink(hit, "video", "picture", where) : null,
      sides.includes("audio") ? createSimilarLink(hit, "audio", "sound", where) : null,
      h("a", { class: "hit-open", href, "aria-label": `Open in film: ${where}` }, "Open in film")));
  card.hit = hit;
  activateWithin(card, clip);
  return card;
}

function createSimilarLink(hit, modality, name, where) {
  return h("a", {
    class: `more side-${modality}`, href: buildHash("search", buildSimilarParams(hit, modality)),
    "data-more": modality, "aria-label": `More like this by ${name}: ${where}`,
  }, createIcon(name), name);
}

function createScoreBar(score) {
  const bar = h("span", { class: "score-bar", "aria-hidden": "true" }, h("span", {}));
  bar.firstChild.style.transform = `scaleX(${Math.min(1, Math.max(0, score))})`;
  return bar;
}
