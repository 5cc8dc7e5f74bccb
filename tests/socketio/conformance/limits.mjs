// Messages as large as the server lets them be, and beyond.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";

import { ok, told } from "../ears.mjs";
import { fresh, must, mustBe } from "../facts.mjs";

/** Socket.IO's default. */
const LIMIT = 1_000_000;
/** More than a packet has around its message. */
const AROUND = 200;

export const limitFacts = {
  async "a message near the limit passes, as text and as binary"(world) {
    const [alice, bob] = [await world.arrive(), await world.arrive()];
    const room = fresh("large");
    for (const { socket } of [alice, bob]) await ok(socket, "join", room);
    // As base64, which polling makes of it, binary is larger by a third.
    const binary = randomBytes(Math.floor(((LIMIT - AROUND) * 3) / 4));
    for (const large of ["é".repeat((LIMIT - AROUND) / 2), binary]) {
      await ok(alice.socket, "message", room, large);
      assert.deepEqual((await bob.ears.next("message"))[0], large);
      await alice.ears.next("message");
    }
  },

  async "many messages that are larger together than the limit pass one by one"(world) {
    const [alice, bob] = [await world.arrive(), await world.arrive()];
    const room = fresh("large");
    for (const { socket } of [alice, bob]) await ok(socket, "join", room);
    const said = Array.from({ length: 6 }, (_, n) => String(n).repeat(LIMIT / 4));
    await Promise.all(said.map((text) => ok(alice.socket, "message", room, text)));
    const heard = await bob.ears.several("message", said.length);
    mustBe(heard.map(([text]) => text.slice(0, 3) + text.length), said.map((text) => text.slice(0, 3) + text.length));
  },

  async "a message beyond the limit costs its sender the connection, and nobody else"(world) {
    const [alice, bob] = [await world.arrive(), await world.arrive()];
    const room = fresh("large");
    for (const { socket } of [alice, bob]) await ok(socket, "join", room);
    if (world.mode === "upgrade" && alice.socket.io.engine.transport.name === "polling") await told(alice.socket.io.engine, "upgrade");
    const [lost, back] = [told(alice.socket, "disconnect"), told(alice.socket, "connect")];
    alice.socket.emit("message", room, "x".repeat(LIMIT + 1));
    const [reason] = await lost;
    must(["transport error", "transport close"].includes(reason), `the reason is ${reason}`);
    await back;
    await ok(alice.socket, "join", room);
    await ok(alice.socket, "message", room, "small");
    mustBe((await bob.ears.next("message"))[0], "small");
  },
};
