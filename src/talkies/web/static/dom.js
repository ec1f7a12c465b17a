/** Elements, icons and words: the page is made of these, never of strings of HTML. */

/** Return an element: `on…` listens, `class` and attributes are set, true is an empty attribute, null is left out. */
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

/** Put children in the place of an element's own; where its heading had the focus, the new one has it then. */
export function swap(element, ...children) {
  const heading = element.querySelector("h1");
  const isRead = heading !== null && heading === document.activeElement;
  element.replaceChildren(...children);
  if (isRead) element.querySelector("h1")?.focus({ preventScroll: true });
}

const PATHS = {
  picture: "M3 5h18v14H3zM3 15l5-5 5 5 3-3 5 5",
  sound: "M4 10v4M8 6v12M12 9v6M16 4v16M20 10v4",
  both: "M3 5h10v14H3zM3 15l4-4 6 6M17 8v8M21 5v14",
  speaker: "M4 9v6h4l5 4V5L8 9zM16.5 8.5a5 5 0 0 1 0 7M19 6a9 9 0 0 1 0 12",
  mute: "M4 9v6h4l5 4V5L8 9zM17 9.5l5 5M22 9.5l-5 5",
  play: "M7 4.5v15l12-7.5z",
  pause: "M8 5v14M16 5v14",
  open: "M14 4h6v6M20 4l-9 9M18 14v5H5V6h5",
  search: "M10.5 4a6.5 6.5 0 1 0 0 13 6.5 6.5 0 0 0 0-13zM15.5 15.5L21 21",
  drop: "M12 15V4M7 8.5L12 3.5l5 5M4 15v5h16v-5",
  close: "M5 5l14 14M19 5L5 19",
  plus: "M12 5v14M5 12h14",
  minus: "M5 12h14",
  whole: "M4 9V4h5M15 4h5v5M20 15v5h-5M9 20H4v-5",
  film: "M4 4h16v16H4zM8 4v16M16 4v16M4 9h4M4 15h4M16 9h4M16 15h4",
  back: "M15 5l-7 7 7 7",
};

/** Return an icon, which says nothing to those who do not see it. */
export function icon(name) {
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  svg.setAttribute("class", "icon");
  const path = document.createElementNS(space, "path");
  path.setAttribute("d", PATHS[name]);
  svg.append(path);
  return svg;
}

/** Return a group of choices of which one holds: radio buttons that look like one switch. */
export function choice(legend, name, options, chosen, onpick) {
  return h("fieldset", { class: "choice" },
    h("legend", {}, legend),
    h("div", { class: "choice-row" }, options.map(([value, text, mark, off]) =>
      h("label", { class: `choice-one side-${value}` },
        h("input", { type: "radio", name, value, checked: value === chosen, disabled: Boolean(off), onchange: () => onpick(value) }),
        h("span", {}, mark ? icon(mark) : null, text)))));
}

/** Say which choice holds, without a word to who listens to it. */
export function choose(fieldset, value) {
  for (const input of fieldset.querySelectorAll("input")) input.checked = input.value === value;
}

/** Return a button. */
export function button(text, mark, onclick, properties = {}) {
  return h("button", { type: "button", class: "button", onclick, ...properties }, mark ? icon(mark) : null, text ? h("span", {}, text) : null);
}

/** Return a time in a film: 0:07, 12:30, 1:02:03; with `tenths` also 0:07.5. */
export function clock(seconds, tenths = false) {
  const unit = tenths ? 10 : 1;
  const whole = Math.max(0, Math.floor(seconds * unit + 1e-6));
  const [hours, minutes, rest] = [Math.floor(whole / unit / 3600), Math.floor(whole / unit / 60) % 60, (whole / unit) % 60];
  const tail = (tenths ? rest.toFixed(1) : String(Math.floor(rest))).padStart(tenths ? 4 : 2, "0");
  return hours ? `${hours}:${String(minutes).padStart(2, "0")}:${tail}` : `${minutes}:${tail}`;
}

/** Return a length in words: 42 s, 9 min 57 s, 1 h 32 min. */
export function length(seconds) {
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min${whole % 60 ? ` ${whole % 60} s` : ""}`;
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}

/** Return a number of things in words: 1 shot, 12 shots. */
export function plural(count, thing) {
  return `${count.toLocaleString("en")} ${thing}${count === 1 ? "" : "s"}`;
}

/** Return the name of a film for people: its file's name without folder, ending and underscores. */
export function titleOf(source) {
  const name = source.split(/[\\/]/).pop();
  return name.replace(/\.[a-z0-9]{2,4}$/i, "").replaceAll("_", " ") || name;
}

/** Return a sentence with a capital (unless a name begins it) and a full stop; a command, or what is in ` `, is code. */
export function sentence(text) {
  const [, told, command] = text.match(/^(.*: )(talkies .*[^.])\.?$/s) ?? [null, text, null];
  const whole = command || /[.!?]$/.test(told) ? told : `${told}.`;
  const first = whole.split(/\s/, 1)[0].replace(/[.,:;]$/, "");
  const begun = /[./_\\`'\d-]/.test(first) ? whole : `${whole[0].toUpperCase()}${whole.slice(1)}`;
  const parts = begun.split("`").map((part, i) => (i % 2 ? h("code", {}, part) : part));
  return command ? [...parts, h("code", {}, command)] : parts;
}
