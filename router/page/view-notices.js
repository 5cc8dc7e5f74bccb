// Plain notices over the page: said once, gone by themselves.

import { element } from "./dom.js";

const SHOWN_MS = 7_000;
const MOST = 3;

/** Shows a notice in this element. The same one twice is still one. */
export function showNotice(list, text) {
  for (const notice of list.children) {
    if (notice.firstChild.textContent === text) notice.remove();
  }
  while (list.children.length >= MOST) list.firstChild.remove();
  const close = element("button", { type: "button", "aria-label": "Dismiss" }, "✕");
  const notice = element("div", { class: "notice", "data-testid": "notice" }, element("span", {}, text), close);
  close.onclick = () => notice.remove();
  setTimeout(() => notice.remove(), SHOWN_MS);
  list.append(notice);
}
