// Draws the lists at the sides: rooms, direct messages, people.

import { avatar, element } from "./dom.js";

/** Draws the conversations of one kind. `choose(conversation)` is asked for by a click. */
export function drawConversations(list, conversations, current, choose) {
  replace(list, conversations.map((conversation) => {
    const { kind, name, unread } = conversation;
    const icon = kind === "room" ? element("span", { class: "hash", "aria-hidden": "true" }, "#") : avatar(name);
    const entry = element(
      "button",
      {
        class: `entry${unread ? " unread" : ""}`,
        type: "button",
        onclick: () => choose(conversation),
        "data-name": name,
        "data-testid": kind,
        "aria-current": String(conversation === current),
      },
      icon,
      element("span", { class: "label" }, name),
    );
    if (unread) {
      const count = unread > 99 ? "99+" : unread;
      entry.append(element("span", { class: "badge", "data-testid": "unread" }, count, element("span", { class: "unseen" }, " unread")));
    }
    return entry;
  }));
}

/** Draws who is here. `choose(user)` is asked for by a click on somebody else. */
export function drawPeople(list, people, me, choose) {
  const names = [...people].sort((one, two) => one.localeCompare(two));
  replace(list, names.map((name) => {
    const isMe = name === me;
    const label = element("span", { class: "label" }, name);
    const properties = { class: "entry", "data-name": name, "data-testid": "person" };
    if (isMe) {
      return element("span", properties, avatar(name), label, element("span", { class: "you" }, "you"));
    }
    const click = { type: "button", title: `Write to ${name}`, onclick: () => choose(name) };
    return element("button", { ...properties, ...click }, avatar(name), label);
  }));
}

// Rebuilds only what differs, and keeps the keyboard's focus where it was.
function replace(list, entries) {
  const wanted = entries.map((entry) => entry.outerHTML);
  const has = [...list.children].map((item) => item.firstChild.outerHTML);
  entries.forEach((entry, index) => {
    if (index >= has.length) list.append(element("li", {}, entry));
    else if (has[index] !== wanted[index]) {
      const old = list.children[index].firstChild;
      const hadFocus = document.activeElement === old;
      old.replaceWith(entry);
      if (hadFocus) entry.focus();
    }
  });
  while (list.children.length > entries.length) list.lastChild.remove();
}
