/** The pictures on the map: one for each free place, fetched two at a time, kept while there is room. */

import { frameUrl } from "./api.js";
import { middleOf } from "./hit.js";

const HIGH = 38;
const APART = [92, 66]; // pixels from one picture's middle to the next
const MOST_KEPT = 240;
const AT_ONCE = 2;

/** Pictures of some of the map's points; `onPicture` is called when one has come. */
export class Thumbnails {
  constructor(onPicture) {
    Object.assign(this, { onPicture, chosen: [], kept: new Map(), wanted: [], coming: 0, gone: false });
  }

  leave() {
    this.gone = true;
    this.wanted = [];
  }

  /** Choose points whose pictures do not cover one another; those that have one already come first. */
  spread(points, place, width, height) {
    const taken = [];
    const free = ([left, top]) => left > 34 && top > 24 && left < width - 34 && top < height - 24
      && taken.every(([x, y]) => Math.abs(x - left) > APART[0] || Math.abs(y - top) > APART[1]);
    const order = [...points].sort((a, b) => this.kept.has(keyOf(b)) - this.kept.has(keyOf(a)));
    this.chosen = order.filter((point) => {
      const at = place(point);
      if (!free(at)) return false;
      taken.push(at);
      return true;
    });
    this.wanted = this.chosen.filter((point) => !this.kept.has(keyOf(point)));
    this.fetch();
    this.onPicture();
  }

  fetch() {
    while (this.coming < AT_ONCE && this.wanted.length) {
      const point = this.wanted.shift();
      const image = new Image();
      this.coming += 1;
      image.onload = image.onerror = () => {
        this.coming -= 1;
        if (this.gone) return;
        if (image.naturalWidth) this.kept.set(keyOf(point), image);
        if (this.kept.size > MOST_KEPT) this.kept.delete(this.kept.keys().next().value);
        this.onPicture();
        this.fetch();
      };
      image.src = frameUrl(point.film_id, middleOf(point));
    }
  }

  /** Paint them, each framed in the colour of its film. */
  draw(pen, place, light) {
    for (const point of this.chosen) {
      const image = this.kept.get(keyOf(point));
      if (!image) continue;
      const [left, top, wide, high] = boxOf(image, place(point));
      pen.fillStyle = `hsl(${point.hue} 62% ${light}%)`;
      pen.beginPath();
      pen.roundRect(left - 2, top - 2, wide + 4, high + 4, 5);
      pen.fill();
      pen.drawImage(image, left, top, wide, high);
    }
  }

  /** Return the point whose picture is at a place of the canvas. */
  under(x, y, place) {
    return this.chosen.findLast((point) => {
      const image = this.kept.get(keyOf(point));
      if (!image) return false;
      const [left, top, wide, high] = boxOf(image, place(point));
      return x >= left && y >= top && x <= left + wide && y <= top + high;
    }) ?? null;
  }
}

const keyOf = (point) => `${point.film_id}@${point.start_seconds}`;

function boxOf(image, [x, y]) {
  const wide = Math.min(80, (image.naturalWidth / image.naturalHeight) * HIGH);
  return [x - wide / 2, y - HIGH / 2, wide, HIGH];
}
