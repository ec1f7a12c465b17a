/**
 * Little players that loop a moment. Few play at once: the one under the pointer or the focus, then those in sight.
 * One that does not play holds no video at all, only its picture.
 */

import { frameUrl, mediaUrl } from "./api.js";
import { button, h, icon } from "./dom.js";

const MOST = 4; // players at once
const SHORTEST_SECONDS = 2; // a shorter moment is shown with what is around it

const calm = matchMedia("(prefers-reduced-motion: reduce)");
const shown = new Set();
const listeners = new Set();
let attended = null;
let loud = null; // the preview whose own speaker was pressed

const settings = { moving: recall("moving", !calm.matches), sound: recall("sound", false) };

const sight = new IntersectionObserver((entries) => {
  for (const entry of entries) entry.target.preview.inSight = entry.isIntersecting;
  arrange();
}, { threshold: 0.5 });

/** Return a preview's element: `.preview` of a moment of a film. `around` is what has to be hovered or focused. */
export function preview({ filmId, start, end, label }) {
  const middle = (start + end) / 2;
  const half = Math.max(end - start, SHORTEST_SECONDS) / 2;
  const one = { filmId, start: Math.max(0, middle - half), end: middle + half, video: null, inSight: false, forced: null };
  one.line = h("div", { class: "preview-line" });
  one.play = button("", "play", () => force(one), { class: "preview-button preview-play", "aria-label": `Play: ${label}` });
  one.speaker = button("", "mute", () => press(one), {
    class: "preview-button preview-speaker", "aria-label": `Sound of ${label}`, "aria-pressed": "false",
  });
  const poster = h("img", { class: "preview-still", src: frameUrl(filmId, middle), alt: "", loading: "lazy", decoding: "async" });
  poster.addEventListener("error", () => poster.remove());
  one.element = h("div", { class: "preview" }, poster, one.line, one.play, one.speaker);
  one.element.preview = one;
  shown.add(one);
  sight.observe(one.element);
  return one.element;
}

/** Let a preview be the one that is attended to while the pointer or the focus is in `area`. */
export function attendIn(area, element) {
  const one = element.preview;
  const come = () => { attended = one; arrange(); };
  const leave = () => { if (attended === one) { attended = null; arrange(); } };
  area.addEventListener("pointerenter", come);
  area.addEventListener("pointerleave", leave);
  area.addEventListener("focusin", come);
  area.addEventListener("focusout", (event) => { if (!area.contains(event.relatedTarget)) leave(); });
}

/** Let go of the previews in an element that leaves the page. */
export function dismiss(root) {
  root.querySelector(".switches")?.forget();
  for (const one of [...shown]) {
    if (!root.contains(one.element)) continue;
    rest(one);
    sight.unobserve(one.element);
    shown.delete(one);
    if (attended === one) attended = null;
    if (loud === one) loud = null;
  }
}

/** Play or hold a preview, as its button does. */
export const toggle = (element) => force(element.preview);

/** Return the two switches for all previews: whether they move by themselves, and whether one that is hovered sounds. */
export function switches() {
  const moving = button("Previews play", "play", () => set("moving", !settings.moving), { class: "button switch" });
  const sound = button("Sound on hover", "speaker", () => set("sound", !settings.sound), { class: "button switch" });
  const show = () => {
    moving.setAttribute("aria-pressed", String(settings.moving));
    sound.setAttribute("aria-pressed", String(settings.sound));
    sound.querySelector("svg").replaceWith(icon(settings.sound ? "speaker" : "mute"));
  };
  listeners.add(show);
  show();
  const element = h("div", { class: "switches" }, moving, sound);
  element.forget = () => listeners.delete(show);
  return element;
}

/** Turn the sound of the hovered preview on or off. */
export const toggleSound = () => set("sound", !settings.sound);

function set(name, value) {
  settings[name] = value;
  try {
    localStorage.setItem(`talkies.${name}`, String(value));
  } catch { /* it is kept for this page alone */ }
  for (const one of shown) one.forced = null;
  if (!value) loud = null;
  for (const listener of listeners) listener();
  arrange();
}

function recall(name, otherwise) {
  try {
    const kept = localStorage.getItem(`talkies.${name}`);
    return kept === null ? otherwise : kept === "true";
  } catch {
    return otherwise;
  }
}

function force(one) {
  one.forced = !one.video;
  if (!one.forced && loud === one) loud = null;
  arrange();
}

function press(one) {
  loud = loud === one ? null : one;
  if (loud) one.forced = true;
  arrange();
}

/** Decide who plays, and who is heard. */
function arrange() {
  const asked = (one) => one.forced === true || (one.forced === null && one === attended && !calm.matches);
  const inSight = [...shown].filter((one) => one.inSight && one.forced === null && settings.moving);
  const wanted = new Set([...[...shown].filter(asked), ...inSight].slice(0, MOST));
  const heard = loud ?? (settings.sound ? attended : null);
  for (const one of shown) {
    if (wanted.has(one)) run(one, one === heard);
    else rest(one);
    const sounds = one === heard && wanted.has(one);
    if (one.speaker.getAttribute("aria-pressed") !== String(sounds)) {
      one.speaker.setAttribute("aria-pressed", String(sounds));
      one.speaker.replaceChildren(icon(sounds ? "speaker" : "mute"));
    }
  }
}

function run(one, aloud) {
  if (!one.video) {
    one.video = h("video", { class: "preview-video", playsinline: true, preload: "auto", tabindex: "-1", "aria-hidden": "true" });
    one.video.muted = true;
    one.video.addEventListener("loadedmetadata", () => { one.video.currentTime = one.start; });
    one.video.addEventListener("playing", () => one.element.classList.add("is-playing"));
    one.video.addEventListener("timeupdate", () => loop(one));
    one.video.addEventListener("ended", () => { one.video.currentTime = one.start; start(one); });
    one.video.src = mediaUrl(one.filmId);
    one.element.insertBefore(one.video, one.line);
    one.play.replaceChildren(icon("pause"));
    start(one);
  }
  if (one.video.muted === aloud) {
    one.video.muted = !aloud;
    if (one.video.paused) start(one);
  }
}

function start(one) {
  const video = one.video;
  video.play().catch((error) => {
    if (error.name !== "NotAllowedError" || video.muted) return; // it was let go of, or cannot be played
    video.muted = true; // sound needs a first click somewhere on the page
    video.play().catch(() => {});
  });
}

function loop(one) {
  const { video, start: from, end } = one;
  if (!video) return;
  const to = Math.min(end, video.duration || end);
  if (video.currentTime >= to - 0.05 || video.currentTime < from - 1) video.currentTime = from;
  one.line.style.transform = `scaleX(${Math.min(1, Math.max(0, (video.currentTime - from) / (to - from)))})`;
}

function rest(one) {
  if (!one.video) return;
  const video = one.video;
  one.video = null;
  video.pause();
  video.removeAttribute("src");
  video.load();
  video.remove();
  one.element.classList.remove("is-playing");
  one.line.style.transform = "scaleX(0)";
  one.play.replaceChildren(icon("play"));
}
