/** The pictures on the map: as many as fit without overlap, fetched two at a time, cached up to a limit. */

import { buildFrameUrl } from "./api.js";
import { getMiddle } from "./result-card.js";

const HEIGHT = 38; // pixels
const SPACING = [92, 66]; // pixels between the middles of two pictures
const MAX_CACHED = 240;
const MAX_PARALLEL = 2;

/** Pictures of some of the map's points; `onPicture` is called whenever one has loaded. */
export class Thumbnails {
  constructor(onPicture) {
    Object.assign(this, { onPicture, chosen: [], cache: new Map(), queue: [], loading: 0, hasLeft: false });
  }

  leave() {
    this.hasLeft = true;
    this.queue = [];
  }

  /** Choose points whose pictures do not overlap; points with a cached picture come first. */
  choosePoints(points, place, width, height) {
    const taken = [];
    const free = ([left, top]) => left > 34 && top > 24 && left < width - 34 && top < height - 24
      && taken.every(([x, y]) => Math.abs(x - left) > SPACING[0] || Math.abs(y - top) > SPACING[1]);
    const order = [...points].sort((a, b) => this.cache.has(getKey(b)) - this.cache.has(getKey(a)));
    this.chosen = order.filter((point) => {
      const at = place(point);
      if (!free(at)) return false;
      taken.push(at);
      return true;
    });
    this.queue = this.chosen.filter((point) => !this.cache.has(getKey(point)));
    this.fetchNext();
    this.onPicture();
  }

  fetchNext() {
    while (this.loading < MAX_PARALLEL && this.queue.length) {
      const point = this.queue.shift();
      const image = new Image();
      this.loading += 1;
      image.onload = image.onerror = () => {
        this.loading -= 1;
        if (this.hasLeft) return;
        if (image.naturalWidth) this.cache.set(getKey(point), image);
        if (this.cache.size > MAX_CACHED) this.cache.delete(this.cache.keys().next().value);
        this.onPicture();
        this.fetchNext();
      };
      image.src = buildFrameUrl(point.film_id, getMiddle(point));
    }
  }

  /** Draw the pictures, each framed in the colour of its film. */
  draw(pen, place, light) {
    for (const point of this.chosen) {
      const image = this.cache.get(getKey(point));
      if (!image) continue;
      const [left, top, width, height] = getBox(image, place(point));
      pen.fillStyle = `hsl(${point.hue} 62% ${light}%)`;
      pen.beginPath();
      pen.roundRect(left - 2, top - 2, width + 4, height + 4, 5);
      pen.fill();
      pen.drawImage(image, left, top, width, height);
    }
  }

  /** Return the point whose picture is at a position of the canvas. */
  findAt(x, y, place) {
    return this.chosen.findLast((point) => {
      const image = this.cache.get(getKey(point));
      if (!image) return false;
      const [left, top, width, height] = getBox(image, place(point));
      return x >= left && y >= top && x <= left + width && y <= top + height;
    }) ?? null;
  }
}

const getKey = (point) => `${point.film_id}@${point.start_seconds}`;

function getBox(image, [x, y]) {
  const width = Math.min(80, (image.naturalWidth / image.naturalHeight) * HEIGHT);
  return [x - width / 2, y - HEIGHT / 2, width, HEIGHT];
}
