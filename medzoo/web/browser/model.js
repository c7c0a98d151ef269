// A model in onnxruntime-web: loaded once, checked against what it gave in Python, and run.

import { about, download } from "./storage.js";
import { prepare } from "./preprocess.js";

const SLOW = 50; // milliseconds of a run
const SLOW_RUNS = 2; // after which the graphics card is tried
const TOLERANCE = 1e-3; // of a logit or score, or of the largest if that is above 1
const CHECK_SIDE = 47; // pixels of the image that is used for the check

const networks = new Map();
const runtimes = new Map();

/** Return a model that is ready to run; loaded once, also if it is asked for twice. */
export function loadModel(model, onProgress = () => {}) {
  if (!networks.has(model.name)) {
    const network = Network.load(model, onProgress);
    networks.set(model.name, network);
    network.catch(() => networks.delete(model.name)); // so that it can be tried again
  }
  return networks.get(model.name);
}

class Network {
  constructor(model, content, session) {
    Object.assign(this, { model, content, session, backend: "wasm", slow: 0 });
  }

  static async load(model, onProgress) {
    const { runtime } = await about();
    const total = model.bytes + runtime.wasm.bytes;
    const loaded = [0, 0];
    const part = (index, bytes) => (fraction) => {
      loaded[index] = fraction * bytes;
      onProgress(Math.min(0.99, (loaded[0] + loaded[1]) / total));
    };
    const [content, ort] = await Promise.all([
      download(model.file, model.bytes, part(0, model.bytes)),
      runtimeOf("wasm", part(1, runtime.wasm.bytes)),
    ]);
    const session = await sessionOf(ort, "wasm", content);
    await check(model, session);
    onProgress(1);
    return new Network(model, content, session);
  }

  /**
   * Run one or several prepared images.
   *
   * @param {Float32Array} input N x channels x size x size.
   * @param {Float32Array?} scale M x height x width of the model's map: by what its places are
   *   multiplied. Then there is one image, and there are M logits of each class.
   * @returns {Promise<{logits: Float32Array, scores: Float32Array?}>} Logits, one image after the
   *   other, and how unfamiliar each image is, if the model says it.
   */
  async run(input, scale = null) {
    const start = performance.now();
    const result = await this.session(this.model, input, scale);
    if (performance.now() - start > SLOW && ++this.slow === SLOW_RUNS) {
      this.moveToCard().catch(() => {}); // the processor goes on
    }
    return result;
  }

  /** Move to the graphics card, if there is one that computes the same in less time. */
  async moveToCard() {
    const { runtime } = await about();
    if (!runtime.webgpu || !(await graphicsCard())) return;
    const ort = await runtimeOf("webgpu");
    const session = await sessionOf(ort, "webgpu", this.content);
    await check(this.model, session);
    const [card, processor] = [
      await timeOf(this.model, session),
      await timeOf(this.model, this.session),
    ];
    if (card < processor) Object.assign(this, { session, backend: "webgpu" });
  }
}

let adapter;

function graphicsCard() {
  adapter ??= Promise.resolve(navigator.gpu?.requestAdapter());
  return adapter;
}

/** Return onnxruntime-web for the processor or the graphics card. */
function runtimeOf(backend, onProgress) {
  if (!runtimes.has(backend)) {
    const runtime = loadRuntime(backend, onProgress);
    runtimes.set(backend, runtime);
    runtime.catch(() => runtimes.delete(backend));
  }
  return runtimes.get(backend);
}

async function loadRuntime(backend, onProgress) {
  const { module, glue, binary, bytes } = (await about()).runtime[backend];
  const address = (path) => new URL(path, document.baseURI).href;
  const [ort, wasmBinary] = await Promise.all([
    import(address(module)),
    download(binary, bytes, onProgress),
  ]);
  ort.env.wasm.wasmBinary = wasmBinary.buffer;
  ort.env.wasm.wasmPaths = { mjs: address(glue) };
  // Threads need cross-origin isolation, which few sites have.
  const cores = Math.min(4, navigator.hardwareConcurrency || 1);
  ort.env.wasm.numThreads = window.crossOriginIsolated ? cores : 1;
  ort.env.logLevel = "error";
  return ort;
}

/** Return a function that runs a model: (model, input, scale) -> {logits, scores}. */
async function sessionOf(ort, backend, content) {
  const session = await ort.InferenceSession.create(content, {
    executionProviders: [backend],
    graphOptimizationLevel: "all",
  });
  let last = Promise.resolve(); // one run at a time
  return (model, input, scale = null) => {
    const result = last.then(() => runSession(ort, session, model, input, scale));
    last = result.catch(() => {});
    return result;
  };
}

async function runSession(ort, session, model, input, scale) {
  const { channels, size } = model.input;
  const count = input.length / (channels * size ** 2);
  const feeds = { images: new ort.Tensor("float32", input, [count, channels, size, size]) };
  if (model.map) {
    const [height, width] = model.map;
    const values = scale ?? new Float32Array(height * width).fill(1);
    const scales = values.length / (height * width);
    feeds.scale = new ort.Tensor("float32", values, [scales, 1, height, width]);
  }
  const outputs = await session.run(feeds);
  const logits = outputs.logits.data.slice();
  const scores = outputs.ood_score?.data.slice();
  for (const tensor of [...Object.values(feeds), ...Object.values(outputs)]) tensor.dispose();
  return { logits, scores };
}

/** Compare the answer to a made-up image with that of Python; see `medzoo.web.network`. */
async function check(model, session) {
  const { logits, scores } = await session(model, checkInput(model));
  const { logits: expected, ood_score: score } = model.check;
  if (differ(logits, expected) || (score !== null && differ(scores, [score]))) {
    throw new Error(`${model.name} does not compute in this browser what it does in Python`);
  }
}

function differ(found, expected) {
  const largest = Math.max(1, ...expected.map(Math.abs));
  return expected.some((value, i) => !(Math.abs(value - found[i]) <= TOLERANCE * largest));
}

function checkInput(model) {
  const channels = [0, 1, 2].map((channel) =>
    Uint8Array.from({ length: CHECK_SIDE ** 2 }, (_, i) => {
      const [x, y] = [i % CHECK_SIDE, Math.floor(i / CHECK_SIDE)];
      return (x * x + 3 * x * y + y * y + 85 * channel) >> 3;
    }),
  );
  return prepare({ channels, side: CHECK_SIDE }, model.input);
}

async function timeOf(model, session) {
  const input = checkInput(model);
  await session(model, input);
  const start = performance.now();
  for (let i = 0; i < 3; i++) await session(model, input);
  return performance.now() - start;
}
