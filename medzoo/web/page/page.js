// The page: which images there are, which model is asked, and what it answered.
//
// Answers are kept per image and per model, and what is shown is worked out from them. So an
// answer that arrives late can only fill its own place, never that of a later question.

import * as backend from "./backend.js";
import { showAnswer, summary } from "./answer.js";
import { announce, byId, element, foreign } from "./dom.js";
import { addRow, updateRow } from "./gallery.js";
import { listen } from "./intake.js";
import { fillPicker, showFacts } from "./model.js";
import { Queue } from "./queue.js";
import { showSamples } from "./samples.js";
import { listenToOpacity, measure, showStage } from "./stage.js";

const queue = new Queue(backend.parallel ?? 4);
const state = { models: [], model: null, items: [], shown: null, all: false, threshold: 0.5 };
let asking = new AbortController(); // of the questions to the chosen model

// Showing

const entryOf = (item) => item?.entries.get(state.model?.name);

function render() {
  explain(state.shown); // first, since it changes what is said about the heat map
  for (const item of state.items) {
    updateRow(item, state.shown, state.model, entryOf(item), state.threshold);
  }
  const { shown, model, all, threshold } = state;
  byId("clear").hidden = state.items.length < 2;
  document.body.classList.toggle("has-images", state.items.length > 0);
  showStage(model, shown, entryOf(shown));
  showAnswer(model, shown, entryOf(shown), { all, threshold, place: backend.place, retry });
  if (shown) shown.measured ??= measure(shown).then(render);
}

function banner(text) {
  byId("banner").hidden = text === "";
  byId("banner").textContent = text;
}

// Images

// Where the image is below the list, as in page.css.
const onPhone = matchMedia("(max-width: 46rem)");

function take(files) {
  const added = files.map((file) => ({
    file,
    name: file.name || "image",
    url: URL.createObjectURL(file),
    entries: new Map(), // by the model's name
    shows: undefined, // whether the browser can show it; not known before it was tried
  }));
  if (added.length === 0) return added;
  for (const item of added) {
    state.items.push(item);
    addRow(item, { show, remove });
  }
  show(added[0]);
  added.forEach((item) => ask(item));
  return added;
}

function show(item) {
  state.shown = item;
  render();
  tell(item);
  if (onPhone.matches) byId("stage-heading").parentElement.scrollIntoView();
}

function drop(item) {
  const place = state.items.indexOf(item);
  if (place === -1) return false;
  state.items.splice(place, 1);
  item.row.remove();
  URL.revokeObjectURL(item.url);
  if (state.shown === item)
    state.shown = state.items[Math.min(place, state.items.length - 1)] ?? null;
  return true;
}

function remove(item) {
  if (!drop(item)) return;
  render();
  (state.shown?.button ?? byId("choose")).focus();
}

// Questions and answers

/** Ask the chosen model about an image, unless it was asked before. */
function ask(item) {
  const { model } = state;
  if (!model || item.entries.has(model.name)) return;
  const { signal } = asking;
  const entry = { status: "waiting" };
  item.entries.set(model.name, entry);
  const forget = () => item.entries.get(model.name) === entry && item.entries.delete(model.name);
  const job = async () => {
    if (signal.aborted || !state.items.includes(item)) return forget();
    const start = performance.now();
    try {
      entry.answer = await backend.predict(model, item.file, { explain: false, signal });
      entry.elapsed = performance.now() - start;
      entry.status = "answered";
    } catch (error) {
      if (error.name === "AbortError") return forget();
      entry.error = error;
      entry.status = "failed";
      if (error.name === "TokenNeeded") askForToken();
    }
    render();
    const finished = state.items.every((one) => entryOf(one) && entryOf(one).status !== "waiting");
    if (finished || item === state.shown) tell(state.shown, finished);
    return undefined;
  };
  queue.add(job, item === state.shown);
  render();
}

