/** The drawing of the map: points, some of them with their picture; panned, zoomed, pointed at and stepped along. */

import { h } from "./dom.js";
import { colour } from "./lanes.js";
import { Thumbnails } from "./thumbnails.js";

const MARGIN = 48;
const NEAR = 26; // pixels within which a point is meant
const MOST_ZOOM = 40;

/** A map of `points` with `x` and `y` in 0 … 1; `look` is its middle and its zoom. */
export class Chart {
  constructor(points, { label, look, onChoose, onLook }) {
    Object.assign(this, { points, onChoose, onLook, chosen: null, only: null, fingers: new Map(), travelled: 0, told: 0, drawn: 0 });
    this.at = { ...look };
    this.thumbnails = new Thumbnails(() => this.redraw());
    this.element = h("canvas", { class: "chart-canvas", tabindex: "0", role: "application", "aria-label": label });
    this.sized = new ResizeObserver(() => this.settle());
    this.sized.observe(this.element);
    this.scheme = matchMedia("(prefers-color-scheme: dark)");
    this.redrawn = () => this.redraw();
    this.scheme.addEventListener("change", this.redrawn);
    this.listen();
  }

  leave() {
    this.sized.disconnect();
    this.scheme.removeEventListener("change", this.redrawn);
    this.thumbnails.leave();
    clearTimeout(this.told);
    cancelAnimationFrame(this.drawn);
  }

  look(at) {
    this.at = { ...at };
    this.settle();
  }

  highlight(filmId) {
    this.only = filmId;
    this.settle();
  }

  choose(point) {
    this.chosen = point;
    this.bringIntoSight(point);
    this.redraw();
    this.onChoose(point, false);
  }

  /** Go to the nearest point in a direction. */
  step(x, y) {
    const from = this.chosen ?? this.nearest(this.width / 2, this.height / 2, Infinity);
    if (!from) return;
    if (!this.chosen) return void this.choose(from);
    const [left, top] = this.place(from);
    let best = null;
    let least = Infinity;
    for (const point of this.visible()) {
      const [dx, dy] = [this.place(point)[0] - left, this.place(point)[1] - top];
      const along = dx * x + dy * y;
      const across = Math.abs(dx * y) + Math.abs(dy * x);
      if (point === from || along < 2 || across > along * 1.5) continue;
      if (along + across * 2 < least) [best, least] = [point, along + across * 2];
    }
    if (best) this.choose(best);
  }

  zoom(by, left = this.width / 2, top = this.height / 2) {
    const [x, y] = this.where(left, top);
    this.at.z = Math.min(MOST_ZOOM, Math.max(1, this.at.z * by));
    const [x2, y2] = this.where(left, top);
    this.at.x += x - x2;
    this.at.y += y - y2;
    this.settle();
  }

  whole() {
    this.at = { x: 0.5, y: 0.5, z: 1 };
    this.settle();
  }

  get width() { return this.element.clientWidth; }
  get height() { return this.element.clientHeight; }

  /** Return where on the canvas a point lies. */
  place({ x, y }) {
    const [wide, high] = [(this.width - 2 * MARGIN) * this.at.z, (this.height - 2 * MARGIN) * this.at.z];
    return [this.width / 2 + (x - this.at.x) * wide, this.height / 2 + (y - this.at.y) * high];
  }

  /** Return what of the map lies at a place of the canvas. */
  where(left, top) {
    const [wide, high] = [(this.width - 2 * MARGIN) * this.at.z, (this.height - 2 * MARGIN) * this.at.z];
    return [this.at.x + (left - this.width / 2) / wide, this.at.y + (top - this.height / 2) / high];
  }

  visible() {
    return this.only ? this.points.filter((point) => point.film_id === this.only) : this.points;
  }

  nearest(left, top, within) {
    let best = null;
    let least = within;
    for (const point of this.visible()) {
      const [x, y] = this.place(point);
      const away = Math.hypot(x - left, y - top);
      if (away < least) [best, least] = [point, away];
    }
    return best;
  }

  bringIntoSight(point) {
    const [left, top] = this.place(point);
    if (left > 20 && top > 20 && left < this.width - 20 && top < this.height - 20) return;
    [this.at.x, this.at.y] = [point.x, point.y];
    this.settle();
  }

  /** Draw, and when nothing has moved for a while choose pictures anew and tell where one looks. */
  settle() {
    this.at.x = Math.min(1.1, Math.max(-0.1, this.at.x));
    this.at.y = Math.min(1.1, Math.max(-0.1, this.at.y));
    this.redraw();
    clearTimeout(this.told);
    this.told = setTimeout(() => {
      if (!this.element.isConnected || !this.width) return;
      this.thumbnails.spread(this.visible(), (point) => this.place(point), this.width, this.height);
      if (this.moved) this.onLook(this.at);
      this.moved = true;
    }, 220);
  }

