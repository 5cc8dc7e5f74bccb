// The rooms one is in: their messages, who is there, and recovering them after a loss.

import { pauseMs } from "./backoff.js";
import { load, save } from "./store.js";
import { SAID, TYPING, shown } from "./text.js";
import { Timeline } from "./timeline.js";
import { OthersTyping } from "./typing.js";

const HISTORY = 50;

/** Failures after which entering a room is tried again. */
const PASSING = new Set(["unavailable", "timeout", "rate_limited", "internal"]);

class Room {
  kind = "room";
  timeline = new Timeline();
  people = new Set();
  /** False while the server lists some who may be gone. */
  sure = true;
  unread = 0;
  /** The last message that came in order; recovery goes on from there. Null before the first join. */
  position = null;
  /** Whether the history before the first join is here. */
  hasHistory = false;
  /** Counts the attempts to enter since one succeeded; a later one ends an earlier. */
  attempt = 0;

  constructor(name, changed) {
    this.name = name;
    this.typing = new OthersTyping(changed);
  }
}

export class Rooms {
  #connection;
  #changed;
  #failed;
  #rooms = new Map();

  /** `changed()` is called after each change, `failed(error)` when a request fails. */
  constructor(connection, changed, failed) {
    this.#connection = connection;
    this.#changed = changed;
    this.#failed = failed;
    for (const name of load("rooms", ["lobby"])) this.#rooms.set(name, new Room(name, changed));
  }

  list() {
    return [...this.#rooms.values()];
  }

  get(name) {
    return this.#rooms.get(name);
  }

  /** The room of this name, joined if it wasn't. */
  join(name) {
    let room = this.#rooms.get(name);
    if (!room) {
      room = new Room(name, this.#changed);
      this.#rooms.set(name, room);
      this.#remember();
      this.#enter(room);
    }
    return room;
  }

  leave(room) {
    this.#rooms.delete(room.name);
    this.#remember();
    // If the connection is lost, so is the membership.
    this.#connection.request("leave", { room: room.name }).catch(() => {});
    this.#changed();
  }

  /** After each welcome: a new session is in no room. */
  resume() {
    for (const room of this.#rooms.values()) this.#enter(room);
  }

  say(room, from, text) {
    this.#send(room, room.timeline.write(from, text));
  }

  retry(room, item) {
    this.#send(room, item);
  }

  tellTyping(room) {
    const fields = { room: room.name, event: TYPING, data: true, ephemeral: true, echo: false };
    // It is the first to be dropped anyway.
    this.#connection.request("publish", fields).catch(() => {});
  }

  /** Asks again who is there: in a large room, the server announces nobody. */
  async refresh(room) {
    try {
      const { users, sure } = await this.#connection.request("presence", { room: room.name });
      room.people = new Set(users.map(({ user }) => user));
      room.sure = sure;
      this.#changed();
    } catch {
      // The list stays as it was; a loss of the connection is told by the connection.
    }
  }

  /** Takes what the server tells. Returns the room and, for a message, whether it is a new one. */
  take(event) {
    const room = this.#rooms.get(event.room);
    if (!room) return {};
    let isNew = false;
    switch (event.type) {
      case "message":
        room.position = { epoch: event.epoch, offset: event.offset };
        room.typing.stopped(event.from);
        isNew = this.#place(room, event);
        break;
      case "ephemeral":
        if (event.event === TYPING) room.typing.heard(event.from);
        break;
      case "joined":
        room.people.add(event.user);
        room.timeline.line(`${event.user} joined`);
        break;
      case "left":
        room.people.delete(event.user);
        room.typing.stopped(event.user);
        room.timeline.line(`${event.user} left`);
        break;
      case "gap":
        room.position = { epoch: event.epoch, offset: event.offset };
        room.timeline.line("Some messages were missed and can't be had any more", "gap");
        break;
    }
    this.#changed();
    return { room, isNew };
  }

  #place(room, message) {
    const { epoch, offset, from, time } = message;
    return room.timeline.place({ epoch, offset, from, time, text: shown(message) });
  }

  async #enter(room) {
    const attempt = ++room.attempt;
    try {
      const after = room.position;
      const joined = await this.#connection.request("join", { room: room.name, ...(after && { after }) });
      room.position ??= { epoch: joined.epoch, offset: joined.offset };
      if (!room.hasHistory) await this.#fill(room);
      for (const item of room.timeline.items) if (item.status === "waiting") this.#send(room, item);
      await this.refresh(room);
      room.attempt = 0;
    } catch (failure) {
      // A lost connection comes back, and with it this.
      if (failure.code === "lost") return;
      this.#failed(failure);
      if (PASSING.has(failure.code)) setTimeout(() => this.#enterAgain(room, attempt), pauseMs(attempt));
      else room.timeline.line(`You are not in this room: ${failure.message}`, "gap");
      this.#changed();
    }
  }

  #enterAgain(room, attempt) {
    if (room.attempt === attempt && this.#rooms.get(room.name) === room) this.#enter(room);
  }

  async #fill(room) {
    const { messages } = await this.#connection.request("history", { room: room.name, limit: HISTORY });
    for (const message of messages) this.#place(room, message);
    room.hasHistory = true;
    this.#changed();
  }

  // The item's ID is the idempotency key: sending again what may have arrived is harmless.
  async #send(room, item) {
    item.status = "sending";
    this.#changed();
    try {
      const fields = { room: room.name, event: SAID, data: item.text, key: item.id };
      room.timeline.settle(item, await this.#connection.request("publish", fields));
    } catch (failure) {
      item.status = failure.code === "lost" ? "waiting" : "failed";
      if (item.status === "failed") this.#failed(failure);
    }
    this.#changed();
  }

  #remember() {
    save("rooms", [...this.#rooms.keys()]);
  }
}
