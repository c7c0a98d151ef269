// The files of this page: downloaded once, and kept for use without a network.

let document_;

/** Return what models.json says. */
export function about() {
  document_ ??= fetch("models.json").then((response) => {
    if (!response.ok) throw new Error(`models.json cannot be loaded (${response.status})`);
    return response.json();
  });
  document_.catch(() => (document_ = undefined));
  return document_;
}

/** Start the service worker, which answers without a network. */
export function keepOffline() {
  if (!navigator.serviceWorker || !window.isSecureContext) return;
  navigator.serviceWorker.register("sw.js").catch(() => {}); // the page works without it
}

/**
 * Return the content of a file of this page, from the cache if it is there.
 *
 * @param {string} path The file.
 * @param {number} bytes Its size.
 * @param {(fraction: number) => void} onProgress Is told how much is loaded.
 */
export async function download(path, bytes, onProgress = () => {}) {
  const cache = await openCache();
  const address = new URL(path, document.baseURI).href;
  const response = (await cache?.match(address)) ?? (await load(address, path));
  const content = new Uint8Array(bytes);
  const reader = response.body.getReader();
  let at = 0;
  for (let one = await reader.read(); !one.done; one = await reader.read()) {
    if (at + one.value.length > bytes) break;
    content.set(one.value, at);
    at += one.value.length;
    onProgress(at / bytes);
  }
  if (at !== bytes) throw new Error(`${path} is incomplete; load the page again`);
  await cache?.put(address, new Response(content)).catch(() => {}); // there may be no room
  return content;
}

async function load(address, path) {
  const response = await fetch(address).catch(() => null);
  if (!response?.ok) {
    throw new Error(`${path} cannot be loaded (${response?.status ?? "no connection"}); try again`);
  }
  return response;
}

async function openCache() {
  if (!window.caches) return null; // only over https or on this machine
  const { version } = await about();
  return caches.open(`medzoo ${new URL(".", document.baseURI)} ${version}`).catch(() => null);
}
