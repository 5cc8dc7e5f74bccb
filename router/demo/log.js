// What was said, drawn as it comes.

import { avatar, element } from "../dom.js";

const WAYS = { direct: "direct", shards: "through the shards" };

/** A marker of the way that something went. */
export function marker(way) {
  return element("span", { class: "way", "data-way": way, "data-testid": "way" }, WAYS[way]);
}

export class Log {
  #list;
  #scroll;
  #last = null;

  constructor(list, scroll) {
    this.#list = list;
    this.#scroll = scroll;
  }

  /** Adds what somebody said: text or an element; `way` marks how it came. */
  say({ from, content, way, time = Date.now() }) {
    const isFirst = this.#last !== from;
    this.#last = from;
    const at = new Date(time);
    const shown = at.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
    const said = element("div", { class: "said" }, element("span", { class: "text", "data-testid": "message-text" }, content));
    if (way) said.append(marker(way));
    return this.#add(element(
      "li",
      { class: `message${isFirst ? " first" : ""}`, "data-testid": "message", "data-from": from },
      avatar(from),
      element("div", { class: "head" }, element("span", { class: "from" }, from), element("time", { dateTime: at.toISOString() }, shown)),
      said,
    ));
  }

  /** Adds a line about what has happened. */
  line(text) {
    this.#last = null;
    return this.#add(element("li", { class: "notice-line", "data-testid": "line" }, text));
  }

  #add(item) {
    this.#list.append(item);
    this.#scroll.scrollTop = this.#scroll.scrollHeight;
    return item;
  }
}