  redraw() {
    cancelAnimationFrame(this.drawn);
    this.drawn = requestAnimationFrame(() => this.draw());
  }

  draw() {
    const scale = devicePixelRatio || 1;
    const { element: canvas, width, height } = this;
    if (!width) return;
    if (canvas.width !== Math.round(width * scale) || canvas.height !== Math.round(height * scale)) {
      canvas.width = Math.round(width * scale);
      canvas.height = Math.round(height * scale);
    }
    const pen = canvas.getContext("2d");
    pen.setTransform(scale, 0, 0, scale, 0, 0);
    pen.clearRect(0, 0, width, height);
    const light = this.scheme.matches ? 66 : 46;
    const radius = Math.min(9, 3.2 + Math.log2(this.at.z) * 0.9);
    for (const point of this.points) {
      const [x, y] = this.place(point);
      if (x < -20 || y < -20 || x > width + 20 || y > height + 20) continue;
      pen.globalAlpha = this.only && point.film_id !== this.only ? 0.1 : 0.78;
      pen.fillStyle = `hsl(${point.hue} 62% ${light}%)`;
      pen.beginPath();
      pen.arc(x, y, radius, 0, 2 * Math.PI);
      pen.fill();
    }
    pen.globalAlpha = 1;
    this.thumbnails.draw(pen, (point) => this.place(point), light);
    if (this.chosen) this.drawChosen(pen, radius);
  }

  drawChosen(pen, radius) {
    const [x, y] = this.place(this.chosen);
    pen.lineWidth = 3;
    pen.strokeStyle = colour("ink");
    pen.fillStyle = colour("paper");
    pen.beginPath();
    pen.arc(x, y, radius + 4, 0, 2 * Math.PI);
    pen.fill();
    pen.stroke();
  }

  listen() {
    const on = (name, act, options) => this.element.addEventListener(name, act, options);
    const spot = (event) => [event.offsetX, event.offsetY];
    on("wheel", (event) => {
      event.preventDefault();
      this.zoom(2 ** (-event.deltaY / 320), ...spot(event));
    }, { passive: false });
    on("pointerdown", (event) => {
      if (event.button) return; // the first button alone pans and opens
      this.element.setPointerCapture(event.pointerId);
      this.fingers.set(event.pointerId, spot(event));
      if (this.fingers.size === 1) this.travelled = 0;
    });
    on("pointermove", (event) => {
      if (this.fingers.has(event.pointerId)) return this.drag(event.pointerId, spot(event));
      const point = this.nearest(...spot(event), NEAR);
      this.element.classList.toggle("is-over", Boolean(point));
      if (point && point !== this.chosen) {
        this.chosen = point;
        this.redraw();
        this.onChoose(point, false);
      }
      return undefined;
    });
    on("pointerup", (event) => {
      if (!this.fingers.has(event.pointerId)) return;
      const isClick = this.fingers.size === 1 && this.travelled < 6;
      this.fingers.delete(event.pointerId);
      const point = isClick ? this.thumbnails.under(...spot(event), (one) => this.place(one)) ?? this.nearest(...spot(event), NEAR) : null;
      if (!point) return;
      const isSecond = point === this.chosen; // a mouse has chosen it before it clicks; a finger taps twice
      if (isSecond || event.pointerType === "mouse") this.onChoose(point, true);
      else this.choose(point);
    });
    on("pointercancel", (event) => this.fingers.delete(event.pointerId));
  }

  /** Pan with one finger or the mouse, zoom with two. */
  drag(id, [left, top]) {
    const [oldLeft, oldTop] = this.fingers.get(id);
    const other = [...this.fingers].find(([key]) => key !== id)?.[1];
    this.fingers.set(id, [left, top]);
    this.travelled += Math.hypot(left - oldLeft, top - oldTop);
    const [x, y] = this.where(left, top);
    const [oldX, oldY] = this.where(oldLeft, oldTop);
    const share = other ? 0.5 : 1;
    this.at.x -= (x - oldX) * share;
    this.at.y -= (y - oldY) * share;
    if (!other) return this.settle();
    const wide = (a, b) => Math.max(20, Math.hypot(a[0] - b[0], a[1] - b[1]));
    return this.zoom(wide([left, top], other) / wide([oldLeft, oldTop], other), (left + other[0]) / 2, (top + other[1]) / 2);
  }
}
