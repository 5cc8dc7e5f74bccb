// Several namespaces on one connection.

import { ok, refused, told } from "../ears.mjs";
import { fresh, must, mustBe } from "../facts.mjs";

async function connected(world, manager, namespace) {
  const client = world.begin(manager, namespace);
  await told(client.socket, "connect");
  return client;
}

/** Begins to connect to a namespace that is not served, and gives the error. */
async function refusal(world, manager, namespace) {
  const { socket } = world.begin(manager, namespace);
  const [error] = await told(socket, "connect_error");
  mustBe(socket.connected, false, "connected");
  return error;
}

export const namespaceFacts = {
  async "several namespaces share a connection, each with its own session"(world) {
    const manager = world.manager({ user: fresh("many") });
    const names = ["/", "/game-1", "/game-2"];
    const clients = await Promise.all(names.map((name) => connected(world, manager, name)));
    const ids = clients.map(({ socket }) => socket.id);
    mustBe(new Set(ids).size, names.length, "the number of IDs");
    const sids = new Set(clients.map(({ socket }) => socket.io.engine.id));
    mustBe(sids.size, 1, "the number of connections");
  },

  async "a room of one namespace is not that of another"(world) {
    const manager = world.manager({ user: fresh("apart") });
    const [one, two] = [await connected(world, manager, "/game-1"), await connected(world, manager, "/game-2")];
    const room = fresh("room");
    for (const { socket } of [one, two]) mustBe((await ok(socket, "join", room)).members, 1, "the members");
    await ok(one.socket, "message", room, Buffer.from("in one"));
    mustBe((await one.ears.next("message"))[0].toString(), "in one");
    mustBe((await ok(two.socket, "history", room)).messages, []);
    mustBe(two.ears.untaken("message"), []);
  },

  async "one namespace meets others on other connections"(world) {
    const [alice, bob] = await Promise.all(["alice", "bob"].map((name) => world.arrive(fresh(name), { namespace: "/game-3" })));
    const room = fresh("room");
    await ok(alice.socket, "join", room);
    mustBe((await ok(bob.socket, "join", room)).members, 2, "the members");
    await ok(bob.socket, "message", room, "hello");
    mustBe((await alice.ears.next("message"))[0], "hello");
    mustBe((await ok(alice.socket, "private", bob.user, "psst")).status, "delivered");
    mustBe((await bob.ears.next("private"))[0], "psst");
  },

  async "leaving one namespace leaves the others alone"(world) {
    const manager = world.manager({ user: fresh("leaving") });
    const [root, game] = [await connected(world, manager, "/"), await connected(world, manager, "/game-1")];
    const room = fresh("room");
    for (const { socket } of [root, game]) await ok(socket, "join", room);
    const witness = await world.arrive(fresh("witness"), { namespace: "/game-1" });
    await ok(witness.socket, "join", room);
    game.socket.disconnect();
    await witness.ears.next("left");
    await ok(root.socket, "message", room, "still here");
    mustBe((await root.ears.next("message"))[0], "still here");
    const back = told(game.socket, "connect");
    game.socket.connect();
    await back;
    await refused("not_joined", game.socket, "message", room, "not yet");
  },

  async "a namespace that is not served is refused, and harms no other"(world) {
    const manager = world.manager({ user: fresh("refused") });
    const root = await connected(world, manager, "/");
    for (const name of ["/nope", "/game", "/games-1", "/GAME-1"]) {
      mustBe((await refusal(world, manager, name)).message, "Invalid namespace");
    }
    await ok(root.socket, "join", fresh("room"));
    must(root.socket.connected, "it is not connected");
  },

  async "a connection whose first namespace is refused can have others"(world) {
    const manager = world.manager({ user: fresh("refused") });
    mustBe((await refusal(world, manager, "/nope")).message, "Invalid namespace");
    const game = await connected(world, manager, "/game-1");
    await ok(game.socket, "join", fresh("room"));
  },
};
