/** A moment that was found: its preview, where it is, how alike, and where to go from it. */

import { clock, h, icon, titleOf } from "./dom.js";
import { attendIn, preview } from "./preview.js";
import { current, hashOf, plainOf } from "./route.js";

/** Return the parameters of a search for what is like a moment, by one side. */
export function likeThis(hit, side) {
  const kept = plainOf(current().params);
  const { per, floor, films } = current().view === "search" ? kept : {};
  return { film: hit.film_id, at: middleOf(hit).toFixed(2), from: side, to: side, per, floor, films };
}

/** Return the address of a moment in its film; the query goes along, for the strip of what else is like it. */
export function momentOf(hit, query = {}) {
  return hashOf("film", { at: Math.max(0, hit.start_seconds).toFixed(2), ...query }, hit.film_id);
}

/** Return the middle of a span, in seconds. */
export const middleOf = (hit) => (hit.start_seconds + hit.end_seconds) / 2;

/** Return a hit's card; `place` counts from one, scores under `floor` are weak. */
export function hitCard(hit, { place, floor, query }) {
  const where = `${titleOf(hit.source)}, ${clock(hit.start_seconds)}`;
  const clip = preview({ filmId: hit.film_id, start: hit.start_seconds, end: hit.end_seconds, label: where });
  clip.prepend(h("a", { class: "preview-link", href: momentOf(hit, query), tabindex: "-1", "aria-hidden": "true" }));
  clip.append(h("span", { class: "preview-time" }, clock(hit.start_seconds)));
  const weak = floor !== null && hit.score < floor;
  const card = h("article", { class: weak ? "hit is-weak" : "hit", "data-place": place },
    clip,
    h("div", { class: "hit-body" },
      h("h3", {}, h("a", { href: momentOf(hit, query), title: hit.source }, titleOf(hit.source))),
      h("p", { class: "hit-where" },
        h("span", {}, `${clock(hit.start_seconds, true)} to ${clock(hit.end_seconds, true)}`),
        h("span", { class: "hit-score", title: "the mean of the cosines; 1 is the same" }, weak ? "weak " : "", scoreBar(hit.score), hit.score.toFixed(2)))),
    h("div", { class: "hit-actions" },
      h("span", { class: "hit-more" }, "More by"),
      moreLink(hit, "video", "picture", where),
      moreLink(hit, "audio", "sound", where),
      h("a", { class: "hit-open", href: momentOf(hit, query), "aria-label": `Open in film: ${where}` }, "Open in film")));
  card.hit = hit;
  attendIn(card, clip);
  return card;
}

function moreLink(hit, side, name, where) {
  return h("a", {
    class: `more side-${side}`, href: hashOf("search", likeThis(hit, side)), "data-more": side, "aria-label": `More like this by ${name}: ${where}`,
  }, icon(name), name);
}

function scoreBar(score) {
  const bar = h("span", { class: "score-bar", "aria-hidden": "true" }, h("span", {}));
  bar.firstChild.style.transform = `scaleX(${Math.min(1, Math.max(0, score))})`;
  return bar;
}
