/** A film's timeline: pictures, shots, sound, similar moments elsewhere, similarity to the query; a click seeks. */

import { buildFrameUrl, buildStripUrl } from "./api.js";
import { formatClock, h } from "./dom.js";
import { createTrack, paintAnnotations, paintScores, paintShots, paintWaveform } from "./tracks.js";

const STRIP_PIXELS = 52;
const COLOURS = { video: "picture", audio: "sound", both: "both" };
const PICTURE_ELSEWHERE = "Similar picture elsewhere";
const SOUND_ELSEWHERE = "Similar sound elsewhere";
const PICTURE_DELAY_MS = 90; // before the picture under the pointer is fetched

/** Return the timeline of a film from the server's document; `seek(seconds)` is called on clicks and drags. */
export function createTimeline(film, seek) {
  const seconds = film.duration_seconds;
  const annotations = Object.entries(film.marks ?? {}).filter(([, spans]) => spans.length);
  const heat = createTrack("track-heat", 34, (...canvas) => heat.painter?.(...canvas));
  const heatRow = createRow("Similarity", heat.canvas);
  heatRow.hidden = true;
  const rows = [
    createRow("Pictures", createStrip(film)),
    film.shot_spans?.length ? createRow("Shots", createTrack("track-shots", 10, paintShots(film.shot_spans, seconds)).canvas) : null,
    film.waveform?.length ? createRow("Sound", createTrack("track-wave", 40, paintWaveform(film.waveform)).canvas) : null,
    createRecurrenceRow(film, "video", PICTURE_ELSEWHERE),
    createRecurrenceRow(film, "audio", SOUND_ELSEWHERE),
    annotations.length ? createRow("Annotations", createTrack("track-annotations", 8 * annotations.length, paintAnnotations(annotations, seconds)).canvas) : null,
    heatRow,
  ];

  const playhead = h("div", { class: "playhead" });
  const bubble = h("div", { class: "bubble", hidden: true, "aria-hidden": "true" });
  const slider = h("div", {
    class: "timeline-slider", role: "slider", tabindex: "0", "aria-label": "Time in the film", "aria-valuemin": "0",
    "aria-valuemax": seconds.toFixed(1), "aria-valuenow": "0", "aria-valuetext": formatClock(0),
  }, playhead);
  addListeners(slider, bubble, film, seek);
  const element = h("div", { class: "timeline" }, rows.filter(Boolean), h("div", { class: "timeline-cover" }, slider, bubble));

  return {
    element,
    recurrenceText: describeRecurrence(film),
    legend: createLegend(annotations),
    setTime(at) {
      playhead.style.left = `${(at / seconds) * 100}%`;
      slider.setAttribute("aria-valuenow", at.toFixed(1));
      slider.setAttribute("aria-valuetext", `${formatClock(at)} of ${formatClock(seconds)}`);
    },
    setHeat(similarity, modality) {
      heatRow.hidden = !similarity;
      heat.painter = similarity ? paintScores(similarity.spans, seconds, similarity.floor, COLOURS[modality]) : null;
      heat.redraw();
    },
  };
}

function createRow(name, content) {
  return h("div", { class: "track" }, h("span", { class: "track-name" }, name), content);
}

function createLegend(annotations) {
  if (!annotations.length) return null;
  return h("p", { class: "legend" }, annotations.map(([kind, spans]) =>
    h("span", { class: `annotation annotation-${kind}` }, `${kind} ${spans.length}×`)));
}

/** Return the sentence with the range of scores that the recurrence rows show, or null. */
function describeRecurrence(film) {
  const ranges = [["video", PICTURE_ELSEWHERE], ["audio", SOUND_ELSEWHERE]].flatMap(([modality, name]) => {
    const scores = (film.recurrence?.[modality] ?? []).map((clip) => clip.score);
    return scores.length ? [`“${name}” from ${Math.min(...scores).toFixed(2)} to ${Math.max(...scores).toFixed(2)}`] : [];
  });
  return ranges.length ? `${ranges.join(" and ")}: the similarity of the best match elsewhere.` : null;
}

function createRecurrenceRow(film, modality, name) {
  const clips = film.recurrence?.[modality];
  if (!clips?.length) return null;
  const spans = clips.map((clip) => [clip.start_seconds, clip.end_seconds, clip.score]);
  return createRow(name, createTrack(`track-${modality}`, 26, paintScores(spans, film.duration_seconds, null, COLOURS[modality])).canvas);
}

/** Return the strip of pictures: as many as fit once its width is known. */
function createStrip(film) {
  const image = h("img", { class: "track-strip", alt: "", draggable: "false", decoding: "async" });
  const aspect = film.width && film.height ? film.width / film.height : 16 / 9;
  const sizes = new ResizeObserver(([entry]) => {
    if (!entry.contentRect.width) return;
    sizes.disconnect();
    image.src = buildStripUrl(film.film_id, entry.contentRect.width / (STRIP_PIXELS * aspect));
  });
  sizes.observe(image);
  image.addEventListener("error", () => image.classList.add("is-gone"));
  return image;
}

function addListeners(slider, bubble, film, seek) {
  const seconds = film.duration_seconds;
  const getTime = (event) => {
    const box = slider.getBoundingClientRect();
    return Math.min(seconds, Math.max(0, ((event.clientX - box.left) / box.width) * seconds));
  };
  let isDragged = false;
  slider.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    isDragged = true;
    slider.setPointerCapture(event.pointerId);
    seek(getTime(event));
  });
  slider.addEventListener("pointermove", (event) => {
    if (isDragged) seek(getTime(event));
    if (event.pointerType === "mouse") showBubble(bubble, film, getTime(event), seconds);
  });
  for (const name of ["pointerup", "pointercancel"]) slider.addEventListener(name, () => { isDragged = false; });
  slider.addEventListener("pointerleave", () => { bubble.hidden = true; });
  slider.addEventListener("keydown", (event) => {
    if (event.key === "Home" || event.key === "End") {
      event.preventDefault();
      seek(event.key === "Home" ? 0 : seconds - 0.1);
    }
  });
}

let pictureTimer = 0;

/** Show the time under the pointer, and a little later its picture. */
function showBubble(bubble, film, at, seconds) {
  bubble.hidden = false;
  bubble.style.left = `${Math.min(94, Math.max(6, (at / seconds) * 100))}%`;
  bubble.replaceChildren(...[...bubble.querySelectorAll("img")], h("span", {}, formatClock(at, seconds < 600)));
  clearTimeout(pictureTimer);
  pictureTimer = setTimeout(() => {
    const image = h("img", { alt: "", src: buildFrameUrl(film.film_id, Math.min(at, seconds - 0.2)) });
    image.addEventListener("load", () => bubble.replaceChildren(image, bubble.lastChild));
  }, PICTURE_DELAY_MS);
}