/** Ask for the heat map of the shown image: after its answer, which is not to wait for it. */
function explain(item) {
  const { model } = state;
  const entry = entryOf(item);
  if (entry?.status !== "answered" || entry.heat) return;
  const { signal } = asking;
  entry.heat = { status: "waiting" };
  queue.add(async () => {
    if (signal.aborted || item !== state.shown) {
      entry.heat = null;
      return;
    }
    try {
      const { explanation } = await backend.predict(model, item.file, { explain: true, signal });
      entry.heat = { status: "answered", explanation };
    } catch (error) {
      entry.heat = error.name === "AbortError" ? null : { status: "failed", error };
    }
    render();
  }, true);
}

function retry(item) {
  item.entries.delete(state.model.name);
  ask(item);
}

/** Say what is known about an image, and perhaps that all others are finished too. */
function tell(item, finished = false) {
  const entry = entryOf(item);
  const texts = {
    answered: () => `${summary(state.model, entry.answer, state.threshold)}. Not a diagnosis.`,
    failed: () => entry.error.message,
  };
  if (!texts[entry?.status]) return;
  const all =
    finished && state.items.length > 1 ? ` All ${state.items.length} images are done.` : "";
  announce(`${item.name}: ${texts[entry.status]()}${all}`);
}

// Models

function choose(name) {
  const model = state.models.find((one) => one.name === name);
  if (!model || model === state.model) return;
  asking.abort();
  asking = new AbortController();
  queue.clear();
  for (const item of state.items) {
    const entry = entryOf(item);
    if (entry?.status === "waiting") item.entries.delete(state.model.name);
    else if (entry?.heat?.status === "waiting") entry.heat = null;
  }
  state.model = model;
  state.all = false;
  byId("model").value = name;
  showFacts(model);
  prepare(model);
  if (state.shown) ask(state.shown);
  state.items.forEach(ask);
  render();
}

/** Let a backend that has to load the model begin with it. */
async function prepare(model) {
  const progress = (fraction) => {
    if (state.model !== model) return;
    const part = fraction === null ? "" : ` ${Math.round(100 * fraction)} %`;
    byId("place").textContent = fraction >= 1 ? placeText() : `Loading the model ...${part}`;
  };
  try {
    await backend.prepare?.(model, progress);
  } catch (error) {
    if (state.model === model) banner(error.message);
  }
  if (state.model === model) byId("place").textContent = placeText();
}

async function loadModels() {
  try {
    state.models = await backend.listModels();
  } catch (error) {
    if (error.name === "TokenNeeded") return askForToken();
    return banner(error.message);
  }
  banner(state.models.length === 0 ? "There are no models here." : "");
  fillPicker(state.models);
  const wanted = decodeURIComponent(location.hash.slice(1));
  const known = state.models.some((one) => one.name === wanted);
  choose(known ? wanted : state.models[0]?.name);
  // A sample takes the place of the one before, which is often not of the kind this model knows.
  let sample = null;
  return showSamples((await backend.listSamples?.()) ?? [], ({ model }, file) => {
    drop(sample);
    choose(model);
    [sample] = take([file]);
  });
}

// The token

let wrong = false; // whether a token was given and refused

function askForToken() {
  byId("token-form").hidden = false;
  byId("token-problem").textContent = wrong ? "The server does not accept this token." : "";
  byId("token").focus();
}

byId("token-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  backend.setToken(byId("token").value);
  wrong = true;
  byId("token-form").hidden = true;
  if (state.models.length === 0) await loadModels();
  else state.items.filter((item) => entryOf(item)?.error?.name === "TokenNeeded").forEach(retry);
});

// The start

const placeText = () => `Models run ${backend.place}`;

byId("place").textContent = placeText();
byId("formats").textContent = backend.formats ?? "";
byId("links").replaceChildren(
  ...(backend.links ?? []).map(({ text, href }) => element("a", { href }, foreign(text))),
);
byId("model").addEventListener("change", () => {
  choose(byId("model").value);
  history.replaceState(null, "", `#${encodeURIComponent(state.model.name)}`); // to share
});
byId("clear").addEventListener("click", () => [...state.items].forEach(remove));
byId("all").addEventListener("click", () => {
  state.all = !state.all;
  render();
});
byId("threshold").addEventListener("input", () => {
  state.threshold = byId("threshold").value / 100;
  byId("threshold-value").textContent = `${byId("threshold").value} %`;
  render();
});
listenToOpacity();
listen(take);
render();
loadModels();
