// Who is typing: one's own told sparingly, that of others forgotten soon.

const TELL_EVERY_MS = 2_000;
const FORGET_AFTER_MS = 4_500;

/** Tells that one types, at most every two seconds for one conversation. */
export class OwnTyping {
  #told = new Map();

  tell(conversation, send) {
    const now = performance.now();
    if (now - (this.#told.get(conversation) ?? -Infinity) < TELL_EVERY_MS) return;
    this.#told.set(conversation, now);
    send();
  }

  /** The message is sent: the next keystroke is told at once. */
  sent(conversation) {
    this.#told.delete(conversation);
  }
}

/** Those who type in one conversation. */
export class OthersTyping {
  #timers = new Map();
  #changed;

  constructor(changed) {
    this.#changed = changed;
  }

  heard(user) {
    clearTimeout(this.#timers.get(user));
    this.#timers.set(user, setTimeout(() => this.stopped(user), FORGET_AFTER_MS));
    this.#changed();
  }

  stopped(user) {
    clearTimeout(this.#timers.get(user));
    if (this.#timers.delete(user)) this.#changed();
  }

  /** As a sentence, empty if nobody types. */
  toString() {
    const users = [...this.#timers.keys()];
    if (users.length === 0) return "";
    if (users.length === 1) return `${users[0]} is typing…`;
    if (users.length === 2) return `${users[0]} and ${users[1]} are typing…`;
    return "Several people are typing…";
  }
}
