// The centre square of the shown image, as the model sees it, with the heat map over it.

import { byId, element, foreign } from "./dom.js";

const COARSE = 160; // pixels of a side below which single pixels are shown as squares

/** What the browser can tell about a file whose image it cannot show. */
export function kindOf(name) {
  const suffix = /\.([a-z0-9]{2,5})$/i.exec(name)?.[1] ?? "";
  return suffix ? suffix.toUpperCase() : "This format";
}

/** Load a file's image; `item.shows` becomes false where the browser cannot. */
export async function measure(item) {
  const probe = new Image();
  probe.src = item.url;
  try {
    await probe.decode();
    item.shows = true;
    item.coarse = Math.min(probe.naturalWidth, probe.naturalHeight) < COARSE;
    item.pixels = `${probe.naturalWidth} × ${probe.naturalHeight}`;
  } catch {
    item.shows = false;
  }
}

/** Show an item (or nothing) with the heat map of its entry. */
export function showStage(model, item, entry) {
  const image = byId("shown");
  byId("stage-empty").hidden = Boolean(item);
  image.hidden = !item?.shows;
  byId("unshowable").hidden = !item || item.shows !== false;
  byId("square").classList.toggle("filled", Boolean(item));
  if (item?.shows) {
    if (image.src !== item.url) image.src = item.url;
    image.alt = `The centre square of ${item.name}`;
    image.classList.toggle("coarse", item.coarse);
  } else if (item?.shows === false) {
    const still = entry?.status === "answered" ? " The model can read it." : "";
    byId("unshowable").textContent =
      `${kindOf(item.name)} cannot be shown by this browser.${still}`;
  }
  const seen = item?.shows && model;
  byId("seen").textContent = seen
    ? ` of ${item.pixels}; the model sees ${model.input.size} × ${model.input.size} pixels`
    : "";
  showHeat(entry?.heat ?? {});
}

function showHeat({ status, explanation = null, error }) {
  const heat = byId("heat");
  const note = byId("heat-note");
  heat.hidden = explanation === null;
  byId("legend").hidden = explanation === null;
  byId("opacity").disabled = explanation === null;
  if (explanation) {
    if (heat.src !== explanation.url) heat.src = explanation.url;
    heat.alt = `Heat map: where the image supports ${explanation.label}`;
    note.replaceChildren(
      "Where the image supports ",
      element("b", {}, foreign(explanation.label)),
      explanation.method ? `, by ${explanation.method}` : "",
    );
  } else {
    heat.removeAttribute("src");
    const texts = { waiting: "computing ...", answered: "This model gives no heat map." };
    note.replaceChildren(foreign(error?.message ?? texts[status] ?? ""));
  }
}

/** Let the slider decide how much of the heat map is seen. */
export function listenToOpacity() {
  const slider = byId("opacity");
  const apply = () => {
    byId("heat").style.opacity = slider.value / 100;
    byId("opacity-value").textContent = `${slider.value} %`;
  };
  slider.addEventListener("input", apply);
  apply();
}
