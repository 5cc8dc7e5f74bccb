// Draws a timeline. Elements are kept by the key of their item, so that a change redraws only what
// changed and a screen reader hears only what is new.

import { avatar, element } from "./dom.js";

const TOGETHER_MS = 5 * 60_000;
const NEAR_END_PX = 80;

const STATUS = {
  sending: () => "Sending…",
  waiting: () => "Waiting for the connection…",
  delivered: () => "✓ Delivered",
  queued: (to) => `Queued: ${to} gets it on coming back`,
  offline: (to) => `Not delivered: ${to} is offline`,
  failed: () => "Not sent",
};

export class MessagesView {
  #list;
  #scroll;
  #on;
  #drawn = new Map();
  #timeline = null;

  /** `on.retry(item)` and `on.write(user)` are asked for by buttons in the list. */
  constructor(list, scroll, on) {
    this.#list = list;
    this.#scroll = scroll;
    this.#on = on;
  }

  draw(conversation, me) {
    const { timeline } = conversation;
    const { scrollTop, scrollHeight, clientHeight } = this.#scroll;
    const wasAtEnd = scrollHeight - scrollTop - clientHeight < NEAR_END_PX;
    const isOther = this.#timeline !== timeline;
    if (isOther) {
      this.#timeline = timeline;
      this.#drawn.clear();
      this.#list.replaceChildren();
    }
    const last = timeline.items.at(-1);
    const wrote = !isOther && last?.from === me && !this.#drawn.has(last.key);
    this.#sync(timeline.items, conversation, me);
    if (isOther || wasAtEnd || wrote) this.#scroll.scrollTop = this.#scroll.scrollHeight;
  }

  #sync(items, conversation, me) {
    const keys = new Set(items.map(({ key }) => key));
    for (const [key, { made }] of this.#drawn) {
      if (!keys.has(key)) {
        made.remove();
        this.#drawn.delete(key);
      }
    }
    let before = null;
    items.forEach((item, index) => {
      const isFirst = !follows(before, item);
      // All that an item looks like depends on this.
      const looks = `${isFirst}/${item.status}/${item.time}`;
      let drawn = this.#drawn.get(item.key);
      if (drawn?.looks !== looks) {
        const made = item.kind === "line" ? drawLine(item) : this.#drawMessage(item, isFirst, conversation, me);
        drawn?.made.replaceWith(made);
        drawn = { made, looks };
        this.#drawn.set(item.key, drawn);
      }
      if (this.#list.children[index] !== drawn.made) {
        this.#list.insertBefore(drawn.made, this.#list.children[index] ?? null);
      }
      before = item;
    });
  }

  #drawMessage(item, isFirst, { kind, name }, me) {
    const isMine = item.from === me;
    const isOnItsWay = kind === "room" && item.status;
    const from = isMine || kind === "direct"
      ? element("span", { class: "from" }, item.from)
      : element("button", { class: "from", type: "button", title: `Write to ${item.from}`, onclick: () => this.#on.write(item.from) }, item.from);
    const made = element(
      "li",
      { class: `message${isFirst ? " first" : ""}${isOnItsWay ? " pending" : ""}`, "data-testid": "message", "data-from": item.from },
      avatar(item.from),
      element("div", { class: "head" }, from, time(item.time)),
      element("div", { class: "text", "data-testid": "message-text" }, item.text),
    );
    if (item.status) made.append(this.#drawStatus(item, name));
    return made;
  }

  #drawStatus(item, to) {
    const made = element("div", { class: "delivery", "data-testid": "delivery", "data-status": item.status }, STATUS[item.status](to));
    if (item.status === "failed") {
      made.append(element("button", { class: "quiet", type: "button", onclick: () => this.#on.retry(item) }, "Try again"));
    }
    return made;
  }
}

function follows(before, item) {
  return before?.kind === "message" && before.from === item.from && Math.abs(item.time - before.time) < TOGETHER_MS;
}

function drawLine({ text, variant }) {
  return element("li", { class: `notice-line ${variant}`, "data-testid": variant || "line" }, text);
}

function time(ms) {
  const at = new Date(ms);
  const isToday = at.toDateString() === new Date().toDateString();
  const shownTime = at.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
  const shownDay = isToday ? "" : `${at.toLocaleDateString([], { day: "numeric", month: "short" })}, `;
  return element("time", { dateTime: at.toISOString(), title: at.toLocaleString() }, shownDay + shownTime);
}
