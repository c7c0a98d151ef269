// Elements from plain values. Text is always text: names of classes and files may hold markup.

export const byId = (id) => document.getElementById(id);

/** Create an element; attributes that are properties of it are set as such. */
export function element(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name in node) node[name] = value;
    else node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
}

/** A name of unknown origin, whose writing direction does not affect the text around it. */
export const foreign = (name) => element("bdi", {}, name);

/** Let the screen reader say something, without moving the focus. */
export function announce(text) {
  byId("live").textContent = text;
}

/** A probability as it is shown: never a certainty that the model did not claim. */
export function percent(probability) {
  if (probability > 0 && probability < 0.001) return "< 0.1 %";
  if (probability < 1 && probability > 0.999) return "> 99.9 %";
  return `${(100 * probability).toFixed(1)} %`;
}
