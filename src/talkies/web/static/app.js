/** The entry point: shows the view that the address names, and the parts of the page that all views share. */

import * as api from "./api.js";
import { formatSentence, h } from "./dom.js";
import * as film from "./film.js";
import { createKeyHelp, listenForKeys } from "./keys.js";
import * as library from "./library.js";
import * as map from "./map.js";
import * as results from "./results.js";
import { buildHash, navigate, parseRoute, toObject } from "./route.js";
import { createPickButton, listenForDrops } from "./upload.js";

const VIEWS = { library, film, search: results, map };
const NAV_LINKS = { library: "library", film: "library", search: "", map: "map" };
const SCROLL_WAIT_MS = 3000; // for a view to grow to the scroll position it had

const main = document.getElementById("main");
const alertRegion = document.getElementById("alert");
const stage = document.getElementById("view");
const scrollPositions = new Map(); // address -> how far it was scrolled
let currentView = null;
let currentHash = location.hash;

/** Show an error's sentence in the alert region, where screen readers announce it. */
function fail(error) {
  const close = h("button", { type: "button", class: "alert-close", "aria-label": "Close", onclick: () => alertRegion.replaceChildren() }, "×");
  alertRegion.replaceChildren(h("p", {}, formatSentence(error.message)), close);
  if (!(error instanceof api.ServerError)) console.error(error);
  alertRegion.scrollIntoView({ block: "nearest" });
}

/** Show the view that the address names: update the current view if it can, otherwise open another. */
function show(event) {
  const route = parseRoute();
  scrollPositions.set(event ? new URL(event.oldURL).hash : currentHash, scrollY); // a view may have changed its own address
  currentHash = location.hash;
  alertRegion.replaceChildren();
  const isNewStep = !history.state?.seen; // a link was followed; otherwise the user went back or forward
  history.replaceState({ seen: true }, "");

  const key = getViewKey(route);
  if (currentView?.key === key) return void currentView.update(route);
  const isFirst = currentView === null;
  openView(route, key);
  markNavLinks(route.view);
  if (!isFirst) currentView.element.querySelector("h1")?.focus({ preventScroll: true });
  restoreScroll(isNewStep ? 0 : scrollPositions.get(currentHash) ?? 0);
}

function openView(route, key) {
  currentView?.leaving.abort();
  currentView?.leave?.();
  const leaving = new AbortController();
  const retitle = (name) => { document.title = `${name} · talkies`; };
  const view = VIEWS[route.view] ?? library;
  currentView = { key, leaving, ...view.open(route, { signal: leaving.signal, fail, retitle }) };
  retitle(currentView.title);
  stage.replaceChildren(currentView.element);
}

function markNavLinks(viewName) {
  for (const link of document.querySelectorAll("nav [data-view]")) {
    link.toggleAttribute("aria-current", link.dataset.view === NAV_LINKS[viewName]);
    if (link.hasAttribute("aria-current")) link.setAttribute("aria-current", "page");
    link.href = buildHash(link.dataset.view);
  }
}

/** Return what identifies a view: it is updated as long as this stays the same. */
function getViewKey({ view, id, params }) {
  if (view === "film") return `film/${id}`;
  if (view === "search") return `search/${params.get("film") ?? ""}/${params.get("at") ?? ""}/${params.get("upload") ?? ""}`;
  return VIEWS[view] ? view : "library";
}

/** Scroll to a position as soon as the page is tall enough. */
function restoreScroll(position) {
  scrollTo(0, position);
  if (!position) return;
  const sizes = new ResizeObserver(() => {
    if (document.documentElement.scrollHeight < position + innerHeight) return;
    scrollTo(0, position);
    sizes.disconnect();
  });
  sizes.observe(main);
  setTimeout(() => sizes.disconnect(), SCROLL_WAIT_MS);
}

/** Return the list to choose a model from, or null if there is at most one. */
async function createModelSelect() {
  const served = await api.fetchLibrary().catch(() => null);
  if (!served || served.models.length < 2) return null;
  const chosen = parseRoute().params.get("model") ?? served.model ?? "";
  const changeModel = (event) => {
    const { view, id, params } = parseRoute();
    navigate(buildHash(view, { ...toObject(params), model: event.target.value }, id));
    location.reload();
  };
  return h("select", { class: "model", "aria-label": "Model", onchange: changeModel }, [
    served.model ? null : h("option", { value: "" }, "choose a model"),
    ...served.models.map((model) =>
      h("option", { value: model.stamp, selected: model.stamp === chosen }, api.describeModel(model))),
  ]);
}

function start() {
  history.scrollRestoration = "manual";
  listenForDrops(fail);
  const keyHelp = createKeyHelp();
  const tools = document.getElementById("tools");
  tools.append(createPickButton("Search by file", { class: "button", "aria-label": "Search by file" }), keyHelp.element);
  createModelSelect().then((select) => { if (select) tools.prepend(select); });
  listenForKeys(() => currentView, {
    "?": keyHelp.show,
    "/": () => {
      addEventListener("hashchange", () => currentView.keys["/"]?.(), { once: true });
      navigate(buildHash("library"));
    },
  });
  document.querySelector(".skip").addEventListener("click", (event) => { event.preventDefault(); main.focus(); });
  addEventListener("hashchange", show);
  show();
}

start();
