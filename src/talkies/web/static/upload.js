/** Search by file: a file is dropped on the page or chosen, uploaded, and searched with. */

import * as api from "./api.js";
import { createButton, createIcon, formatSentence, h } from "./dom.js";
import { buildHash, navigate, parseRoute } from "./route.js";

const uploadedFiles = new Map(); // upload id -> {url, type}, so that this page can show the file itself
let showError = () => {};

/** Return the file of an upload as this page holds it, or undefined after a reload. */
export const getUploadedFile = (id) => uploadedFiles.get(id);

/** Return the area to drop a file on, with a button to choose one. */
export function createDropZone() {
  return h("div", { class: "drop" },
    h("span", { class: "drop-mark", "aria-hidden": "true" }, createIcon("drop")),
    h("p", { class: "drop-title" }, "Drop a picture, a sound or a clip here"),
    h("p", { class: "soft" }, "to find the moments in your films that look or sound like it. The file is sent only to the machine that runs talkies."),
    createPickButton("Choose a file"));
}

/** Return a button that opens the file chooser. */
export function createPickButton(text, properties = {}) {
  const input = h("input", {
    type: "file", accept: "image/*,audio/*,video/*,.mkv,.ts,.mxf", class: "hidden-input", tabindex: "-1", "aria-hidden": "true",
    onchange: () => { if (input.files.length) searchWithFile(input.files[0]); input.value = ""; },
  });
  return h("span", { class: "pick" }, createButton(text, "search", () => input.click(), properties), input);
}

/** Accept files that are dropped anywhere on the page; `onError` is called with the error of a file that fails. */
export function listenForDrops(onError) {
  showError = onError;
  const veil = h("div", { class: "veil", hidden: true, "aria-hidden": "true" }, h("p", {}, createIcon("drop"), "Drop to search with this file"));
  document.body.append(veil);
  let depth = 0; // elements entered minus elements left
  const hasFile = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
  const changeDepth = (by) => (event) => {
    if (!hasFile(event)) return;
    event.preventDefault();
    depth = Math.max(0, depth + by);
    veil.hidden = depth === 0;
  };
  addEventListener("dragenter", changeDepth(1));
  addEventListener("dragleave", changeDepth(-1));
  addEventListener("dragover", changeDepth(0));
  addEventListener("drop", (event) => {
    if (!hasFile(event)) return;
    event.preventDefault();
    depth = 0;
    veil.hidden = true;
    const [file] = event.dataTransfer.files;
    if (file) searchWithFile(file);
  });
}

/** Upload a file and go to its results. */
async function searchWithFile(file) {
  const status = document.getElementById("status");
  const bar = h("progress", { max: "1", value: 0, "aria-label": "Uploaded" });
  const text = h("span", {}, `Uploading ${file.name} …`);
  status.replaceChildren(h("div", { class: "toast" }, text, bar));
  try {
    const library = await api.fetchLibrary({ refresh: true, model: parseRoute().params.get("model") });
    checkSize(file, library.upload_limit_bytes);
    const upload = await api.sendFile(file, library.model, (share) => {
      bar.value = share;
      if (share >= 1) text.textContent = `Processing ${file.name} …`;
    });
    uploadedFiles.set(upload.upload, { url: URL.createObjectURL(file), type: file.type });
    const modality = upload.sides.length > 1 ? "both" : upload.sides[0];
    navigate(buildHash("search", { upload: upload.upload, from: modality, to: modality, model: library.model }));
  } catch (error) {
    showError(error);
  } finally {
    status.replaceChildren();
  }
}

function checkSize(file, limitBytes) {
  if (limitBytes && file.size > limitBytes) {
    const [size, limit] = [file.size, limitBytes].map((bytes) => `${(bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0)} MB`);
    throw new api.ServerError(`${file.name} has ${size}, and an upload may have at most ${limit}; cut out the part that you are looking for`, 413);
  }
}

/** Return the notice of a library that cannot be searched yet, with the command that the server suggests. */
export function createNotice(library) {
  return library.notice ? h("div", { class: "notice", role: "note" }, createIcon("search"), h("p", {}, formatSentence(library.notice))) : null;
}
