/** Keyboard shortcuts, and the dialog that lists them. */

import { createButton, h } from "./dom.js";
import { toggleSound } from "./preview.js";

const SHORTCUTS = [
  ["/", "filter the films"],
  ["w", "search in words: in the library and in results"],
  ["Space", "play or pause"],
  ["← →", "one second back or forward; in results: previous or next; on the map: the neighbouring moment"],
  ["Shift ← →", "one shot back or forward"],
  ["p", "more like this by picture"],
  ["s", "more like this by sound"],
  ["Enter", "open the moment"],
  ["m", "sound of previews on or off"],
  ["+ − 0", "on the map: zoom in, zoom out, show everything"],
  ["?", "this list"],
];

/** Return the button that opens the list of shortcuts, and the function that does. */
export function createKeyHelp() {
  const dialog = h("dialog", { class: "keys", "aria-label": "Keyboard shortcuts" },
    h("h2", {}, "Keyboard shortcuts"),
    h("dl", {}, SHORTCUTS.map(([keys, action]) =>
      h("div", {}, h("dt", {}, keys.split(" ").map((key) => h("kbd", {}, key))), h("dd", {}, action)))),
    h("form", { method: "dialog" }, h("button", { class: "button", autofocus: true }, "Close")));
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
  document.body.append(dialog);
  const show = () => (dialog.open ? dialog.close() : dialog.showModal());
  return { show, element: createButton("?", null, show, { class: "button round", "aria-label": "Keyboard shortcuts", title: "Keyboard shortcuts (?)", "aria-keyshortcuts": "?" }) };
}

/** Listen for the shortcuts of the current view, then for the global ones. */
export function listenForKeys(getView, globalKeys) {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    if (document.querySelector("dialog[open]") && event.key !== "?") return;
    if (isForElement(event)) return;
    const action = getView()?.keys?.[event.key] ?? globalKeys[event.key] ?? (event.key === "m" ? toggleSound : null);
    if (!action) return;
    event.preventDefault();
    action(event);
  }, { capture: true });
}

/** Return whether the focused element handles this key itself. */
function isForElement(event) {
  const element = event.target;
  if (element.matches("input[type=search], input[type=number], input[type=text], textarea, select")) return true;
  if (element.matches("input[type=radio], input[type=checkbox]")) return event.key === " " || event.key.startsWith("Arrow");
  if (event.key === " " || event.key === "Enter") return element.matches("button, a[href], summary");
  return element.matches("audio, .query-file video") && (event.key === " " || event.key.startsWith("Arrow"));
}
