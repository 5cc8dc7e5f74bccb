// Connection state recovery: a client whose connection broke is again who it was, and gets what it
// missed.

import { ok, told } from "../ears.mjs";
import { fresh, must, mustBe } from "../facts.mjs";

const MANUAL = { reconnection: false };

/** Breaks the connection as a network does, without a goodbye of the socket. */
async function breakOff({ socket }) {
  const lost = told(socket, "disconnect");
  socket.io.engine.close();
  await lost;
}

/** Connects again, by whichever router is next. */
async function comeBack(world, { socket }) {
  const back = told(socket, "connect");
  socket.io.uri = world.url();
  socket.connect();
  await back;
}

/** A client that can be broken off, and one that talks on, in a room. */
async function pair(world) {
  const room = fresh("recovery");
  const [alice, bob] = [await world.arrive(fresh("alice"), MANUAL), await world.arrive()];
  for (const { socket } of [alice, bob]) await ok(socket, "join", room);
  await ok(bob.socket, "message", room, "before");
  await alice.ears.next("message");
  return { alice, bob, room };
}

const texts = (messages) => messages.map(([text]) => text);

export const recoveryFacts = {
  async "who was lost is recovered: the same ID, its rooms, and all that was missed, once and in order"(world) {
    const { alice, bob, room } = await pair(world);
    const { id } = alice.socket;
    for (let round = 0; round < 3; round += 1) {
      await breakOff(alice);
      const missed = Array.from({ length: 20 }, (_, n) => `missed ${round}/${n}`);
      for (const text of missed) await ok(bob.socket, "message", room, text);
      await comeBack(world, alice);
      mustBe([alice.socket.recovered, alice.socket.id], [true, id], "recovered, and the ID");
      mustBe(texts(await alice.ears.several("message", missed.length)), missed);
      await ok(bob.socket, "message", room, "after");
      mustBe((await alice.ears.next("message"))[0], "after");
      await ok(alice.socket, "message", room, "I am back");
      mustBe((await alice.ears.next("message"))[0], "I am back");
    }
    mustBe(alice.ears.untaken("message"), []);
  },

  async "missed binary and private messages come too, what passes is gone"(world) {
    const { alice, bob, room } = await pair(world);
    await breakOff(alice);
    if (!world.isReference) await ok(bob.socket, "typing", room, "gone");
    await ok(bob.socket, "message", room, { file: Buffer.from("whole") });
    await ok(bob.socket, "private", alice.user, "just for you");
    await comeBack(world, alice);
    mustBe(alice.socket.recovered, true, "recovered");
    mustBe((await alice.ears.next("message"))[0].file.toString(), "whole");
    mustBe((await alice.ears.next("private"))[0], "just for you");
    await ok(bob.socket, "private", alice.user, "and again");
    mustBe((await alice.ears.next("private"))[0], "and again");
    mustBe([alice.ears.untaken("typing"), alice.ears.untaken("private")], [[], []]);
  },

  async "who missed nothing is recovered without a repeat"(world) {
    const { alice, bob, room } = await pair(world);
    await breakOff(alice);
    await comeBack(world, alice);
    mustBe(alice.socket.recovered, true, "recovered");
    await ok(bob.socket, "message", room, "after");
    mustBe((await alice.ears.next("message"))[0], "after");
    mustBe(alice.ears.untaken("message"), []);
  },

  async "all namespaces of a connection are recovered"(world) {
    const manager = world.manager({ user: fresh("both") }, MANUAL);
    const names = ["/", "/game-1"];
    const bobs = await Promise.all(names.map((namespace) => world.arrive(fresh("bob"), { namespace })));
    const clients = names.map((name) => world.begin(manager, name));
    const room = fresh("recovery");
    await Promise.all(clients.map(({ socket }) => told(socket, "connect")));
    for (const { socket } of clients) await ok(socket, "join", room);
    for (const { socket } of bobs) {
      await ok(socket, "join", room);
      await ok(socket, "message", room, "before");
    }
    for (const { ears } of clients) await ears.next("message");
    const lost = clients.map(({ socket }) => told(socket, "disconnect"));
    manager.engine.close();
    await Promise.all(lost);
    for (const { socket } of bobs) await ok(socket, "message", room, `missed in ${socket.nsp}`);
    const back = clients.map(({ socket }) => told(socket, "connect"));
    for (const { socket } of clients) socket.connect();
    await Promise.all(back);
    for (const [index, { socket, ears }] of clients.entries()) {
      mustBe(socket.recovered, true, "recovered");
      mustBe((await ears.next("message"))[0], `missed in ${names[index]}`);
    }
  },

  async "a private ID that is made up recovers nothing"(world) {
    const { alice, bob, room } = await pair(world);
    const { id } = alice.socket;
    await breakOff(alice);
    await ok(bob.socket, "message", room, "missed");
    alice.socket._pid = "made-up";
    await comeBack(world, alice);
    mustBe(alice.socket.recovered, false, "recovered");
    must(alice.socket.id !== id, "the ID is the same");
    await ok(alice.socket, "join", room);
    mustBe(alice.ears.untaken("message"), []);
  },

  async "who has said goodbye is not recovered"(world) {
    const { alice, bob, room } = await pair(world);
    alice.socket.disconnect();
    await bob.ears.next("left");
    await ok(bob.socket, "message", room, "missed");
    await comeBack(world, alice);
    mustBe(alice.socket.recovered, false, "recovered");
    await ok(alice.socket, "join", room);
    mustBe(alice.ears.untaken("message"), []);
  },
};
