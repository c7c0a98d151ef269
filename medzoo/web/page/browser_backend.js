// The models run in the browser: nothing is uploaded, and nothing is asked of a server but files.

import { centralSquare } from "./browser/decode.js";
import { loadModel } from "./browser/model.js";
import { explain as explained, heatMapUrl } from "./browser/heatmap.js";
import { prepare as toInput } from "./browser/preprocess.js";
import { predictionSet } from "./browser/sets.js";
import { about, keepOffline } from "./browser/storage.js";

export const place = "in your browser; nothing is uploaded";
export const parallel = 1; // the processor is the visitor's

const THRESHOLD = 0.5; // of labels that are decided for, as in medzoo.predict

/** Return what is known of each model. */
export async function listModels() {
  return (await about()).models;
}

/** Return the images to try. */
export async function listSamples() {
  const { samples } = await about();
  return samples.map(({ file, ...rest }) => ({
    ...rest,
    url: new URL(file, document.baseURI).href,
  }));
}

/** Load a model before it is asked about an image. */
export async function prepare(model, onProgress = () => {}) {
  await loadModel(model, onProgress);
}

/** Classify one image. */
export async function predict(model, file, { explain = false, signal } = {}) {
  const network = await loadModel(model);
  signal?.throwIfAborted();
  const start = performance.now();
  const square = await centralSquare(file);
  const input = toInput(square, model.input);
  const { logits, scores } = await network.run(input);
  if (!logits.every(Number.isFinite)) throw new Error("the model gives no number for this image");
  const values = probabilities(logits, model);
  const order = values.map((_, index) => index).sort((a, b) => values[b] - values[a]);
  const ranked = order.map((index) => ({
    label: model.classes[index],
    probability: values[index],
  }));
  const labels = model.multi_label
    ? ranked.filter(({ probability }) => probability > THRESHOLD).map(({ label }) => label)
    : [ranked[0].label];
  const milliseconds = performance.now() - start;
  let explanation = null;
  if (explain) {
    signal?.throwIfAborted();
    const best = order[0];
    const { method, map } = await explained(network, input, logits, best, signal);
    explanation = { label: model.classes[best], method, url: await heatMapUrl(map) };
  }
  const unfamiliar = scores ? scores[0] > 1 : undefined;
  const words = unfamiliar && (await about()).unfamiliar.replace("{:.2f}", scores[0].toFixed(2));
  return {
    milliseconds,
    probabilities: ranked,
    labels,
    set: predictionSet(ranked, model),
    coverage: model.conformal?.coverage,
    oodScore: scores?.[0],
    unfamiliar,
    warning: [square.warning, words].filter(Boolean).join("; ") || null,
    explanation,
  };
}

function probabilities(logits, model) {
  const scaled = Array.from(logits, (logit) => logit / model.temperature);
  if (model.multi_label) return scaled.map((value) => 1 / (1 + Math.exp(-value)));
  const largest = Math.max(...scaled);
  const powers = scaled.map((value) => Math.exp(value - largest));
  const total = powers.reduce((sum, value) => sum + value, 0);
  return powers.map((value) => value / total);
}

keepOffline();
