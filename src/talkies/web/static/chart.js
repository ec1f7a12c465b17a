/** The canvas of the map: points, some with a picture; it can be panned, zoomed, hovered and walked by keys. */

import { h } from "./dom.js";
import { Thumbnails } from "./thumbnails.js";
import { getColour } from "./tracks.js";

const MARGIN = 48;
const HIT_RADIUS = 26; // pixels around a point in which it is hovered or clicked
const MAX_ZOOM = 40;

/** A map of `points` with `x` and `y` from 0 to 1; `look` is its middle (`x`, `y`) and its zoom (`z`). */
export class Chart {
  constructor(points, { label, look, onChoose, onLook }) {
    Object.assign(this, { points, onChoose, onLook, chosen: null, only: null, pointers: new Map(), travelled: 0, settleTimer: 0, frame: 0 });
    this.view = { ...look };
    this.thumbnails = new Thumbnails(() => this.redraw());
    this.element = h("canvas", { class: "chart-canvas", tabindex: "0", role: "application", "aria-label": label });
    this.sizes = new ResizeObserver(() => this.settle());
    this.sizes.observe(this.element);
    this.scheme = matchMedia("(prefers-color-scheme: dark)");
    this.onScheme = () => this.redraw();
    this.scheme.addEventListener("change", this.onScheme);
    this.addListeners();
  }

  leave() {
    this.sizes.disconnect();
    this.scheme.removeEventListener("change", this.onScheme);
    this.thumbnails.leave();
    clearTimeout(this.settleTimer);
    cancelAnimationFrame(this.frame);
  }

  setLook(look) {
    this.view = { ...look };
    this.settle();
  }

  highlight(filmId) {
    this.only = filmId;
    this.settle();
  }

  choose(point) {
    this.chosen = point;
    this.scrollToPoint(point);
    this.redraw();
    this.onChoose(point, false);
  }

  /** Choose the nearest point in a direction. */
  step(x, y) {
    const from = this.chosen ?? this.findNearest(this.width / 2, this.height / 2, Infinity);
    if (!from) return;
    if (!this.chosen) return void this.choose(from);
    const [left, top] = this.toPixels(from);
    let best = null;
    let least = Infinity;
    for (const point of this.getVisible()) {
      const [dx, dy] = [this.toPixels(point)[0] - left, this.toPixels(point)[1] - top];
      const along = dx * x + dy * y;
      const across = Math.abs(dx * y) + Math.abs(dy * x);
      if (point === from || along < 2 || across > along * 1.5) continue;
      if (along + across * 2 < least) [best, least] = [point, along + across * 2];
    }
    if (best) this.choose(best);
  }

  zoom(by, left = this.width / 2, top = this.height / 2) {
    const [x, y] = this.toMap(left, top);
    this.view.z = Math.min(MAX_ZOOM, Math.max(1, this.view.z * by));
    const [x2, y2] = this.toMap(left, top);
    this.view.x += x - x2;
    this.view.y += y - y2;
    this.settle();
  }

  showAll() {
    this.view = { x: 0.5, y: 0.5, z: 1 };
    this.settle();
  }

  get width() { return this.element.clientWidth; }
  get height() { return this.element.clientHeight; }

  /** Return the size of the whole map in pixels, at the current zoom. */
  getMapSize() {
    return { width: (this.width - 2 * MARGIN) * this.view.z, height: (this.height - 2 * MARGIN) * this.view.z };
  }

  /** Return the position of a point on the canvas, in pixels. */
  toPixels({ x, y }) {
    const { width, height } = this.getMapSize();
    return [this.width / 2 + (x - this.view.x) * width, this.height / 2 + (y - this.view.y) * height];
  }

  /** Return the map coordinates of a position on the canvas. */
  toMap(left, top) {
    const { width, height } = this.getMapSize();
    return [this.view.x + (left - this.width / 2) / width, this.view.y + (top - this.height / 2) / height];
  }

  getVisible() {
    return this.only ? this.points.filter((point) => point.film_id === this.only) : this.points;
  }

  findNearest(left, top, maxDistance) {
    let best = null;
    let least = maxDistance;
    for (const point of this.getVisible()) {
      const [x, y] = this.toPixels(point);
      const distance = Math.hypot(x - left, y - top);
      if (distance < least) [best, least] = [point, distance];
    }
    return best;
  }

  scrollToPoint(point) {
    const [left, top] = this.toPixels(point);
    if (left > 20 && top > 20 && left < this.width - 20 && top < this.height - 20) return;
    [this.view.x, this.view.y] = [point.x, point.y];
    this.settle();
  }

