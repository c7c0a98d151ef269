// Probabilities of the classes as bars, best first.

import { byId, element, foreign, percent } from "./dom.js";

const TOP = 5;

/** What the answer says in a few words, for the list of images and for screen readers. */
export function summary(model, answer, threshold) {
  const words = decision(model, answer, threshold);
  return answer.unfamiliar ? `unfamiliar image: ${words}` : words;
}

function decision(model, answer, threshold) {
  if (!model.multi_label) {
    const best = answer.probabilities[0];
    return `${nameOf(best.label, model)}, ${percent(best.probability)}`;
  }
  const found = above(answer, threshold);
  if (found.length === 0) return `nothing above ${Math.round(100 * threshold)} %`;
  return found.map((one) => `${one.label}, ${percent(one.probability)}`).join("; ");
}

/** A class as it is said outside of the bars: a mere number needs to say what it is. */
function nameOf(label, model) {
  return model.classes_are ? `${model.classes_are}: ${label}` : label;
}

function above(answer, threshold) {
  return answer.probabilities.filter((one) => one.probability > threshold);
}

let last = []; // what is shown

/** Show an entry: `{status: "waiting" | "answered" | "failed", answer, error, elapsed, heat}`. */
export function showAnswer(model, item, entry, { all, threshold, place, retry }) {
  const now = [entry, entry?.status, model, item, all, threshold];
  if (now.every((value, i) => value === last[i])) return; // nothing moves without a reason
  const isNew = entry !== last[0] || entry?.status !== last[1];
  last = now;
  const answered = entry?.status === "answered";
  const rows = answered
    ? entry.answer.probabilities
    : (model?.classes ?? []).map((label) => ({ label, probability: null }));
  const shown = all || rows.length <= TOP + 1 ? rows : rows.slice(0, TOP);
  const limit = model?.multi_label ? threshold : null;
  byId("verdict").replaceChildren(...verdict(model, item, entry, threshold, retry));
  byId("bars").replaceChildren(
    ...shown.map((row, rank) => bar(row, limit, answered && rank === 0)),
  );
  byId("bars").classList.toggle("blank", !answered);
  byId("bars").classList.toggle("new", answered && isNew);
  byId("threshold-control").hidden = limit === null;
  const button = byId("all");
  button.hidden = rows.length <= TOP + 1;
  button.textContent = all ? `Show the top ${TOP}` : `Show all ${rows.length} classes`;
  button.ariaExpanded = String(Boolean(all));
  byId("latency").textContent = answered ? latency(entry, place) : "";
  byId("scope").replaceChildren(...(model && answered ? scope(model) : []));
}

function verdict(model, item, entry, threshold, retry) {
  const mark = element("p", { className: "mark" }, "Not a diagnosis");
  if (!item) return [element("p", { className: "none" }, "Add an image"), mark];
  if (entry?.status === "failed") return failure(item, entry.error, retry);
  if (entry?.status !== "answered")
    return [element("p", { className: "none" }, "Computing ..."), mark];
  const text = entry.answer.warning;
  const warning = text ? [element("p", { className: "warning" }, foreign(text))] : [];
  const set = predictionSet(entry.answer);
  if (!model.multi_label) {
    const best = entry.answer.probabilities[0];
    const figure = element("span", { className: "figure" }, percent(best.probability));
    const name = foreign(nameOf(best.label, model));
    return [element("p", { className: "best" }, name, figure), ...set, mark, ...warning];
  }
  const found = above(entry.answer, threshold);
  const count = found.length === 1 ? "1 class" : `${found.length || "No"} classes`;
  const names = found.map((one) => element("li", {}, foreign(one.label)));
  return [
    element("p", { className: "best" }, `${count} above threshold`),
    element("ul", { className: "found" }, ...names),
    ...set,
    mark,
    ...warning,
  ];
}

/** The classes among which the truth is as often as the model was calibrated for. */
function predictionSet({ set, coverage }) {
  if (!set) return [];
  const members = set.flatMap((label, i) => (i ? ["; ", foreign(label)] : [foreign(label)]));
  const title = `${Number((100 * coverage).toPrecision(6))} % set: `;
  return [element("p", { className: "set" }, title, ...(set.length ? members : ["(none)"]))];
}

function failure(item, error, retry) {
  const unreadable = error.name === "UnreadableImage";
  const title = unreadable ? "This image cannot be read" : "No answer";
  const parts = [
    element("p", { className: "best failed" }, title),
    element("p", { className: "reason" }, foreign(error.message)),
  ];
  if (!unreadable) {
    parts.push(element("button", { type: "button", onclick: () => retry(item) }, "Try again"));
  }
  return parts;
}

function bar({ label, probability }, limit, best) {
  const value = probability === null ? "–" : percent(probability);
  const over = limit !== null && probability !== null && probability > limit;
  const track = element("span", { className: "track", ariaHidden: "true" }, element("i"));
  track.style.setProperty("--p", probability ?? 0);
  if (limit !== null) {
    track.classList.add("limited");
    track.style.setProperty("--limit", limit);
  }
  const name = element("span", { className: "name" }, foreign(label));
  if (over) name.append(element("span", { className: "over" }, "above threshold"));
  const row = element("li", {}, name, element("span", { className: "value" }, value), track);
  row.classList.toggle("strong", limit === null ? best : over);
  return row;
}

function latency({ answer, elapsed }, place) {
  const model = answer.milliseconds;
  const all = Math.round(elapsed);
  const where = place.split(";")[0];
  if (model === null || model === undefined) return `Answered in ${all} ms, ${where}`;
  return `Model ${model.toFixed(model < 100 ? 1 : 0)} ms · ${all} ms in all, ${where}`;
}

/** What a model cannot say: that it was shown something else. */
function scope({ dataset, trained_on: trainedOn }) {
  const kind = dataset?.title ?? trainedOn;
  const known = kind ? ["those of ", foreign(kind)] : ["those it was trained on"];
  return ["Meaningful only for images like ", ...known, "; the model answers for any other, too."];
}
