// The WebSocket: requests with their replies, events, and coming back after a loss.
// It knows no rooms; what to recover is for its user, who is told of each new welcome.

import { pauseMs } from "./backoff.js";

const REPLY_MS = 10_000;

/** Codes after which the same page would only be refused again. */
const FINAL = new Map([
  [1000, "The server has ended this session."],
  [1002, "The server and this page don't understand each other. Reload the page."],
  [1003, "The server and this page don't understand each other. Reload the page."],
  [1007, "The server and this page don't understand each other. Reload the page."],
  [1008, "The server has refused this page."],
  [1009, "A message was too large for the server."],
  [4001, "This server wants a token. This page speaks to servers in auth mode \"open\"."],
]);

/**
 * Why a request has no `ok`: a code of the protocol, or, where the outcome is not known, `lost` with
 * the connection or `timeout` on a living one.
 */
export class RequestFailed extends Error {
  constructor(code, message) {
    super(message);
    this.code = code;
  }
}

export class Connection {
  #address;
  #on;
  #socket = null;
  #waiting = new Map();
  #lastId = 0;
  #attempt = 0;
  #timer = 0;
  #heardAt = 0;
  #online = false;

  /**
   * `address()` gives the URL for each attempt. `on.state({phase, reason, retryAt})` tells of
   * `connecting`, `online`, `waiting` and `ended`; `on.welcome(welcome)` of each new session;
   * `on.event(object)` of what was not asked for.
   */
  constructor(address, on) {
    this.#address = address;
    this.#on = on;
    addEventListener("online", () => this.retry());
  }

  open() {
    clearTimeout(this.#timer);
    this.#on.state({ phase: "connecting" });
    const socket = new WebSocket(this.#address(), "trunkline.v1");
    this.#socket = socket;
    this.#timer = setTimeout(() => this.#end(1006), REPLY_MS);
    socket.onmessage = ({ data }) => this.#hear(JSON.parse(data));
    socket.onclose = ({ code }) => this.#end(code);
  }

  /** Connects at once if a pause is on. */
  retry() {
    if (!this.#socket && this.#attempt > 0) this.open();
  }

  /** Sends a request and gives its `ok`; fails with RequestFailed. */
  request(type, fields = {}) {
    if (!this.#online) return Promise.reject(new RequestFailed("lost", "not connected"));
    const id = ++this.#lastId;
    this.#socket.send(JSON.stringify({ id, type, ...fields }));
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiting.delete(id);
        reject(new RequestFailed("timeout", "the server didn't answer in time"));
      }, REPLY_MS);
      this.#waiting.set(id, { resolve, reject, timer });
    });
  }

  #hear(object) {
    this.#heardAt = performance.now();
    switch (object.type) {
      case "welcome":
        clearTimeout(this.#timer);
        this.#attempt = 0;
        this.#online = true;
        this.#watch(object.heartbeat_ms);
        this.#on.state({ phase: "online" });
        this.#on.welcome(object);
        break;
      case "ok":
        this.#settle(object.id, (waiting) => waiting.resolve(object));
        break;
      case "error":
        this.#settle(object.id, (waiting) => {
          waiting.reject(new RequestFailed(object.code, object.message));
        });
        break;
      default:
        this.#on.event(object);
    }
  }

  #settle(id, how) {
    const waiting = this.#waiting.get(id);
    if (!waiting) return;
    this.#waiting.delete(id);
    clearTimeout(waiting.timer);
    how(waiting);
  }

  // A page can't see the server's pings. Where the network fails silently, only an unanswered
  // question shows it.
  #watch(everyMs) {
    const socket = this.#socket;
    this.#timer = setTimeout(async () => {
      try {
        if (performance.now() - this.#heardAt >= everyMs) await this.request("ping");
        if (this.#socket === socket) this.#watch(everyMs);
      } catch {
        if (this.#socket === socket) this.#end(1006);
      }
    }, everyMs);
  }

  #end(code) {
    const socket = this.#socket;
    if (!socket) return;
    socket.onmessage = socket.onclose = null;
    socket.close();
    this.#socket = null;
    this.#online = false;
    clearTimeout(this.#timer);
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const { reject, timer } of waiting) {
      clearTimeout(timer);
      reject(new RequestFailed("lost", "the connection was lost"));
    }
    if (FINAL.has(code)) {
      this.#on.state({ phase: "ended", reason: FINAL.get(code) });
      return;
    }
    const pause = pauseMs(++this.#attempt);
    this.#on.state({ phase: "waiting", retryAt: Date.now() + pause });
    this.#timer = setTimeout(() => this.open(), pause);
  }
}
