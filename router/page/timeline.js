// What one conversation shows, in order: messages, and lines about what happened.
//
// A message that the server has placed is known by epoch and offset, and enters once, wherever it
// comes from: history, the live stream, a recovery, or the acknowledgement of one's own. One that
// is still on its way stays at the end.

const MOST = 500;

let lastKey = 0;

export class Timeline {
  items = [];

  /** Places a message of the server. False if it is known already. */
  place(message) {
    const { epoch, offset } = message;
    let at = this.items.length;
    while (at > 0) {
      const item = this.items[at - 1];
      if (item.epoch === epoch && item.offset === offset) {
        // The server's clock is the one that all go by.
        item.time = message.time;
        return false;
      }
      if (item.offset !== undefined && !(item.epoch === epoch && item.offset > offset)) break;
      at -= 1;
    }
    // Lines about what happened after the message before it stay before it, as they came.
    while (at < this.items.length && this.items[at].kind === "line") at += 1;
    this.items.splice(at, 0, { ...message, kind: "message", key: ++lastKey });
    if (this.items.length > MOST) this.items.shift();
    return true;
  }

  /** Adds what one has just written; it stays at the end until it is settled. */
  write(from, text) {
    const item = { kind: "message", key: ++lastKey, from, text, time: Date.now(), id: randomId() };
    this.items.push(item);
    return item;
  }

  /** The server has placed what was written: it takes its place, unless its echo has already. */
  settle(item, { epoch, offset }) {
    this.items = this.items.filter((other) => other !== item);
    this.place({ epoch, offset, from: item.from, text: item.text, time: item.time });
  }

  /** Adds a message at the end: where one's own have no place, others can't be placed among them. */
  receive(message) {
    const { epoch, offset } = message;
    const isSame = (item) => item.epoch === epoch && item.offset === offset;
    if (offset !== undefined && this.items.some(isSame)) return false;
    this.items.push({ ...message, kind: "message", key: ++lastKey });
    return true;
  }

  /** Puts back an item of before a reload. One that was on its way is sent again. */
  restore(item) {
    const status = item.status === "sending" ? "waiting" : item.status;
    this.items.push({ ...item, ...(status && { status }), key: ++lastKey });
  }

  /** Adds a line about what happened. */
  line(text, variant = "") {
    this.items.push({ kind: "line", key: ++lastKey, text, variant });
  }
}

// crypto.randomUUID is only there on https and localhost.
function randomId() {
  return [...crypto.getRandomValues(new Uint8Array(12))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
