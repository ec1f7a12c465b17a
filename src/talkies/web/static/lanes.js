/** What is drawn along a film's time: areas of scores, a waveform, shots and marks, each on a canvas of its own. */

import { h } from "./dom.js";

const lanes = new Set();

addEventListener("resize", () => redrawAll());
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => redrawAll());

/** Return a canvas that `draw(pen, width, height, colour)` paints, whenever its size or the colours change. */
export function lane(name, height, draw) {
  const canvas = h("canvas", { class: `lane-canvas ${name}`, "aria-hidden": "true" });
  canvas.style.height = `${height}px`;
  const one = { canvas, redraw: () => paint(canvas, height, draw) };
  lanes.add(one);
  new ResizeObserver(one.redraw).observe(canvas);
  return one;
}

/** Let go of the canvases in an element that leaves the page. */
export function forgetLanes(root) {
  for (const one of [...lanes]) if (root.contains(one.canvas)) lanes.delete(one);
}

function redrawAll() {
  for (const one of lanes) one.redraw();
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
  draw(pen, width, height, colour);
}

/** Return a colour of the page by its name in the style sheet. */
export function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

/**
 * Paint scores over time as an area from the least to the greatest; those under the floor are pale.
 * Spans are `[start, end, score]`; a pixel shows the greatest of its own.
 */
export function paintScores(spans, seconds, floor, name) {
  const low = Math.min(...spans.map((span) => span[2]));
  const top = Math.max(low + 0.02, ...spans.map((span) => span[2]));
  return (pen, width, height, colourOf) => {
    const columns = new Float32Array(Math.ceil(width)).fill(-Infinity);
    for (const [i, [start, end, score]] of spans.entries()) {
      const until = Math.max(end, Math.min(spans[i + 1]?.[0] ?? end, end + 1)); // no slits between neighbours
      const last = Math.min(columns.length, Math.max(Math.ceil((until / seconds) * width), 1));
      for (let x = Math.floor((start / seconds) * width); x < last; x += 1) columns[x] = Math.max(columns[x], score);
    }
    pen.fillStyle = colourOf(name);
    columns.forEach((score, x) => {
      if (score === -Infinity) return;
      const tall = Math.max(1, (0.06 + 0.94 * ((score - low) / (top - low))) * height);
      pen.globalAlpha = floor !== null && score < floor ? 0.28 : 0.92;
      pen.fillRect(x, height - tall, 1, tall);
    });
    pen.globalAlpha = 1;
  };
}

/** Paint a waveform of peaks, mirrored about its middle; the loudest fills the height. */
export function paintWave(peaks) {
  return (pen, width, height, colourOf) => {
    pen.fillStyle = colourOf("sound");
    const count = Math.min(peaks.length, Math.floor(width / 2));
    const loudest = Math.max(0.02, ...peaks);
    for (let i = 0; i < count; i += 1) {
      const from = Math.floor((i / count) * peaks.length);
      const peak = Math.max(...peaks.slice(from, Math.max(from + 1, Math.floor(((i + 1) / count) * peaks.length))));
      const tall = Math.max(1, (peak / loudest) ** 0.7 * height);
      pen.fillRect((i / count) * width, (height - tall) / 2, Math.max(1, width / count - 0.75), tall);
    }
  };
}

/** Paint shots as blocks side by side. Spans are `[start, end]`. */
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

/** Paint marks, each kind in a row of its own. */
export function paintMarks(kinds, seconds) {
  return (pen, width, height, colourOf) => {
    const tall = height / kinds.length;
    kinds.forEach(([kind, spans], row) => {
      pen.fillStyle = colourOf("line");
      pen.fillRect(0, row * tall + tall / 2 - 0.5, width, 1);
      pen.fillStyle = colourOf(`mark-${kind}`) || colourOf("soft");
      for (const [start, end] of spans) {
        pen.fillRect((start / seconds) * width, row * tall + 1, Math.max(2, ((end - start) / seconds) * width), tall - 2);
      }
    });
  };
}
