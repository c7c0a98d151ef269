// The models run on the server that this page comes from.

export const place = "on this server";
export const formats = "PNG, JPEG, TIFF, DICOM and others.";
export const links = [{ text: "API", href: "docs" }];

const RETRIES = 3; // when the server's queue is full
const LONGEST_WAIT = 10; // seconds

let token = "";

/** Use a token from now on; it is kept in this page's memory alone. */
export function setToken(value) {
  token = value;
}

/** Return what the server says about each of its models. */
export async function listModels() {
  const answer = await ask("v1/models", {});
  return answer.models;
}

/** Classify one image. */
export async function predict(model, file, { explain = false, signal } = {}) {
  const body = new FormData();
  body.append("images", file, file.name || "image");
  const address = `v1/models/${encodeURIComponent(model.name)}/predict?explain=${explain}`;
  const request = ask(address, { method: "POST", body, signal });
  const { milliseconds, predictions } = await request.catch((error) => blame(file, error));
  const { probabilities, labels, label, explanation, warning } = predictions[0];
  const { prediction_set: set, coverage, unfamiliar } = predictions[0];
  return {
    milliseconds,
    probabilities,
    labels: labels ?? [label],
    set,
    coverage,
    unfamiliar,
    warning,
    explanation: explanation && {
      label: explanation.label,
      method: explanation.method,
      url: `data:image/png;base64,${explanation.png}`,
    },
  };
}

/** Throw the error, or another one if it is the file that cannot be sent. */
async function blame(file, error) {
  if (error.name === "Unreachable") {
    // All of it: browsers return nothing, and no error, for a part of a file that is gone.
    await file.arrayBuffer().catch(() => {
      throw named("UnreadableImage", "This file cannot be opened. It may have changed.");
    });
  }
  throw error;
}

async function ask(address, request) {
  for (let tries = 0; ; tries += 1) {
    const sent = token;
    const response = await send(address, request);
    if (response.ok) return response.json();
    const refusal = await problem(response);
    // Asked last, after the body has arrived: another one may have been given at any time before.
    if (response.status === 401 && token !== sent) continue;
    const wait = Number(response.headers.get("Retry-After") ?? 1);
    if (response.status !== 503 || tries === RETRIES) throw refusal;
    await sleep(Math.min(wait || 1, LONGEST_WAIT), request.signal);
  }
}

async function send(address, request) {
  const headers = { Accept: "application/json" };
  if (token) headers.Authorization = `Bearer ${token}`;
  try {
    return await fetch(new URL(address, document.baseURI), { ...request, headers });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw named("Unreachable", "The server does not answer. Is it still running?");
  }
}

/** The error that a refusal stands for: an RFC 9457 document, or whatever a proxy says. */
async function problem(response) {
  const document_ = await response.json().catch(() => ({}));
  const text = document_.detail || document_.title;
  const message = text || `The server answered ${response.status} ${response.statusText}`.trim();
  const names = { 401: "TokenNeeded", 413: "UnreadableImage", 422: "UnreadableImage" };
  return named(names[response.status] ?? "Error", String(message));
}

function named(name, message) {
  return Object.assign(new Error(message), { name });
}

function sleep(seconds, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, 1000 * seconds);
    signal?.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(signal.reason);
    });
  });
}
