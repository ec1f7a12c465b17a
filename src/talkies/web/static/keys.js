/** The keyboard: what each key does, and the page that tells it. */

import { button, h } from "./dom.js";
import { toggleSound } from "./preview.js";

const TOLD = [
  ["/", "filter the films"],
  ["Space", "play and pause"],
  ["← →", "one second back and on; in results the hit before and after; on the map the neighbour"],
  ["Shift ← →", "one shot back and on"],
  ["p", "more like this by picture"],
  ["s", "more like this by sound"],
  ["Enter", "open the moment"],
  ["m", "sound of previews on and off"],
  ["+ − 0", "on the map: closer, farther, the whole"],
  ["?", "this list"],
];

/** Return the button that opens the list of keys, which is made once. */
export function keyList() {
  const dialog = h("dialog", { class: "keys", "aria-label": "Keys" },
    h("h2", {}, "Keys"),
    h("dl", {}, TOLD.map(([key, what]) => h("div", {}, h("dt", {}, key.split(" ").map((one) => h("kbd", {}, one))), h("dd", {}, what)))),
    h("form", { method: "dialog" }, h("button", { class: "button", autofocus: true }, "Close")));
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
  document.body.append(dialog);
  const show = () => (dialog.open ? dialog.close() : dialog.showModal());
  return { show, element: button("?", null, show, { class: "button round", "aria-label": "Keys", title: "Keys (?)", "aria-keyshortcuts": "?" }) };
}

/** Listen to keys: those of the view that is shown, then those of every view. */
export function listen(shown, everywhere) {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    if (document.querySelector("dialog[open]") && event.key !== "?") return;
    if (isTyped(event)) return;
    const act = shown()?.keys?.[event.key] ?? everywhere[event.key] ?? (event.key === "m" ? toggleSound : null);
    if (!act) return;
    event.preventDefault();
    act(event);
  }, { capture: true });
}

/** Return whether the element that has the focus wants this key for itself. */
function isTyped(event) {
  const element = event.target;
  if (element.matches("input[type=search], input[type=number], input[type=text], textarea, select")) return true;
  if (element.matches("input[type=radio], input[type=checkbox]")) return event.key === " " || event.key.startsWith("Arrow");
  if (event.key === " " || event.key === "Enter") return element.matches("button, a[href], summary");
  return element.matches("audio, .query-file video") && (event.key === " " || event.key.startsWith("Arrow"));
}
