/** What the server is asked, and its sentence where it says no. */

/** A refusal of the server, or its silence; the message is a sentence for people. */
export class Refusal extends Error {
  constructor(message, status = 0) {
    super(message);
    this.status = status;
  }
}

const SILENT = "the server does not answer; is `talkies serve` still running?";

async function ask(path, params = {}, signal = undefined) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(params)) {
    for (const one of [value].flat()) {
      if (one !== null && one !== undefined && one !== "") query.append(name, String(one));
    }
  }
  let answer;
  try {
    answer = await fetch(query.size ? `${path}?${query}` : path, { signal });
  } catch (error) {
    throw error.name === "AbortError" ? error : new Refusal(SILENT);
  }
  const document = await answer.json().catch((error) => (error.name === "AbortError" ? Promise.reject(error) : null));
  if (!answer.ok) throw new Refusal(sentenceOf(document, answer.status), answer.status);
  if (document === null) throw new Refusal(SILENT); // the answer broke off
  return document;
}

function sentenceOf(document, status) {
  return document?.error ?? `the server refused (${status})`;
}

let shelf = null; // the library as it was last told

/** Return the library: its films, its models, its notice. `anew` asks even if it was told before. */
export async function library({ anew = false, model = null, signal } = {}) {
  if (anew || !shelf?.models.length || (model && shelf.model !== model)) {
    shelf = await ask("/api/library", { model }, signal);
  }
  return shelf;
}

export const film = (id, model, signal) => ask(`/api/films/${encodeURIComponent(id)}`, { model }, signal);
export const search = (query, signal) => ask("/api/search", query, signal);
export const heat = (filmId, query, signal) => ask("/api/heat", { in: filmId, ...query }, signal);
export const map = (side, model, signal) => ask("/api/map", { side, model }, signal);
export const upload = (id, model, signal) => ask(`/api/uploads/${encodeURIComponent(id)}`, { model }, signal);

const base = (id) => `/api/films/${encodeURIComponent(id)}`;
export const mediaUrl = (id) => `/media/${encodeURIComponent(id)}.mp4`;
export const frameUrl = (id, seconds) => `${base(id)}/frame.jpg?at=${Math.max(0, seconds).toFixed(2)}`;
export const stripUrl = (id, count) => `${base(id)}/strip.jpg?count=${Math.min(60, Math.max(1, Math.round(count)))}`;

/** Send a file; `onShare` hears the share that is sent, 0 to 1. Returns what the server says of it. */
export function sendFile(file, model, onShare) {
  const request = new XMLHttpRequest(); // fetch does not tell how far a file has come
  const form = new FormData();
  form.append("file", file, file.name);
  request.open("POST", model ? `/api/uploads?model=${encodeURIComponent(model)}` : "/api/uploads");
  request.responseType = "json";
  request.upload.addEventListener("progress", (event) => onShare(event.lengthComputable ? event.loaded / event.total : 0));
  return new Promise((resolve, reject) => {
    request.addEventListener("error", () => reject(new Refusal(SILENT)));
    request.addEventListener("load", () => {
      if (request.status < 400) resolve(request.response);
      else reject(new Refusal(sentenceOf(request.response, request.status), request.status));
    });
    request.send(form);
  });
}