  /** Redraw; when nothing has moved for a while, choose pictures again and report the visible part. */
  settle() {
    this.view.x = Math.min(1.1, Math.max(-0.1, this.view.x));
    this.view.y = Math.min(1.1, Math.max(-0.1, this.view.y));
    this.redraw();
    clearTimeout(this.settleTimer);
    this.settleTimer = setTimeout(() => {
      if (!this.element.isConnected || !this.width) return;
      this.thumbnails.choosePoints(this.getVisible(), (point) => this.toPixels(point), this.width, this.height);
      if (this.hasSettled) this.onLook(this.view);
      this.hasSettled = true;
    }, 220);
  }

  redraw() {
    cancelAnimationFrame(this.frame);
    this.frame = requestAnimationFrame(() => this.draw());
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
    const radius = Math.min(9, 3.2 + Math.log2(this.view.z) * 0.9);
    for (const point of this.points) {
      const [x, y] = this.toPixels(point);
      if (x < -20 || y < -20 || x > width + 20 || y > height + 20) continue;
      pen.globalAlpha = this.only && point.film_id !== this.only ? 0.1 : 0.78;
      pen.fillStyle = `hsl(${point.hue} 62% ${light}%)`;
      pen.beginPath();
      pen.arc(x, y, radius, 0, 2 * Math.PI);
      pen.fill();
    }
    pen.globalAlpha = 1;
    this.thumbnails.draw(pen, (point) => this.toPixels(point), light);
    if (this.chosen) this.drawChosen(pen, radius);
  }

  drawChosen(pen, radius) {
    const [x, y] = this.toPixels(this.chosen);
    pen.lineWidth = 3;
    pen.strokeStyle = getColour("ink");
    pen.fillStyle = getColour("paper");
    pen.beginPath();
    pen.arc(x, y, radius + 4, 0, 2 * Math.PI);
    pen.fill();
    pen.stroke();
  }

  addListeners() {
    const on = (name, act, options) => this.element.addEventListener(name, act, options);
    const getPosition = (event) => [event.offsetX, event.offsetY];
    on("wheel", (event) => {
      event.preventDefault();
      this.zoom(2 ** (-event.deltaY / 320), ...getPosition(event));
    }, { passive: false });
    on("pointerdown", (event) => {
      if (event.button) return; // only the first button pans and opens
      this.element.setPointerCapture(event.pointerId);
      this.pointers.set(event.pointerId, getPosition(event));
      if (this.pointers.size === 1) this.travelled = 0;
    });
    on("pointermove", (event) => {
      if (this.pointers.has(event.pointerId)) return this.drag(event.pointerId, getPosition(event));
      const point = this.findNearest(...getPosition(event), HIT_RADIUS);
      this.element.classList.toggle("is-over", Boolean(point));
      if (point && point !== this.chosen) {
        this.chosen = point;
        this.redraw();
        this.onChoose(point, false);
      }
      return undefined;
    });
    on("pointerup", (event) => {
      if (!this.pointers.has(event.pointerId)) return;
      const isClick = this.pointers.size === 1 && this.travelled < 6;
      this.pointers.delete(event.pointerId);
      const point = isClick ? this.thumbnails.findAt(...getPosition(event), (other) => this.toPixels(other)) ?? this.findNearest(...getPosition(event), HIT_RADIUS) : null;
      if (!point) return;
      const isSecond = point === this.chosen; // a mouse has hovered it before the click; a finger taps twice
      if (isSecond || event.pointerType === "mouse") this.onChoose(point, true);
      else this.choose(point);
    });
    on("pointercancel", (event) => this.pointers.delete(event.pointerId));
  }

  /** Pan with one finger or the mouse, zoom with two. */
  drag(id, [left, top]) {
    const [oldLeft, oldTop] = this.pointers.get(id);
    const other = [...this.pointers].find(([key]) => key !== id)?.[1];
    this.pointers.set(id, [left, top]);
    this.travelled += Math.hypot(left - oldLeft, top - oldTop);
    const [x, y] = this.toMap(left, top);
    const [oldX, oldY] = this.toMap(oldLeft, oldTop);
    const share = other ? 0.5 : 1;
    this.view.x -= (x - oldX) * share;
    this.view.y -= (y - oldY) * share;
    if (!other) return this.settle();
    const getDistance = (a, b) => Math.max(20, Math.hypot(a[0] - b[0], a[1] - b[1]));
    return this.zoom(getDistance([left, top], other) / getDistance([oldLeft, oldTop], other), (left + other[0]) / 2, (top + other[1]) / 2);
  }
}
