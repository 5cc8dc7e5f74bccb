// Acknowledgements, and what happens without one.

import { ok, refused } from "../ears.mjs";
import { fresh, must, mustBe, within } from "../facts.mjs";

export const ackFacts = {
  async "an acknowledgement has one argument"(world) {
    const { socket } = await world.arrive();
    const room = fresh("ack");
    const given = await within("it", new Promise((resolve) => socket.emit("join", room, (...args) => resolve(args))));
    mustBe([given.length, given[0].type, "id" in given[0]], [1, "ok", false]);
  },

  async "each of many requests gets its own, in their order"(world) {
    const { socket } = await world.arrive();
    const room = fresh("ack");
    await ok(socket, "join", room);
    const order = [];
    const requests = Array.from({ length: 200 }, async (_, n) => {
      const { offset } = await ok(socket, "message", room, n);
      order.push([n, offset]);
    });
    await Promise.all(requests);
    mustBe(order, Array.from({ length: 200 }, (_, n) => [n, n + 1]));
  },

  async "an event with no rule is refused, to the acknowledgement or as an event"(world) {
    const { socket, ears } = await world.arrive();
    await refused("unknown_type", socket, "no such event", 1, 2);
    socket.emit("no such event");
    const [error] = await ears.next("error");
    mustBe([error.type, error.code], ["error", "unknown_type"]);
    must(typeof error.message === "string" && error.message !== "", "it says nothing");
  },

  async "an error without an acknowledgement is an event, a success is nothing"(world) {
    const { socket, ears } = await world.arrive();
    const room = fresh("ack");
    socket.emit("message", room, "not joined");
    mustBe((await ears.next("error"))[0].code, "not_joined");
    socket.emit("join", room);
    await ok(socket, "message", room, "joined");
    mustBe(ears.untaken("error"), []);
  },

  async "an acknowledgement that the server did not ask for is passed over"(world) {
    const { socket } = await world.arrive();
    socket.io.engine.write('3999["unasked"]');
    await ok(socket, "join", fresh("ack"));
    mustBe(socket.connected, true, "connected");
  },

  async "a client that retries until it is acknowledged is, once"(world) {
    const { socket, ears } = await world.arrive(fresh("retrying"), { retries: 3, ackTimeout: 10_000 });
    const room = fresh("ack");
    await socket.emitWithAck("join", room);
    for (let n = 0; n < 5; n += 1) await socket.emitWithAck("message", room, n);
    const messages = await ears.several("message", 5);
    mustBe(messages.map(([n]) => n), [0, 1, 2, 3, 4]);
    mustBe(ears.untaken("message"), []);
  },
};
