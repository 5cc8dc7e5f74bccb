// What a socket hears, in order and without gaps, whoever listens when.

import { WAIT_MS } from "./facts.mjs";

/** Hears everything from the moment at which it is made; each event is taken once. */
export class Ears {
  #heard = [];
  #waiting = [];

  constructor(socket) {
    socket.onAny((event, ...args) => {
      const index = this.#waiting.findIndex((waiting) => waiting.wants(event, args));
      if (index < 0) this.#heard.push({ event, args });
      else this.#waiting.splice(index, 1)[0].resolve(args);
    });
  }

  /** The arguments of the next event of this name (that `fits`), be it here already or to come. */
  next(event, fits = () => true) {
    const wants = (name, args) => name === event && fits(...args);
    const index = this.#heard.findIndex((heard) => wants(heard.event, heard.args));
    if (index >= 0) return Promise.resolve(this.#heard.splice(index, 1)[0].args);
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        const others = this.#heard.map((heard) => heard.event).join(", ") || "nothing";
        reject(new Error(`did not hear "${event}" in time; untaken: ${others}`));
      }, WAIT_MS);
      const taken = (args) => {
        clearTimeout(timer);
        resolve(args);
      };
      this.#waiting.push({ wants, resolve: taken });
    });
  }

  /** The next `count` events of this name, in order. */
  async several(event, count) {
    const all = [];
    while (all.length < count) all.push(await this.next(event));
    return all;
  }

  /** All that was heard of this name and not taken. */
  untaken(event) {
    return this.#heard.filter((heard) => heard.event === event).map(({ args }) => args);
  }
}

/** Waits for a lifecycle event of a socket, such as "connect", which `onAny` does not tell of. */
export function told(emitter, event, ms = WAIT_MS) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`waited too long for "${event}"`)), ms);
    emitter.once(event, (...args) => {
      clearTimeout(timer);
      resolve(args);
    });
  });
}

/** Emits a request and gives its acknowledgement, whatever it says. */
export function ask(socket, event, ...args) {
  return socket.timeout(WAIT_MS).emitWithAck(event, ...args);
}

/** Emits a request that must be granted. */
export async function ok(socket, event, ...args) {
  const answer = await ask(socket, event, ...args);
  if (answer?.type !== "ok") throw new Error(`"${event}" was answered ${JSON.stringify(answer)}`);
  return answer;
}

/** Emits a request that must be refused with this code. */
export async function refused(code, socket, event, ...args) {
  const answer = await ask(socket, event, ...args);
  if (answer?.type !== "error" || answer.code !== code) {
    throw new Error(`"${event}" was answered ${JSON.stringify(answer)} and not ${code}`);
  }
}
