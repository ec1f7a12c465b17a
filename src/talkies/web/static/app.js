/** The page: shows the view that the address names, and what all views share. */

import * as api from "./api.js";
import { h, sentence } from "./dom.js";
import * as film from "./film.js";
import { keyList, listen } from "./keys.js";
import * as library from "./library.js";
import * as map from "./map.js";
import * as results from "./results.js";
import { current, go, hashOf, plainOf } from "./route.js";
import { pickButton, takeDrops } from "./upload.js";

const VIEWS = { library, film, search: results, map };
const NAV = { library: "library", film: "library", search: "", map: "map" };

const main = document.getElementById("main");
const alertRegion = document.getElementById("alert");
const stage = document.getElementById("view");
const depths = new Map(); // address -> how far it was scrolled
let shown = null;
let before = location.hash;

/** Show a failure's sentence where it is read out. */
function fail(error) {
  const close = h("button", { type: "button", class: "alert-close", "aria-label": "Close", onclick: () => alertRegion.replaceChildren() }, "×");
  alertRegion.replaceChildren(h("p", {}, sentence(error.message)), close);
  if (!(error instanceof api.Refusal)) console.error(error);
  alertRegion.scrollIntoView({ block: "nearest" });
}

/** Show the view that the address names: as it stands where it can follow, made anew where it is another. */
function show(event) {
  const route = current();
  const view = VIEWS[route.view] ?? library;
  depths.set(event ? new URL(event.oldURL).hash : before, scrollY); // a view may have noted something in its address
  before = location.hash;
  alertRegion.replaceChildren();
  const isStep = !history.state?.seen; // a link was followed; else one came back along the history
  history.replaceState({ seen: true }, "");
  const key = keyOf(route);
  if (shown?.key === key) return shown.update(route);
  const isFirst = shown === null;
  shown?.leaving.abort();
  shown?.leave?.();
  const leaving = new AbortController();
  const retitle = (name) => { document.title = `${name} · talkies`; };
  shown = { key, leaving, ...view.open(route, { signal: leaving.signal, fail, retitle }) };
  retitle(shown.title);
  stage.replaceChildren(shown.element);
  for (const link of document.querySelectorAll("nav [data-view]")) {
    link.toggleAttribute("aria-current", link.dataset.view === NAV[route.view]);
    if (link.hasAttribute("aria-current")) link.setAttribute("aria-current", "page");
    link.href = hashOf(link.dataset.view);
  }
  if (!isFirst) shown.element.querySelector("h1")?.focus({ preventScroll: true });
  scrollBack(isStep ? 0 : depths.get(before) ?? 0);
}

function keyOf({ view, id, params }) {
  if (view === "film") return `film/${id}`;
  if (view === "search") return `search/${params.get("film") ?? ""}/${params.get("at") ?? ""}/${params.get("upload") ?? ""}`;
  return VIEWS[view] ? view : "library";
}

/** Scroll to where one was, as soon as there is so much to scroll. */
function scrollBack(depth) {
  scrollTo(0, depth);
  if (!depth) return;
  const grown = new ResizeObserver(() => {
    if (document.documentElement.scrollHeight < depth + innerHeight) return;
    scrollTo(0, depth);
    grown.disconnect();
  });
  grown.observe(main);
  setTimeout(() => grown.disconnect(), 3000);
}

/** Show which model is asked where there are several. */
async function modelChoice() {
  const shelf = await api.library().catch(() => null);
  if (!shelf || shelf.models.length < 2) return null;
  const chosen = current().params.get("model") ?? shelf.model ?? "";
  const label = (one) => `${one.run.split("/").pop()}, step ${one.step}`;
  return h("select", { class: "model", "aria-label": "Model", onchange: (event) => {
    const { view, id, params } = current();
    go(hashOf(view, { ...plainOf(params), model: event.target.value }, id));
    location.reload();
  } }, [
    shelf.model ? null : h("option", { value: "" }, "choose a model"),
    ...shelf.models.map((one) => h("option", { value: one.stamp, selected: one.stamp === chosen }, label(one))),
  ]);
}

function start() {
  history.scrollRestoration = "manual";
  takeDrops(fail);
  const keys = keyList();
  document.getElementById("tools").append(pickButton("Search by file", { class: "button", "aria-label": "Search by file" }), keys.element);
  modelChoice().then((select) => { if (select) document.getElementById("tools").prepend(select); });
  listen(() => shown, {
    "?": keys.show,
    "/": () => {
      addEventListener("hashchange", () => shown.keys["/"]?.(), { once: true });
      go(hashOf("library"));
    },
  });
  document.querySelector(".skip").addEventListener("click", (event) => { event.preventDefault(); main.focus(); });
  addEventListener("hashchange", show);
  show();
}

start();
