/** The panel of the current moment of a film: its time, similar moments elsewhere, and the search from here. */

import { getModel } from "./api.js";
import { createChoice, createIcon, formatClock, formatSentence, getTitle, h, setChoice } from "./dom.js";
import { getDefaultModality, listModalities } from "./filters.js";
import { buildHash } from "./route.js";

const ROUNDING = 1e-6; // seconds

/** Return the panel of a film's current moment: `{element, setTime, getModalities, update}`. */
export function createMomentPanel({ film, library, params, seek, onModalities }) {
  let at = 0;
  const titles = new Map(library.films.map((other) => [other.film_id, getTitle(other.source)]));
  const sides = getModel(library)?.sides ?? ["video", "audio"];
  const readChosen = (next) => ({ from: next.get("from") ?? getDefaultModality(sides), to: next.get("to") ?? getDefaultModality(sides) });
  const chosen = readChosen(params);

  const time = h("p", { class: "moment-time" });
  const place = h("p", { class: "moment-place soft" });
  const from = createChoice("Ask with", "from", listModalities(sides), chosen.from, (modality) => chooseModalities({ from: modality }));
  const to = createChoice("Match against", "to", listModalities(sides), chosen.to, (modality) => chooseModalities({ to: modality }));
  const search = h("a", { class: "button primary wide" }, createIcon("search"), h("span", {}, "Search from here"));
  const byPicture = h("a", { class: "more side-video", "data-more": "video" }, createIcon("picture"), "picture");
  const bySound = h("a", { class: "more side-audio", "data-more": "audio" }, createIcon("sound"), "sound");
  const elsewhere = h("div", { class: "elsewhere" });

  const controls = film.embedded
    ? [
      h("div", { class: "sides" }, from, to),
      search,
      h("p", { class: "moment-more" }, h("span", { class: "soft" }, "More by"), sides.includes("video") ? byPicture : null, sides.includes("audio") ? bySound : null),
      elsewhere,
    ]
    : h("p", { class: "soft" }, formatSentence(library.notice ?? "this film is not embedded yet, so it cannot be searched from"));
  const element = h("aside", { class: "panel moment", "aria-label": "This moment" }, h("div", { class: "moment-head" }, time, place), controls);

  function chooseModalities(modalities) {
    Object.assign(chosen, modalities);
    onModalities(modalities);
    updateLinks();
  }

  function updateLinks() {
    const moment = { film: film.film_id, at: at.toFixed(2) };
    search.href = buildHash("search", { ...moment, ...chosen });
    byPicture.href = buildHash("search", { ...moment, from: "video", to: "video" });
    bySound.href = buildHash("search", { ...moment, from: "audio", to: "audio" });
  }

  /** Return the line with the most similar moment elsewhere, by one modality, or null. */
  function createElsewhereLine(modality, text, iconName) {
    const clip = film.recurrence?.[modality]?.findLast((span) => span.start_seconds <= at + ROUNDING && at < span.end_seconds + ROUNDING);
    if (!clip?.film_id) return null;
    const isSameFilm = clip.film_id === film.film_id;
    const title = isSameFilm ? "" : `${titles.get(clip.film_id) ?? "another film"}, `;
    const link = h("a", {
      href: buildHash("film", { at: clip.at_seconds.toFixed(2), ...chosen }, clip.film_id),
      onclick: isSameFilm ? (event) => { event.preventDefault(); seek(clip.at_seconds); } : null,
    }, `${title}${formatClock(clip.at_seconds, true)}`);
    return h("p", { class: `elsewhere-line side-${modality}` }, createIcon(iconName),
      h("span", {}, `${text}: `, link, h("span", { class: "soft" }, ` ${clip.score.toFixed(2)}`)));
  }

  function setTime(seconds) {
    at = seconds;
    const shots = film.shot_spans ?? [];
    const shot = shots.findIndex(([start, end]) => start <= at + ROUNDING && at < end);
    const annotations = Object.entries(film.marks ?? {})
      .filter(([, spans]) => spans.some(([start, end]) => start <= at && at < end))
      .map(([kind]) => kind);
    time.textContent = formatClock(at, true);
    place.textContent = [shot < 0 ? null : `shot ${shot + 1} of ${shots.length}`, ...annotations].filter(Boolean).join(" · ");
    const lines = [
      createElsewhereLine("video", "Similar picture elsewhere", "picture"),
      createElsewhereLine("audio", "Similar sound elsewhere", "sound"),
    ];
    elsewhere.replaceChildren(...lines.filter(Boolean));
    updateLinks();
  }

  /** Take the choices from the address. */
  function update(next) {
    Object.assign(chosen, readChosen(next));
    setChoice(from, chosen.from);
    setChoice(to, chosen.to);
    updateLinks();
  }
  return { element, setTime, getModalities: () => ({ ...chosen }), update };
}
