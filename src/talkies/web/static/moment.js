/** The moment under the playhead: where it is, what comes back of it, and the search from here. */

import { choice, choose, clock, h, icon, sentence, titleOf } from "./dom.js";
import { sidesOf } from "./refine.js";
import { hashOf } from "./route.js";

/** Return the panel of a film's moment: `{element, setTime, sides, follow}`. */
export function momentPanel({ film, shelf, params, seek, sidesChanged }) {
  let at = 0;
  const names = new Map(shelf.films.map((one) => [one.film_id, titleOf(one.source)]));
  const chosen = { from: params.get("from") ?? "both", to: params.get("to") ?? "both" };
  const time = h("p", { class: "moment-time" });
  const place = h("p", { class: "moment-place soft" });
  const from = choice("Like its", "from", sidesOf(), chosen.from, (side) => pick({ from: side }));
  const to = choice("Found by their", "to", sidesOf(), chosen.to, (side) => pick({ to: side }));
  const search = h("a", { class: "button primary wide" }, icon("search"), h("span", {}, "Search from here"));
  const byPicture = h("a", { class: "more side-video", "data-more": "video" }, icon("picture"), "picture");
  const bySound = h("a", { class: "more side-audio", "data-more": "audio" }, icon("sound"), "sound");
  const again = h("div", { class: "again" });

  const panel = h("aside", { class: "panel moment", "aria-label": "This moment" },
    h("div", { class: "moment-head" }, time, place),
    film.embedded
      ? [h("div", { class: "sides" }, from, to), search, h("p", { class: "moment-more" }, h("span", { class: "soft" }, "More by"), byPicture, bySound), again]
      : h("p", { class: "soft" }, sentence(shelf.notice ?? "this film is not embedded yet, so it cannot be searched from")));

  function pick(sides) {
    Object.assign(chosen, sides);
    sidesChanged(sides);
    address();
  }

  function address() {
    const here = { film: film.film_id, at: at.toFixed(2) };
    search.href = hashOf("search", { ...here, ...chosen });
    byPicture.href = hashOf("search", { ...here, from: "video", to: "video" });
    bySound.href = hashOf("search", { ...here, from: "audio", to: "audio" });
  }

  function comesBack(side, verb, mark) {
    const one = film.recurrence?.[side]?.findLast((span) => span.start_seconds <= at + 1e-6 && at < span.end_seconds + 1e-6);
    if (!one?.film_id) return null;
    const own = one.film_id === film.film_id;
    const where = `${own ? "" : `${names.get(one.film_id) ?? "another film"}, `}${clock(one.at_seconds, true)}`;
    return h("p", { class: `again-one side-${mark === "picture" ? "video" : "audio"}` }, icon(mark), h("span", {}, `${verb} `,
      h("a", {
        href: hashOf("film", { at: one.at_seconds.toFixed(2), ...chosen }, one.film_id),
        onclick: own ? (event) => { event.preventDefault(); seek(one.at_seconds); } : null,
      }, where), h("span", { class: "soft" }, ` ${one.score.toFixed(2)}`)));
  }

  function setTime(next) {
    at = next;
    const starts = film.shot_spans ?? [];
    const shot = starts.findIndex(([start, end]) => start <= at + 1e-6 && at < end);
    const marks = Object.entries(film.marks ?? {}).filter(([, spans]) => spans.some(([start, end]) => start <= at && at < end)).map(([kind]) => kind);
    time.textContent = clock(at, true);
    place.textContent = [shot < 0 ? null : `shot ${shot + 1} of ${starts.length}`, ...marks].filter(Boolean).join(" · ");
    again.replaceChildren(...[comesBack("video", "Seen again at", "picture"), comesBack("audio", "Heard again at", "sound")].filter(Boolean));
    address();
  }

  function follow(next) {
    chosen.from = next.get("from") ?? "both";
    chosen.to = next.get("to") ?? "both";
    choose(from, chosen.from);
    choose(to, chosen.to);
    address();
  }
  return { element: panel, setTime, sides: () => ({ ...chosen }), follow };
}
