// Two people are introduced to each other by the shards; when a direct link is open, messages take it.

import { byId, element, avatar } from "../../dom.js";
import { drawer } from "../../drawers.js";
import { nameProblem } from "../../text.js";
import { arrive, ask, notice, onSay } from "../arrive.js";
import { Link } from "../link.js";
import { Log } from "../log.js";

const LINKS = { opening: "opening a direct channel…", direct: "direct", shards: "through the shards" };

const closeSidebar = drawer(byId("open-sidebar"), byId("sidebar"));
const { me, socket } = await arrive("/demo-peer");
const people = new Map();
let current = null;

/** Somebody to talk to. */
class Person {
  link = null;
  hasStarted = false;
  list = element("ol", { class: "messages", "data-testid": "messages", role: "log" });
  log = new Log(this.list, byId("scroll"));
  unread = 0;

  constructor(name) {
    this.name = name;
  }

  get way() {
    if (this.link?.isOpen) return "direct";
    return this.link ? "opening" : "shards";
  }

  say(text) {
    if (this.link?.isOpen) {
      this.link.send(text);
      this.log.say({ from: me, content: text, way: "direct" });
    } else this.#sayByShards(text);
  }

  async #sayByShards(text) {
    const item = this.log.say({ from: me, content: text, way: "shards" });
    const answer = await ask(socket, "send-message", { recipientId: this.name, message: text });
    if (answer?.status !== "delivered") {
      const told = { queued: `${this.name} gets it on coming back`, offline: `${this.name} is offline` };
      item.append(element("div", { class: "delivery", "data-testid": "delivery" }, told[answer?.status] ?? "Not sent"));
    }
  }

  hear(text, way) {
    this.log.say({ from: this.name, content: text, way });
    if (current !== this) this.unread += 1;
    draw();
  }

  /** Offers a direct link to one window of this person. */
  offer(socketId) {
    this.#use((signal, on) => Link.offer(signal, on), socketId);
  }

  /** Takes what a window of this person has signalled. */
  signalled(socketId, signal) {
    const isOffer = signal.description?.type === "offer";
    if (isOffer && !this.link?.isOpen) this.#use((send, on) => new Link(signal.link, send, on), socketId);
    if (this.link?.id === signal.link) this.link.take(signal);
  }

  #use(make, socketId) {
    this.link?.close();
    const link = make(
      (signal) => socket.emit("signal", { recipientId: socketId, signal }),
      {
        text: (text) => this.hear(text, "direct"),
        closed: () => {
          if (this.link !== link) return;
          this.link = null;
          this.log.line("There is no direct channel; messages go through the shards.");
          draw();
        },
      },
    );
    this.link = link;
    link.opened.then(() => this.log.line("A direct channel is open."), () => {}).finally(draw);
    draw();
  }
}

function person(name) {
  if (!people.has(name)) people.set(name, new Person(name));
  current ??= people.get(name);
  return people.get(name);
}

socket.on("chat-started", ({ senderId, socketId }) => {
  const other = person(senderId);
  other.log.line(`${senderId} has started a chat`);
  // When both have started at once, one of them offers.
  if (!other.hasStarted || socket.id < socketId) other.offer(socketId);
  draw();
});
socket.on("receive-message", ({ senderId, message }) => person(senderId).hear(message, "shards"));
socket.on("signal", ({ senderId, socketId, signal }) => person(senderId).signalled(socketId, signal));

byId("start-form").onsubmit = async (event) => {
  event.preventDefault();
  const wanted = byId("start").value.trim();
  const problem = wanted === me ? "That is your own name." : nameProblem(wanted);
  if (problem) {
    notice(problem);
    return;
  }
  byId("start").value = "";
  const other = person(wanted);
  other.hasStarted = true;
  choose(other);
  const answer = await ask(socket, "start-chat", { recipientId: wanted });
  if (answer && answer.status !== "delivered") other.log.line(`${wanted} is not here now`);
};
onSay((text) => current.say(text));

function choose(other) {
  current = other;
  closeSidebar();
  draw();
  byId("text").focus();
}

function draw() {
  byId("people").replaceChildren(...[...people.values()].map((each) => {
    const entry = element(
      "button",
      { class: "entry", type: "button", "data-name": each.name, "data-testid": "person", "aria-current": String(each === current), onclick: () => choose(each) },
      avatar(each.name),
      element("span", { class: "label" }, each.name),
    );
    if (each.unread && each !== current) entry.append(element("span", { class: "badge", "data-testid": "unread" }, each.unread));
    return element("li", {}, entry);
  }));
  if (!current) return;
  current.unread = 0;
  byId("empty").hidden = true;
  byId("composer").hidden = byId("way").hidden = false;
  byId("title").textContent = current.name;
  byId("subtitle").textContent = "Only you two see what you write here";
  byId("way").dataset.way = current.way;
  byId("way").textContent = LINKS[current.way];
  const shown = byId("scroll").querySelector(".messages");
  if (shown !== current.list) shown.replaceWith(current.list);
  byId("scroll").scrollTop = byId("scroll").scrollHeight;
}
