// Images to click, for visitors who have none at hand.

import { byId, element } from "./dom.js";

/** Show samples; `use(sample, file)` is called for the one that is clicked. */
export function showSamples(samples, use) {
  byId("samples").hidden = samples.length === 0;
  byId("sample-list").replaceChildren(
    ...samples.map((sample) => {
      const image = element("img", { src: sample.url, alt: sample.title, title: sample.title });
      image.classList.toggle("coarse", Boolean(sample.pixelated));
      const load = async () => {
        const content = await (await fetch(sample.url)).blob();
        use(sample, new File([content], sample.title, { type: content.type }));
      };
      return element("li", {}, element("button", { type: "button", onclick: load }, image));
    }),
  );
  const credits = new Set(samples.map((sample) => sample.credit).filter(Boolean));
  byId("credit").textContent = [...credits].join("; ");
}
