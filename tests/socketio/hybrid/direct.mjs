// A direct way from one process to another, as a data channel is between browsers. One offers it and
// sends, the other connects and receives.

import net from "node:net";

export class Direct {
  #server;
  #socket;

  /** Offers a way at a port; one that is blocked can't be connected to, as behind many firewalls. */
  static async offer(isBlocked) {
    const direct = new Direct();
    const server = net.createServer();
    await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
    direct.port = server.address().port;
    direct.#server = server;
    direct.#socket = new Promise((resolve) => server.once("connection", resolve));
    if (isBlocked) await new Promise((resolve) => server.close(resolve));
    return direct;
  }

  /** Connects to one that was offered. */
  static async connect(port) {
    const direct = new Direct();
    const socket = net.connect(port, "127.0.0.1");
    await new Promise((resolve, reject) => socket.once("connect", resolve).once("error", reject));
    direct.#socket = Promise.resolve(socket);
    return direct;
  }

  async send(content) {
    const socket = await this.#socket;
    await new Promise((resolve) => socket.end(content, resolve));
  }

  /** All that is sent. */
  async receive() {
    const parts = [];
    for await (const part of await this.#socket) parts.push(part);
    return Buffer.concat(parts);
  }

  close() {
    this.#server?.close();
  }
}
