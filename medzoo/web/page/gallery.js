// The list of images: each with its name, and its answer or its error, beside it.

import { summary } from "./answer.js";
import { byId, element, foreign } from "./dom.js";
import { kindOf } from "./stage.js";

/** Add an item to the list; `actions.show(item)` and `actions.remove(item)` are its buttons. */
export function addRow(item, actions) {
  const thumb = element("img", { src: item.url, alt: "", loading: "lazy", decoding: "async" });
  const frame = element("span", { className: "thumb" }, thumb);
  thumb.addEventListener("error", () => {
    const kind = element("span", { className: "kind" }, kindOf(item.name).slice(0, 5));
    frame.replaceChildren(item.name.includes(".") ? kind : "?");
  });
  item.state = element("span", { className: "state" });
  item.button = element(
    "button",
    { type: "button", className: "show", onclick: () => actions.show(item) },
    frame,
    element(
      "span",
      { className: "text" },
      element("span", { className: "file" }, foreign(item.name)),
      item.state,
    ),
  );
  const remove = element(
    "button",
    { type: "button", className: "remove", title: "Remove", onclick: () => actions.remove(item) },
    "×",
  );
  remove.ariaLabel = `Remove ${item.name}`;
  item.row = element("li", {}, item.button, remove);
  byId("list").append(item.row);
}

/** Bring an item's row up to date. */
export function updateRow(item, shown, model, entry, threshold) {
  item.button.setAttribute("aria-current", String(item === shown));
  item.row.classList.toggle("failed", entry?.status === "failed");
  const texts = {
    waiting: () => "computing ...",
    answered: () => summary(model, entry.answer, threshold),
    failed: () => entry.error.message,
  };
  item.state.replaceChildren(foreign(texts[entry?.status]?.() ?? "waiting"));
}
