// Where images come from: the file dialogue, the camera, the clipboard, or a drop on the page.

import { byId } from "./dom.js";

/** Call `take(files)` for whatever the user brings. */
export function listen(take) {
  for (const id of ["choose", "photo"]) {
    const input = byId(id);
    input.addEventListener("change", () => {
      take([...input.files]);
      input.value = ""; // the same file can be chosen again
    });
  }
  byId("photo-button").hidden = navigator.maxTouchPoints === 0; // there, the camera is a file too
  byId("stage-empty").addEventListener("click", () => byId("choose").click());

  document.addEventListener("paste", (event) => {
    const files = [...(event.clipboardData?.files ?? [])];
    if (files.length === 0) return; // text, for example into the token field
    event.preventDefault();
    take(files);
  });

  const holdsFiles = (event) => event.dataTransfer?.types.includes("Files");
  const drop = byId("drop");
  window.addEventListener("dragover", (event) => {
    if (!holdsFiles(event)) return;
    event.preventDefault();
    drop.hidden = false;
  });
  window.addEventListener("dragleave", (event) => {
    if (event.relatedTarget === null) drop.hidden = true;
  });
  window.addEventListener("drop", (event) => {
    drop.hidden = true;
    if (!holdsFiles(event)) return;
    event.preventDefault();
    // Entries have to be asked for before this handler returns.
    const entries = [...event.dataTransfer.items].map((item) => item.webkitGetAsEntry?.());
    const files = [...event.dataTransfer.files];
    readEntries(entries.filter(Boolean)).then(
      (found) => take(found.length > 0 ? found : files),
      () => take(files),
    );
  });
}

/** The files among dropped entries, those in folders too; hidden files are left out. */
async function readEntries(entries) {
  const found = [];
  for (const entry of entries) {
    if (entry.isFile) {
      found.push(await new Promise((resolve, reject) => entry.file(resolve, reject)));
    } else {
      const inside = await filesOf(entry.createReader());
      found.push(...(await readEntries(inside.filter((one) => !one.name.startsWith(".")))));
    }
  }
  return found;
}

async function filesOf(reader) {
  const all = [];
  for (;;) {
    // A reader gives its entries in portions, and an empty one at the end.
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (some.length === 0) return all;
    all.push(...some);
  }
}
