/** Files to search with: dropped anywhere on the page, or picked; sent, and then searched for. */

import * as api from "./api.js";
import { button, h, icon, sentence } from "./dom.js";
import { current, go, hashOf } from "./route.js";

const kept = new Map(); // upload id -> {url, type}: this page can still show the file itself
let fail = () => {};

/** Return the file of an upload as this page has it, or nothing after a reload. */
export const keptFile = (id) => kept.get(id);

/** Return the place to drop a file on, which also picks one. */
export function dropZone() {
  return h("div", { class: "drop" },
    h("span", { class: "drop-mark", "aria-hidden": "true" }, icon("drop")),
    h("p", { class: "drop-told" }, "Drop a picture, a sound or a clip"),
    h("p", { class: "soft" }, "and see where your films look or sound like it. The file goes to the machine that runs talkies and no further."),
    pickButton("Choose a file"));
}

/** Return a button that picks a file. */
export function pickButton(text, properties = {}) {
  const input = h("input", {
    type: "file", accept: "image/*,audio/*,video/*,.mkv,.ts,.mxf", class: "hidden-input", tabindex: "-1", "aria-hidden": "true",
    onchange: () => { if (input.files.length) take(input.files[0]); input.value = ""; },
  });
  return h("span", { class: "pick" }, button(text, "search", () => input.click(), properties), input);
}

/** Take files that are dropped anywhere; `onFail` hears of those that cannot be used. */
export function takeDrops(onFail) {
  fail = onFail;
  const veil = h("div", { class: "veil", hidden: true, "aria-hidden": "true" }, h("p", {}, icon("drop"), "Let go to search with this file"));
  document.body.append(veil);
  let depth = 0; // entered elements minus left ones
  const hasFile = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
  const over = (by) => (event) => {
    if (!hasFile(event)) return;
    event.preventDefault();
    depth = Math.max(0, depth + by);
    veil.hidden = depth === 0;
  };
  addEventListener("dragenter", over(1));
  addEventListener("dragleave", over(-1));
  addEventListener("dragover", over(0));
  addEventListener("drop", (event) => {
    if (!hasFile(event)) return;
    event.preventDefault();
    depth = 0;
    veil.hidden = true;
    const [file] = event.dataTransfer.files;
    if (file) take(file);
  });
}

/** Send a file and go to what is like it. */
async function take(file) {
  const status = document.getElementById("status");
  const bar = h("progress", { max: "1", value: 0, "aria-label": "Sent" });
  const text = h("span", {}, `Sending ${file.name} …`);
  status.replaceChildren(h("div", { class: "toast" }, text, bar));
  try {
    const shelf = await api.library({ anew: true, model: current().params.get("model") });
    refuseTooLarge(file, shelf.upload_limit_bytes);
    const sent = await api.sendFile(file, shelf.model, (share) => {
      bar.value = share;
      if (share >= 1) text.textContent = `Reading ${file.name} …`;
    });
    kept.set(sent.upload, { url: URL.createObjectURL(file), type: file.type });
    const side = sent.sides.length > 1 ? "both" : sent.sides[0];
    go(hashOf("search", { upload: sent.upload, from: side, to: side, model: shelf.model }));
  } catch (error) {
    fail(error);
  } finally {
    status.replaceChildren();
  }
}

function refuseTooLarge(file, limit) {
  if (limit && file.size > limit) {
    const [has, may] = [file.size, limit].map((bytes) => `${(bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0)} MB`);
    throw new api.Refusal(`${file.name} has ${has}, and ${may} are taken at most; cut out the moment that you look for`, 413);
  }
}

/** Return the notice of a library in which nothing can be searched yet, with the command as its server tells it. */
export function noticeOf(shelf) {
  return shelf.notice ? h("div", { class: "notice", role: "note" }, icon("search"), h("p", {}, sentence(shelf.notice))) : null;
}
