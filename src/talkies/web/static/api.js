/** Requests to the server, and the sentence of the error when one fails. */

/** An error answer of the server, or no answer at all; the message is a sentence for people. */
export class ServerError extends Error {
  constructor(message, status = 0) {
    super(message);
    this.status = status;
  }
}

const NO_ANSWER = "the server does not answer; is `talkies serve` still running?";

async function requestJson(path, params = {}, signal = undefined) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(params)) {
    for (const item of [value].flat()) {
      if (item !== null && item !== undefined && item !== "") query.append(name, String(item));
    }
  }
  let answer;
  try {
    answer = await fetch(query.size ? `${path}?${query}` : path, { signal });
  } catch (error) {
    throw error.name === "AbortError" ? error : new ServerError(NO_ANSWER);
  }
  const document = await answer.json().catch((error) => (error.name === "AbortError" ? Promise.reject(error) : null));
  if (!answer.ok) throw new ServerError(getErrorMessage(document, answer.status), answer.status);
  if (document === null) throw new ServerError(NO_ANSWER); // the answer was cut off
  return document;
}

function getErrorMessage(document, status) {
  return document?.error ?? `the server refused the request (status ${status})`;
}

let cachedLibrary = null;

/** Return the library: its films, its models, its notice. `refresh` asks the server even if it is cached. */
export async function fetchLibrary({ refresh = false, model = null, signal } = {}) {
  if (refresh || !cachedLibrary?.models.length || (model && cachedLibrary.model !== model)) {
    cachedLibrary = await requestJson("/api/library", { model }, signal);
  }
  return cachedLibrary;
}

/** Return the model that the library is shown with, or null without one. */
export const getModel = (library) => library.models.find((model) => model.stamp === library.model) ?? null;

/** Return the name of a model for people: its run and step, or the address of public encoders. */
export const describeModel = (model) => (model.step ? `${model.run}, step ${model.step}` : model.run);

export const fetchFilm = (id, model, signal) => requestJson(`/api/films/${encodeURIComponent(id)}`, { model }, signal);
export const fetchHits = (query, signal) => requestJson("/api/search", query, signal);
export const fetchHeat = (filmId, query, signal) => requestJson("/api/heat", { in: filmId, ...query }, signal);
export const fetchMap = (modality, model, signal) => requestJson("/api/map", { side: modality, model }, signal);
export const fetchUpload = (id, model, signal) => requestJson(`/api/uploads/${encodeURIComponent(id)}`, { model }, signal);

const buildFilmUrl = (id) => `/api/films/${encodeURIComponent(id)}`;
export const buildMediaUrl = (id) => `/media/${encodeURIComponent(id)}.mp4`;
export const buildFrameUrl = (id, seconds) => `${buildFilmUrl(id)}/frame.jpg?at=${Math.max(0, seconds).toFixed(2)}`;
export const buildStripUrl = (id, count) => `${buildFilmUrl(id)}/strip.jpg?count=${Math.min(60, Math.max(1, Math.round(count)))}`;

/** Upload a file; `onProgress` is called with the share that was sent, 0 to 1. Returns the server's description of it. */
export function sendFile(file, model, onProgress) {
  const request = new XMLHttpRequest(); // fetch does not report upload progress
  const form = new FormData();
  form.append("file", file, file.name);
  request.open("POST", model ? `/api/uploads?model=${encodeURIComponent(model)}` : "/api/uploads");
  request.responseType = "json";
  request.upload.addEventListener("progress", (event) => onProgress(event.lengthComputable ? event.loaded / event.total : 0));
  return new Promise((resolve, reject) => {
    request.addEventListener("error", () => reject(new ServerError(NO_ANSWER)));
    request.addEventListener("load", () => {
      if (request.status < 400) resolve(request.response);
      else reject(new ServerError(getErrorMessage(request.response, request.status), request.status));
    });
    request.send(form);
  });
}
