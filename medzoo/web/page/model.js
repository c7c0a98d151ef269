// The model picker, and what is known about the chosen model.

import { byId, element, foreign } from "./dom.js";

/** Fill the picker; models of one data set stand together. */
export function fillPicker(models) {
  const groups = new Map();
  for (const model of models) {
    const title = model.dataset?.title ?? "Own data";
    if (!groups.has(title)) groups.set(title, []);
    groups.get(title).push(model);
  }
  const options = [...groups].map(([title, members]) => {
    const choices = members.map((one) => element("option", { value: one.name }, one.name));
    return groups.size > 1 ? element("optgroup", { label: title }, ...choices) : choices;
  });
  const picker = byId("model");
  picker.replaceChildren(...options.flat());
  picker.disabled = models.length === 0;
}

/** Show what a model was trained on, how good it is, and what may be done with it. */
export function showFacts(model) {
  const { scores, input } = model;
  const images =
    scores && `measured on ${scores.images.toLocaleString("en")} ${scores.split} images`;
  byId("facts").replaceChildren(
    fact("Trained on", [foreign(model.trained_on || "not stated")], images ?? "not measured"),
    fact("AUC", ...score(scores?.auc)),
    fact("Accuracy", ...score(scores?.acc)),
    fact(
      "Input",
      [`${input.size} × ${input.size}, ${input.channels === 1 ? "gray" : "colour"}`],
      model.parameters ? `${short(model.parameters)} parameters` : "",
    ),
    fact("Licence", [foreign(model.licence || "not stated")], "of the weights"),
  );
  const digests = (model.weights_sha256 ?? []).map((digest) => digest.slice(0, 12)).join(", ");
  byId("model-notice").replaceChildren(
    foreign(model.name),
    digests ? ` · weights ${digests}` : "",
    model.notice ? ` · ${model.notice}` : "",
  );
}

function fact(term, values, below) {
  const small = element("dd", { className: "below" }, below);
  return element("div", {}, element("dt", {}, term), element("dd", {}, ...values), small);
}

/** A score with its interval, in figures and drawn on a scale from 0 to 1. */
function score(measured) {
  if (!measured) return [["–"], ""];
  const [low, high] = measured.interval ?? [measured.value, measured.value];
  const scale = element("span", { className: "scale", ariaHidden: "true" }, element("i"));
  scale.style.setProperty("--low", low);
  scale.style.setProperty("--high", high);
  scale.style.setProperty("--value", measured.value);
  const range = `${low.toFixed(3)}–${high.toFixed(3)}`;
  const interval = element("small", { title: "95 % interval" }, ` ${range}`);
  return [[element("strong", {}, measured.value.toFixed(3)), interval], scale];
}

function short(count) {
  return count < 1e6 ? `${Math.round(count / 1e3)} k` : `${(count / 1e6).toFixed(1)} M`;
}
