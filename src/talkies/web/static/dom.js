/** Builders of elements and formatters of text; the page never inserts strings of HTML. */

/** Return an element: `on…` adds a listener, true sets an empty attribute, null and false leave the attribute out. */
export function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name in element && (typeof value === "boolean" || name === "value")) element[name] = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** Replace the children of an element; if its heading had the focus, the new heading gets it. */
export function replaceContent(element, ...children) {
  const heading = element.querySelector("h1");
  const hadFocus = heading !== null && heading === document.activeElement;
  element.replaceChildren(...children);
  if (hadFocus) element.querySelector("h1")?.focus({ preventScroll: true });
}

const PATHS = {
  picture: "M3 5h18v14H3zM3 15l5-5 5 5 3-3 5 5",
  sound: "M4 10v4M8 6v12M12 9v6M16 4v16M20 10v4",
  both: "M3 5h10v14H3zM3 15l4-4 6 6M17 8v8M21 5v14",
  speaker: "M4 9v6h4l5 4V5L8 9zM16.5 8.5a5 5 0 0 1 0 7M19 6a9 9 0 0 1 0 12",
  mute: "M4 9v6h4l5 4V5L8 9zM17 9.5l5 5M22 9.5l-5 5",
  play: "M7 4.5v15l12-7.5z",
  pause: "M8 5v14M16 5v14",
  search: "M10.5 4a6.5 6.5 0 1 0 0 13 6.5 6.5 0 0 0 0-13zM15.5 15.5L21 21",
  drop: "M12 15V4M7 8.5L12 3.5l5 5M4 15v5h16v-5",
  plus: "M12 5v14M5 12h14",
  minus: "M5 12h14",
  whole: "M4 9V4h5M15 4h5v5M20 15v5h-5M9 20H4v-5",
};

/** Return an icon, hidden from screen readers. */
export function createIcon(name) {
  const namespace = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(namespace, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  svg.setAttribute("class", "icon");
  const path = document.createElementNS(namespace, "path");
  path.setAttribute("d", PATHS[name]);
  svg.append(path);
  return svg;
}

/** Return a group of radio buttons that look like one switch; options are `[value, text, icon, isDisabled]`. */
export function createChoice(legend, name, options, chosen, onChange) {
  return h("fieldset", { class: "choice" },
    h("legend", {}, legend),
    h("div", { class: "choice-row" }, options.map(([value, text, iconName, isDisabled]) =>
      h("label", { class: `choice-one side-${value}` },
        h("input", { type: "radio", name, value, checked: value === chosen, disabled: Boolean(isDisabled), onchange: () => onChange(value) }),
        h("span", {}, iconName ? createIcon(iconName) : null, text)))));
}

/** Select an option of a choice without calling its listener. */
export function setChoice(fieldset, value) {
  for (const input of fieldset.querySelectorAll("input")) input.checked = input.value === value;
}

/** Disable the options of a choice that are not among these values. */
export function limitChoice(fieldset, values) {
  for (const input of fieldset.querySelectorAll("input")) input.disabled = !values.includes(input.value);
}

/** Return a button with an icon, a text, or both. */
export function createButton(text, iconName, onclick, properties = {}) {
  return h("button", { type: "button", class: "button", onclick, ...properties }, iconName ? createIcon(iconName) : null, text ? h("span", {}, text) : null);
}

/** Format a time in a film: 0:07, 12:30, 1:02:03; with `tenths` 0:07.5. */
export function formatClock(seconds, tenths = false) {
  const unit = tenths ? 10 : 1;
  const ticks = Math.max(0, Math.floor(seconds * unit + 1e-6));
  const hours = Math.floor(ticks / unit / 3600);
  const minutes = Math.floor(ticks / unit / 60) % 60;
  const rest = (ticks / unit) % 60;
  const tail = (tenths ? rest.toFixed(1) : String(Math.floor(rest))).padStart(tenths ? 4 : 2, "0");
  return hours ? `${hours}:${String(minutes).padStart(2, "0")}:${tail}` : `${minutes}:${tail}`;
}

/** Format a duration: 42 s, 9 min 57 s, 1 h 32 min. */
export function formatDuration(seconds) {
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min${whole % 60 ? ` ${whole % 60} s` : ""}`;
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}

/** Format a number of things: 1 shot, 12 shots. */
export function formatCount(count, noun) {
  return `${count.toLocaleString("en")} ${noun}${count === 1 ? "" : "s"}`;
}

const CONTROLS = /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff]/gu;

/** Return a name without the characters that break its line or reverse its direction: they are written as \x1b or \u202e. */
export function escapeControls(text) {
  return text.replace(CONTROLS, (character) => {
    const code = character.codePointAt(0).toString(16);
    return code.length > 2 ? `\\u${code.padStart(4, "0")}` : `\\x${code.padStart(2, "0")}`;
  });
}

/** Return a film's title: its file name without folder, extension and underscores. */
export function getTitle(source) {
  const name = escapeControls(source.split("/").pop());
  return name.replace(/\.[a-z0-9]{2,4}$/i, "").replaceAll("_", " ") || name;
}

/** Format a message as a sentence: a capital unless it starts with a name, a full stop; commands and `…` become code. */
export function formatSentence(text) {
  const [, message, command] = text.match(/^(.*: )(talkies .*[^.])\.?$/s) ?? [null, text, null];
  const ended = command || /[.!?]$/.test(message) ? message : `${message}.`;
  const first = ended.split(/\s/, 1)[0].replace(/[.,:;]$/, "");
  const capitalised = /[./_\\`'\d-]/.test(first) ? ended : `${ended[0].toUpperCase()}${ended.slice(1)}`;
  const parts = capitalised.split("`").map((part, i) => (i % 2 ? h("code", {}, part) : part));
  return command ? [...parts, h("code", {}, command)] : parts;
}
