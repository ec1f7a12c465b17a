/** The form to search in words: what is to be found, and what is to be left out. */

import { createButton, formatSentence, h } from "./dom.js";
import { buildHash, navigate, parseRoute, toObject } from "./route.js";

const MAX_LENGTH = 300; // characters, as the server accepts
const MEETING = { video: "Words are compared with pictures.", audio: "Words are compared with sounds." };

/**
 * Return the form `{element, update, focus}` of a model; if the model has no words, a sentence that says why.
 * On the results of a moment or a file the words are combined with it, otherwise they are a search of their own.
 */
export function createWordsForm({ model, params, hasExample = false }) {
  if (!model?.text.length) return createReason(model);
  const text = createField("text", "In words", "a train passes", params);
  const not = createField("not", "But not", "rain", params);
  const reason = describeMeeting(model);
  const note = reason ? h("p", { class: "words-note soft small", id: "words-note" }, reason) : null;
  if (note) for (const { input } of [text, not]) input.setAttribute("aria-describedby", "words-note");
  text.input.required = !hasExample;

  let isTyping = false; // since the last search
  function search(event) {
    event.preventDefault();
    isTyping = false;
    const { view, params: current } = parseRoute();
    const kept = view === "search" ? toObject(current) : {};
    navigate(buildHash("search", { ...kept, n: null, text: text.input.value.trim() || null, not: not.input.value.trim() || null }));
  }

  const submit = createButton("Search in words", "search", null, { type: "submit" });
  const element = h("form", { class: "words", role: "search", "aria-label": "Words", onsubmit: search, oninput: () => { isTyping = true; } },
    text.label, not.label, submit, note);

  /** Take the words from the address, unless they are being typed. */
  function update(next) {
    if (isTyping) return;
    for (const { input } of [text, not]) input.value = readWords(next, input.name);
  }
  return { element, update, focus: () => text.input.focus() };
}

function createReason(model) {
  const reason = formatSentence(model?.no_words ?? "the library is not embedded yet, so it cannot be searched in words");
  const element = h("p", { class: "words-none soft small", tabindex: "-1" }, reason);
  return { element, update: () => {}, focus: () => element.focus() };
}

/** Return the words of an address in quotation marks, or an empty text: “a train” but not “rain”. */
export function describeWords(params) {
  const [text, not] = ["text", "not"].map((name) => params.getAll(name).map((words) => `“${words}”`).join(" and "));
  return [text, not ? `but not ${not}` : ""].filter(Boolean).join(" ");
}

function createField(name, title, example, params) {
  const input = h("input", {
    type: "search", name, maxlength: MAX_LENGTH, value: readWords(params, name), autocomplete: "off",
    placeholder: example, "aria-keyshortcuts": name === "text" ? "w" : null,
  });
  return { input, label: h("label", { class: `words-field words-${name}` }, h("span", {}, title), input) };
}

const readWords = (params, name) => params.get(name) ?? "";

function describeMeeting(model) {
  return model.text.length === 1 && model.sides.length > 1 ? MEETING[model.text[0]] : null;
}
