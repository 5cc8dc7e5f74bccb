// Files: directly from window to window, through the shards where that fails.

import { ask, notice } from "../arrive.js";
import { Link } from "../link.js";

/** What the shards carry at once, as the server is set by default, with room for what is around. */
const MOST_BY_SHARDS = 900_000;

export class Files {
  #socket;
  #came;
  #links = new Map();

  /** `came({from, file, way})` is told of each file; its content is a Blob. */
  constructor(socket, came) {
    this.#socket = socket;
    this.#came = came;
    socket.on("signal", ({ senderId, socketId, signal }) => this.#signalled(senderId, socketId, signal));
    socket.on("file", ({ senderId, name, type, content }) => {
      came({ from: senderId, file: { name, type, content: new Blob([content], { type }) }, way: "shards" });
    });
  }

  /** Sends a file; gives the way it went, or null after telling people why it didn't. */
  async send(to, file, mayGoDirectly) {
    const { name, type } = file;
    const content = await file.arrayBuffer();
    if (mayGoDirectly && (await this.#sendDirectly(to, { name, type, content }))) return "direct";
    if (content.byteLength > MOST_BY_SHARDS) {
      notice("That file is too large for the way through the shards.");
      return null;
    }
    const answer = await ask(this.#socket, "file", { recipientId: to, name, type, content });
    if (answer?.status === "offline") notice(`${to} is offline, and too much waits there already.`);
    return answer && answer.status !== "offline" ? "shards" : null;
  }

  async #sendDirectly(to, file) {
    const link = this.#links.get(to) ?? this.#offer(to);
    try {
      await link.opened;
      await link.sendFile(file);
      return true;
    } catch {
      link.close();
      return false;
    }
  }

  #offer(to) {
    return this.#keep(to, (signal, on) => Link.offer(signal, on), to);
  }

  #signalled(from, socketId, signal) {
    if (signal.description?.type === "offer") {
      this.#keep(`${from} ${signal.link}`, (send, on) => new Link(signal.link, send, on), socketId, from);
    }
    for (const link of this.#links.values()) if (link.id === signal.link) link.take(signal);
  }

  /** One's own links are kept by whom they lead to, and used again; those of others until they end. */
  #keep(key, make, recipientId, from) {
    const link = make(
      (signal) => this.#socket.emit("signal", { recipientId, signal }),
      {
        file: (file) => this.#came({ from: from ?? key, file, way: "direct" }),
        closed: () => this.#links.get(key) === link && this.#links.delete(key),
      },
    );
    this.#links.set(key, link);
    return link;
  }
}
