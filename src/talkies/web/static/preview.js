/**
 * Small players that loop a moment. Few play at once: the one under the pointer or the focus, then visible ones.
 * A preview that does not play has no video element, only its picture.
 */

import { buildFrameUrl, buildMediaUrl } from "./api.js";
import { createButton, createIcon, h } from "./dom.js";

const MAX_PLAYING = 4;
const MIN_SECONDS = 2; // a shorter moment is extended on both sides

const reducedMotion = matchMedia("(prefers-reduced-motion: reduce)");
const previews = new Set();
const listeners = new Set();
let active = null; // the preview under the pointer or the focus
let loud = null; // the preview whose speaker button is on

const settings = { moving: loadSetting("moving", !reducedMotion.matches), sound: loadSetting("sound", false) };

const visibility = new IntersectionObserver((entries) => {
  for (const entry of entries) entry.target.preview.isVisible = entry.isIntersecting;
  updatePlayback();
}, { threshold: 0.5 });

/** Return the element of a preview of a moment; `label` names the moment for screen readers. */
export function createPreview({ filmId, start, end, label }) {
  const middle = (start + end) / 2;
  const half = Math.max(end - start, MIN_SECONDS) / 2;
  const preview = { filmId, start: Math.max(0, middle - half), end: middle + half, video: null, isVisible: false, forced: null };
  preview.line = h("div", { class: "preview-line" });
  preview.play = createButton("", "play", () => toggleForced(preview), { class: "preview-button preview-play", "aria-label": `Play: ${label}` });
  preview.speaker = createButton("", "mute", () => toggleLoud(preview), {
    class: "preview-button preview-speaker", "aria-label": `Sound of ${label}`, "aria-pressed": "false",
  });
  const poster = h("img", { class: "preview-still", src: buildFrameUrl(filmId, middle), alt: "", loading: "lazy", decoding: "async" });
  poster.addEventListener("error", () => poster.remove());
  preview.element = h("div", { class: "preview" }, poster, preview.line, preview.play, preview.speaker);
  preview.element.preview = preview;
  previews.add(preview);
  visibility.observe(preview.element);
  return preview.element;
}

/** Make a preview the active one while the pointer or the focus is inside `area`. */
export function activateWithin(area, element) {
  const preview = element.preview;
  const activate = () => { active = preview; updatePlayback(); };
  const deactivate = () => { if (active === preview) { active = null; updatePlayback(); } };
  area.addEventListener("pointerenter", activate);
  area.addEventListener("pointerleave", deactivate);
  area.addEventListener("focusin", activate);
  area.addEventListener("focusout", (event) => { if (!area.contains(event.relatedTarget)) deactivate(); });
}

/** Stop and forget the previews inside an element that leaves the page. */
export function removePreviews(root) {
  root.querySelector(".switches")?.forget();
  for (const preview of [...previews]) {
    if (!root.contains(preview.element)) continue;
    stopPlaying(preview);
    visibility.unobserve(preview.element);
    previews.delete(preview);
    if (active === preview) active = null;
    if (loud === preview) loud = null;
  }
}

/** Play or pause a preview, as its button does. */
export const togglePreview = (element) => toggleForced(element.preview);

/** Return the two switches for all previews: whether they play automatically, and whether the hovered one has sound. */
export function createSwitches() {
  const moving = createButton("Autoplay previews", "play", () => saveSetting("moving", !settings.moving), { class: "button switch" });
  const sound = createButton("Sound on hover", "speaker", () => saveSetting("sound", !settings.sound), { class: "button switch" });
  const show = () => {
    moving.setAttribute("aria-pressed", String(settings.moving));
    sound.setAttribute("aria-pressed", String(settings.sound));
    sound.querySelector("svg").replaceWith(createIcon(settings.sound ? "speaker" : "mute"));
  };
  listeners.add(show);
  show();
  const element = h("div", { class: "switches" }, moving, sound);
  element.forget = () => listeners.delete(show);
  return element;
}

