/** The canvases of a film's timeline: similarity scores, waveform, shots and annotations over time. */

import { h } from "./dom.js";

const tracks = new Set();

addEventListener("resize", () => redrawAll());
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => redrawAll());

/** Return a canvas that `draw(pen, width, height, getColour)` paints whenever its size or the colours change. */
export function createTrack(name, height, draw) {
  const canvas = h("canvas", { class: `track-canvas ${name}`, "aria-hidden": "true" });
  canvas.style.height = `${height}px`;
  const track = { canvas, redraw: () => paint(canvas, height, draw) };
  tracks.add(track);
  new ResizeObserver(track.redraw).observe(canvas);
  return track;
}

/** Stop redrawing the canvases inside an element that leaves the page. */
export function removeTracks(root) {
  for (const track of [...tracks]) if (root.contains(track.canvas)) tracks.delete(track);
}

function redrawAll() {
  for (const track of tracks) track.redraw();
}

function paint(canvas, height, draw) {
  const width = canvas.clientWidth;
  if (!width) return;
  const scale = devicePixelRatio || 1;
  if (canvas.width !== Math.round(width * scale)) {
    canvas.width = Math.round(width * scale);
    canvas.height = Math.round(height * scale);
  }
  const pen = canvas.getContext("2d");
  pen.setTransform(scale, 0, 0, scale, 0, 0);
  pen.clearRect(0, 0, width, height);
  draw(pen, width, height, getColour);
}

/** Return a colour of the page by its name in the style sheet. */
export function getColour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

/**
 * Return a painter of scores over time as an area between the lowest and the highest; scores below the threshold are pale.
 * Spans are `[start, end, score]` in seconds; each pixel column shows the highest score of its spans.
 */
export function paintScores(spans, seconds, threshold, colourName) {
  const low = Math.min(...spans.map((span) => span[2]));
  const top = Math.max(low + 0.02, ...spans.map((span) => span[2]));
  return (pen, width, height, colourOf) => {
    const columns = new Float32Array(Math.ceil(width)).fill(-Infinity);
    for (const [i, [start, end, score]] of spans.entries()) {
      const until = Math.max(end, Math.min(spans[i + 1]?.[0] ?? end, end + 1)); // close the gap to the next span
      const last = Math.min(columns.length, Math.max(Math.ceil((until / seconds) * width), 1));
      for (let x = Math.floor((start / seconds) * width); x < last; x += 1) columns[x] = Math.max(columns[x], score);
    }

    pen.fillStyle = colourOf(colourName);
    columns.forEach((score, x) => {
      if (score === -Infinity) return;
      const columnHeight = Math.max(1, (0.06 + 0.94 * ((score - low) / (top - low))) * height);
      pen.globalAlpha = threshold !== null && score < threshold ? 0.28 : 0.92;
      pen.fillRect(x, height - columnHeight, 1, columnHeight);
    });
    pen.globalAlpha = 1;
  };
}

/** Return a painter of a waveform, mirrored about its middle; the loudest peak fills the height. */
export function paintWaveform(peaks) {
  return (pen, width, height, colourOf) => {
    pen.fillStyle = colourOf("sound");
    const bars = Math.min(peaks.length, Math.floor(width / 2));
    const loudest = Math.max(0.02, ...peaks);
    for (let i = 0; i < bars; i += 1) {
      const first = Math.floor((i / bars) * peaks.length);
      const last = Math.max(first + 1, Math.floor(((i + 1) / bars) * peaks.length));
      const peak = Math.max(...peaks.slice(first, last));
      const barHeight = Math.max(1, (peak / loudest) ** 0.7 * height);
      pen.fillRect((i / bars) * width, (height - barHeight) / 2, Math.max(1, width / bars - 0.75), barHeight);
    }
  };
}

/** Return a painter of shots as blocks side by side. Spans are `[start, end]` in seconds. */
export function paintShots(spans, seconds) {
  return (pen, width, height, colourOf) => {
    pen.fillStyle = colourOf("soft");
    spans.forEach(([start, end], i) => {
      const left = (start / seconds) * width;
      pen.globalAlpha = i % 2 ? 0.38 : 0.62;
      pen.fillRect(left, 0, Math.max(0.5, ((end - start) / seconds) * width - 1), height);
    });
    pen.globalAlpha = 1;
  };
}

/** Return a painter of annotations, each kind in a row of its own. */
export function paintAnnotations(kinds, seconds) {
  return (pen, width, height, colourOf) => {
    const rowHeight = height / kinds.length;
    kinds.forEach(([kind, spans], row) => {
      pen.fillStyle = colourOf("line");
      pen.fillRect(0, row * rowHeight + rowHeight / 2 - 0.5, width, 1);
      pen.fillStyle = colourOf(`annotation-${kind}`) || colourOf("soft");
      for (const [start, end] of spans) {
        pen.fillRect((start / seconds) * width, row * rowHeight + 1, Math.max(2, ((end - start) / seconds) * width), rowHeight - 2);
      }
    });
  };
}
