// Clients of the service in one transport mode, spread over its routers.

import { Manager } from "socket.io-client";

import { Ears, told } from "../ears.mjs";
import { fresh, inTurn } from "../facts.mjs";

/** What the client's option `transports` is in each mode. */
export const MODES = {
  polling: ["polling"],
  websocket: ["websocket"],
  upgrade: ["polling", "websocket"],
};

export class World {
  constructor(urls, mode, isReference) {
    this.url = inTurn(urls);
    this.mode = mode;
    this.isReference = isReference;
  }

  /** A connection of its own; sockets of several namespaces may share it. */
  manager(query, options = {}) {
    return new Manager(this.url(), {
      query,
      transports: MODES[this.mode],
      reconnectionDelay: 50,
      reconnectionDelayMax: 500,
      ...options,
    });
  }

  /** A client that has connected to a namespace. */
  async arrive(user = fresh("user"), { namespace = "/", auth, ...options } = {}) {
    const client = this.begin(this.manager(user === null ? {} : { user }, options), namespace, auth);
    await told(client.socket, "connect");
    return { user, ...client };
  }

  /** A client that begins to connect. */
  begin(manager, namespace = "/", auth = undefined) {
    const socket = manager.socket(namespace, { auth });
    const ears = new Ears(socket);
    return { socket, ears };
  }
}
