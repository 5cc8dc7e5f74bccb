// Engine.IO v4 by hand, over node's HTTP client and bare WebSockets: it can do what a proper client
// never would, such as hanging up in the middle of a poll.

import http from "node:http";
import WebSocket from "ws";

import { inTurn, within } from "../facts.mjs";

/** Between the packets of one payload. */
export const SEPARATOR = "\x1e";

/** A service: each request goes to the next of its URLs, as a balancer without stickiness has it. */
export class Server {
  #next;
  #agent;

  /** Without an agent each request has a connection of its own. */
  constructor(urls, agent = false) {
    this.#next = inTurn(urls);
    this.#agent = agent;
  }

  /** The address of a query; `{ EIO: undefined }` leaves that out. */
  address(query = {}) {
    const url = new URL("/socket.io/", this.#next());
    for (const [name, value] of Object.entries({ EIO: 4, transport: "polling", ...query })) {
      if (value !== undefined) url.searchParams.set(name, value);
    }
    return url;
  }

  /** Sends a request; gives `{ status, headers, body }`. */
  ask(query, options = {}) {
    return within("an answer", this.begin(query, options).answer);
  }

  /** Sends a request that can be aborted: gives it, its answer to come, and when it has been sent. */
  begin(query, { method = "GET", headers = {}, body, length } = {}) {
    const url = query instanceof URL ? query : this.address(query);
    const all = { ...headers };
    if (body !== undefined) {
      all["content-type"] ??= "text/plain;charset=UTF-8";
      // A length beyond what is sent leaves the request half-sent.
      all["content-length"] = length ?? Buffer.byteLength(body);
    }
    const request = http.request(url, { method, headers: all, agent: this.#agent });
    const answer = new Promise((resolve, reject) => {
      request.on("error", reject);
      request.on("response", (response) => {
        const parts = [];
        response.on("data", (part) => parts.push(part));
        response.on("error", reject);
        response.on("end", () => {
          const { statusCode: status, headers: said } = response;
          resolve({ status, headers: said, body: Buffer.concat(parts).toString() });
        });
      });
    });
    const sent = new Promise((resolve) => request.once("finish", resolve));
    // Who aborts doesn't ask for the answer.
    answer.catch(() => {});
    if (length === undefined) request.end(body);
    else request.write(body);
    return { request, answer, sent };
  }

  /** Opens a polling session and takes its handshake. */
  async polling(query = {}) {
    const answer = await this.ask(query);
    if (answer.status !== 200) throw new Error(`the handshake was answered ${answer.status} ${answer.body}`);
    return new Polling(this, answer);
  }

  /** Opens a WebSocket, for a new session or an upgrade; it may be refused. */
  websocket(query = {}, options = {}) {
    const url = this.address({ transport: "websocket", ...query });
    url.protocol = url.protocol.replace("http", "ws");
    return new Wire(new WebSocket(url, { perMessageDeflate: false, ...options }));
  }

  /** Opens a WebSocket session and takes its handshake. */
  async session() {
    const wire = this.websocket();
    const open = await wire.next();
    return { wire, handshake: JSON.parse(open.slice(1)) };
  }
}

/** A session that polls. */
export class Polling {
  #packets = [];

  constructor(server, answer) {
    this.server = server;
    this.answer = answer;
    this.handshake = JSON.parse(answer.body.slice(1));
    this.sid = this.handshake.sid;
  }

  poll() {
    return this.server.ask({ sid: this.sid });
  }

  beginPoll() {
    return this.server.begin({ sid: this.sid });
  }

  post(body, options = {}) {
    return this.server.ask({ sid: this.sid }, { method: "POST", body, ...options });
  }

  /** The next packet, polled for if there is none; pings on the way are answered. */
  async next() {
    for (;;) {
      const packet = this.#packets.shift();
      if (packet === "2") await this.post("3");
      else if (packet !== undefined) return packet;
      else {
        const answer = await this.poll();
        if (answer.status !== 200) throw new Error(`a poll was answered ${answer.status} ${answer.body}`);
        this.#packets = answer.body.split(SEPARATOR);
      }
    }
  }

  /** The next packet that `fits`. */
  async until(fits) {
    for (;;) {
      const packet = await this.next();
      if (fits(packet)) return packet;
    }
  }

  /** Connects to the namespace "/". */
  async connect() {
    await this.post("40");
    return this.until((packet) => packet.startsWith("40"));
  }

  upgrade() {
    return this.server.websocket({ sid: this.sid });
  }
}

/** A WebSocket whose messages are taken one by one. */
export class Wire {
  #messages = [];
  #waiting = [];

  constructor(socket) {
    this.socket = socket;
    // A refused upgrade is an answer like another.
    this.refused = new Promise((resolve) => {
      socket.on("unexpected-response", (_, response) => {
        const parts = [];
        response.on("data", (part) => parts.push(part));
        response.on("end", () => {
          const { statusCode: status, headers } = response;
          resolve({ status, headers, body: Buffer.concat(parts).toString() });
        });
      });
    });
    this.opened = new Promise((resolve) => socket.on("open", resolve));
    this.closed = new Promise((resolve) => socket.on("close", (code, reason) => resolve({ code, reason: String(reason) })));
    this.failed = new Promise((resolve) => socket.on("error", resolve));
    socket.on("message", (data, isBinary) => {
      const message = isBinary ? data : data.toString();
      const waiting = this.#waiting.shift();
      if (waiting) waiting.resolve(message);
      else this.#messages.push(message);
    });
    this.closed.then(({ code }) => {
      for (const waiting of this.#waiting) waiting.reject(new Error(`closed with ${code}`));
    });
    this.failed.then((error) => {
      for (const waiting of this.#waiting) waiting.reject(error);
    });
  }

  send(message) {
    this.socket.send(message);
  }

  next() {
    if (this.#messages.length > 0) return Promise.resolve(this.#messages.shift());
    const next = new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
    return within("a message", next);
  }

  /** The next message that `fits`; pings on the way are answered. */
  async until(fits) {
    for (;;) {
      const message = await this.next();
      if (message === "2") this.send("3");
      else if (fits(message)) return message;
    }
  }

  end() {
    return within("a close", this.closed);
  }
}