/** Turn the sound of the hovered preview on or off. */
export const toggleSound = () => saveSetting("sound", !settings.sound);

function saveSetting(name, value) {
  settings[name] = value;
  try {
    localStorage.setItem(`talkies.${name}`, String(value));
  } catch { /* the setting then lasts until the page is reloaded */ }
  for (const preview of previews) preview.forced = null;
  if (!value) loud = null;
  for (const listener of listeners) listener();
  updatePlayback();
}

function loadSetting(name, fallback) {
  try {
    const stored = localStorage.getItem(`talkies.${name}`);
    return stored === null ? fallback : stored === "true";
  } catch {
    return fallback;
  }
}

function toggleForced(preview) {
  preview.forced = !preview.video;
  if (!preview.forced && loud === preview) loud = null;
  updatePlayback();
}

function toggleLoud(preview) {
  loud = loud === preview ? null : preview;
  if (loud) preview.forced = true;
  updatePlayback();
}

/** Decide which previews play, and which one has sound. */
function updatePlayback() {
  const isRequested = (preview) => preview.forced === true || (preview.forced === null && preview === active && !reducedMotion.matches);
  const visible = [...previews].filter((preview) => preview.isVisible && preview.forced === null && settings.moving);
  const playing = new Set([...[...previews].filter(isRequested), ...visible].slice(0, MAX_PLAYING));
  const audible = loud ?? (settings.sound ? active : null);
  for (const preview of previews) {
    if (playing.has(preview)) startPlaying(preview, preview === audible);
    else stopPlaying(preview);
    const hasSound = preview === audible && playing.has(preview);
    if (preview.speaker.getAttribute("aria-pressed") !== String(hasSound)) {
      preview.speaker.setAttribute("aria-pressed", String(hasSound));
      preview.speaker.replaceChildren(createIcon(hasSound ? "speaker" : "mute"));
    }
  }
}

function startPlaying(preview, hasSound) {
  if (!preview.video) {
    preview.video = h("video", { class: "preview-video", playsinline: true, preload: "auto", tabindex: "-1", "aria-hidden": "true" });
    preview.video.muted = true;
    preview.video.addEventListener("loadedmetadata", () => { preview.video.currentTime = preview.start; });
    preview.video.addEventListener("playing", () => preview.element.classList.add("is-playing"));
    preview.video.addEventListener("timeupdate", () => loopVideo(preview));
    preview.video.addEventListener("ended", () => { preview.video.currentTime = preview.start; playVideo(preview); });
    preview.video.src = buildMediaUrl(preview.filmId);
    preview.element.insertBefore(preview.video, preview.line);
    preview.play.replaceChildren(createIcon("pause"));
    playVideo(preview);
  }
  if (preview.video.muted === hasSound) {
    preview.video.muted = !hasSound;
    if (preview.video.paused) playVideo(preview);
  }
}

function playVideo(preview) {
  const video = preview.video;
  video.play().catch((error) => {
    if (error.name !== "NotAllowedError" || video.muted) return; // the preview was removed, or cannot be played
    video.muted = true; // browsers allow sound only after a first click on the page
    video.play().catch(() => {});
  });
}

function loopVideo(preview) {
  const { video, start: from, end } = preview;
  if (!video) return;
  const to = Math.min(end, video.duration || end);
  if (video.currentTime >= to - 0.05 || video.currentTime < from - 1) video.currentTime = from;
  preview.line.style.transform = `scaleX(${Math.min(1, Math.max(0, (video.currentTime - from) / (to - from)))})`;
}

function stopPlaying(preview) {
  if (!preview.video) return;
  const video = preview.video;
  preview.video = null;
  video.pause();
  video.removeAttribute("src");
  video.load();
  video.remove();
  preview.element.classList.remove("is-playing");
  preview.line.style.transform = "scaleX(0)";
  preview.play.replaceChildren(createIcon("play"));
}
