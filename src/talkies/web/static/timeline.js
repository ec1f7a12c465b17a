/** A film's time from left to right: pictures, shots, sound, what comes back, what is like the query; a click seeks. */

import { frameUrl, stripUrl } from "./api.js";
import { clock, h } from "./dom.js";
import { lane, paintMarks, paintScores, paintShots, paintWave } from "./lanes.js";

const STRIP_PIXELS = 52;
const SIDE_COLOURS = { video: "picture", audio: "sound", both: "both" };

/** Return the timeline of a film as the server tells it; `seek(seconds)` is called where it is clicked or dragged. */
export function timeline(film, seek) {
  const seconds = film.duration_seconds;
  const kinds = Object.entries(film.marks ?? {}).filter(([, spans]) => spans.length);
  const heat = lane("lane-heat", 34, (...at) => heat.painter?.(...at));
  const heatName = h("span", { class: "lane-name" }, "Alike");
  const heatRow = row(heatName, heat.canvas);
  heatRow.hidden = true;
  const rows = [
    row("Pictures", strip(film)),
    film.shot_spans?.length ? row("Shots", lane("lane-shots", 10, paintShots(film.shot_spans, seconds)).canvas) : null,
    film.waveform?.length ? row("Sound", lane("lane-wave", 40, paintWave(film.waveform)).canvas) : null,
    recurrenceRow(film, "video", "Seen again", "picture"),
    recurrenceRow(film, "audio", "Heard again", "sound"),
    kinds.length ? row("Marks", lane("lane-marks", 8 * kinds.length, paintMarks(kinds, seconds)).canvas) : null,
    heatRow,
  ];
  const head = h("div", { class: "playhead" });
  const bubble = h("div", { class: "bubble", hidden: true, "aria-hidden": "true" });
  const slider = h("div", {
    class: "timeline-slider", role: "slider", tabindex: "0", "aria-label": "Time in the film", "aria-valuemin": "0",
    "aria-valuemax": seconds.toFixed(1), "aria-valuenow": "0", "aria-valuetext": clock(0),
  }, head);
  listen(slider, bubble, film, seek);
  const element = h("div", { class: "timeline" }, rows.filter(Boolean), h("div", { class: "timeline-cover" }, slider, bubble));
  return {
    element,
    told: rangesOf(film),
    legend: kinds.length ? h("p", { class: "legend" }, kinds.map(([kind, spans]) => h("span", { class: `mark mark-${kind}` }, `${kind} ${spans.length}×`))) : null,
    setTime(at) {
      head.style.left = `${(at / seconds) * 100}%`;
      slider.setAttribute("aria-valuenow", at.toFixed(1));
      slider.setAttribute("aria-valuetext", `${clock(at)} of ${clock(seconds)}`);
    },
    setHeat(found, side) {
      heatRow.hidden = !found;
      heat.painter = found ? paintScores(found.spans, seconds, found.floor, SIDE_COLOURS[side]) : null;
      heat.redraw();
    },
  };
}

function row(name, content) {
  return h("div", { class: "lane" }, name instanceof Node ? name : h("span", { class: "lane-name" }, name), content);
}

/** Return what the rows of recurrence show, with the scores of their lowest and highest places. */
function rangesOf(film) {
  const ranges = [["video", "Seen again"], ["audio", "Heard again"]].flatMap(([side, name]) => {
    const scores = (film.recurrence?.[side] ?? []).map((one) => one.score);
    return scores.length ? [`“${name}” from ${Math.min(...scores).toFixed(2)} to ${Math.max(...scores).toFixed(2)}`] : [];
  });
  return ranges.length ? `${ranges.join(" and ")}: how alike the likest moment elsewhere is.` : null;
}

function recurrenceRow(film, side, name, colourName) {
  const found = film.recurrence?.[side];
  if (!found?.length) return null;
  const spans = found.map((one) => [one.start_seconds, one.end_seconds, one.score]);
  return row(name, lane(`lane-${side}`, 26, paintScores(spans, film.duration_seconds, null, colourName)).canvas);
}

/** Return the strip of pictures: as many as fit once its width is known. */
function strip(film) {
  const image = h("img", { class: "lane-strip", alt: "", draggable: "false", decoding: "async" });
  const shape = film.width && film.height ? film.width / film.height : 16 / 9;
  const sized = new ResizeObserver(([entry]) => {
    if (!entry.contentRect.width) return;
    sized.disconnect();
    image.src = stripUrl(film.film_id, entry.contentRect.width / (STRIP_PIXELS * shape));
  });
  sized.observe(image);
  image.addEventListener("error", () => image.classList.add("is-gone"));
  return image;
}

function listen(slider, bubble, film, seek) {
  const seconds = film.duration_seconds;
  const timeAt = (event) => {
    const box = slider.getBoundingClientRect();
    return Math.min(seconds, Math.max(0, ((event.clientX - box.left) / box.width) * seconds));
  };
  let dragged = false;
  slider.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    dragged = true;
    slider.setPointerCapture(event.pointerId);
    seek(timeAt(event));
  });
  slider.addEventListener("pointermove", (event) => {
    if (dragged) seek(timeAt(event));
    if (event.pointerType === "mouse") show(bubble, film, timeAt(event), seconds);
  });
  for (const name of ["pointerup", "pointercancel"]) slider.addEventListener(name, () => { dragged = false; });
  slider.addEventListener("pointerleave", () => { bubble.hidden = true; });
  slider.addEventListener("keydown", (event) => {
    if (event.key === "Home" || event.key === "End") {
      event.preventDefault();
      seek(event.key === "Home" ? 0 : seconds - 0.1);
    }
  });
}

let waiting = 0;

/** Show the time, and a little later the picture, of where the pointer is. */
function show(bubble, film, at, seconds) {
  bubble.hidden = false;
  bubble.style.left = `${Math.min(94, Math.max(6, (at / seconds) * 100))}%`;
  bubble.replaceChildren(...[...bubble.querySelectorAll("img")], h("span", {}, clock(at, seconds < 600)));
  clearTimeout(waiting);
  waiting = setTimeout(() => {
    const image = h("img", { alt: "", src: frameUrl(film.film_id, Math.min(at, seconds - 0.2)) });
    image.addEventListener("load", () => bubble.replaceChildren(image, bubble.lastChild));
  }, 90);
}
