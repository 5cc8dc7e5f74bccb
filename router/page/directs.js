// Private messages: one conversation per user, and the inbox they arrive in.
//
// The server keeps what nobody has received, not what was said; so this window keeps its own copy,
// and with it the inbox's position, from which a reload and a reconnection go on.

import { load, save } from "./store.js";
import { SAID, TYPING, shown } from "./text.js";
import { Timeline } from "./timeline.js";
import { OthersTyping } from "./typing.js";

const KEPT = 100;

class Direct {
  kind = "direct";
  timeline = new Timeline();
  unread = 0;

  constructor(name, changed) {
    this.name = name;
    this.typing = new OthersTyping(changed);
  }
}

export class Directs {
  #connection;
  #changed;
  #failed;
  #directs = new Map();
  #position = load("inbox", null);

  constructor(connection, changed, failed) {
    this.#connection = connection;
    this.#changed = changed;
    this.#failed = failed;
    for (const { name, items } of load("directs", [])) {
      const direct = this.#of(name);
      for (const item of items) direct.timeline.restore(item);
    }
  }

  list() {
    return [...this.#directs.values()];
  }

  get(name) {
    return this.#directs.get(name);
  }

  /** Where to resume the inbox, as the query has it, or null. */
  get position() {
    return this.#position && `${this.#position.epoch}:${this.#position.offset}`;
  }

  /** The conversation with this user, begun if there is none. */
  open(user) {
    const direct = this.#of(user);
    this.#keep();
    return direct;
  }

  close(direct) {
    this.#directs.delete(direct.name);
    this.#keep();
  }

  say(direct, from, text) {
    this.#send(direct, direct.timeline.write(from, text));
  }

  retry(direct, item) {
    this.#send(direct, item);
  }

  /** After each welcome: sends what the loss of the connection held up. */
  resume() {
    for (const direct of this.#directs.values()) {
      for (const item of direct.timeline.items) if (item.status === "waiting") this.#send(direct, item);
    }
  }

  tellTyping(direct) {
    const fields = { to: direct.name, event: TYPING, data: true, ephemeral: true };
    // It is the first to be dropped anyway.
    this.#connection.request("send", fields).catch(() => {});
  }

  /** Takes a private message. Returns the conversation, and whether something new was said. */
  take(message) {
    const { from, event, epoch, offset, time } = message;
    if (event === TYPING) {
      this.get(from)?.typing.heard(from);
      return {};
    }
    const direct = this.#of(from);
    direct.typing.stopped(from);
    // One that was sent to the session alone is in no inbox.
    if (offset !== undefined) this.#position = { epoch, offset };
    const isNew = direct.timeline.receive({ epoch, offset, from, time, text: shown(message) });
    this.#keep();
    return { direct, isNew };
  }

  /** The inbox has lost what came up to this position. */
  gap({ epoch, offset }) {
    this.#position = { epoch, offset };
    this.#keep();
  }

  #of(user) {
    let direct = this.#directs.get(user);
    if (!direct) {
      direct = new Direct(user, this.#changed);
      this.#directs.set(user, direct);
    }
    return direct;
  }

  // The item's ID is the idempotency key: sending again what may have arrived is harmless.
  async #send(direct, item) {
    item.status = "sending";
    this.#changed();
    try {
      const fields = { to: direct.name, event: SAID, data: item.text, key: item.id };
      item.status = (await this.#connection.request("send", fields)).status;
    } catch (failure) {
      item.status = failure.code === "lost" ? "waiting" : "failed";
      if (item.status === "failed") this.#failed(failure);
    }
    this.#keep();
  }

  #keep() {
    save("inbox", this.#position);
    save("directs", this.list().map(({ name, timeline }) => ({ name, items: timeline.items.slice(-KEPT) })));
    this.#changed();
  }
}
