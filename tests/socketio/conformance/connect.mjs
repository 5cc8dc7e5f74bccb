// Coming, staying, going, and coming back.

import { ok, told } from "../ears.mjs";
import { fresh, must, mustBe } from "../facts.mjs";

/** Who a client is for others. */
export async function nameOf({ socket, ears }) {
  const room = fresh("who");
  await ok(socket, "join", room);
  await ok(socket, "message", room, "it is me");
  const [, { from }] = await ears.next("message", (_, { room: where }) => where === room);
  await ok(socket, "leave", room);
  return from;
}

export const connectFacts = {
  async "a client connects, has an ID, and uses the transport that it wants"(world) {
    const { socket } = await world.arrive();
    must(/^~[\w-]{32}$/.test(socket.id), `the ID is ${socket.id}`);
    mustBe(socket.recovered, false, "recovered");
    const { engine } = socket.io;
    if (world.mode === "upgrade" && engine.transport.name !== "websocket") await told(engine, "upgrade");
    mustBe(engine.transport.name, world.mode === "polling" ? "polling" : "websocket", "the transport");
    socket.disconnect();
  },

  async "the query names the speaker, otherwise auth, otherwise the service"(world) {
    const [one, other] = [fresh("query"), fresh("auth")];
    mustBe(await nameOf(await world.arrive(one, { auth: { user: other } })), one);
    mustBe(await nameOf(await world.arrive(null, { auth: { user: other } })), other);
    const guest = await nameOf(await world.arrive(null));
    must(guest.startsWith("guest-"), `the name is ${guest}`);
  },

  async "a client can be placed by a room, which doesn't join it"(world) {
    const room = fresh("placing");
    const user = fresh("placed");
    const client = world.begin(world.manager({ room, user }));
    await told(client.socket, "connect");
    mustBe(await nameOf(client), user);
    mustBe((await ok(client.socket, "join", room)).members, 1, "the members");
  },

  async "what is emitted before there is a connection is sent when there is one"(world) {
    const client = world.begin(world.manager({ user: fresh("early") }));
    const room = fresh("early");
    const [joined, said] = await Promise.all([ok(client.socket, "join", room), ok(client.socket, "message", room, "hello")]);
    mustBe([joined.offset, said.offset], [0, 1], "the offsets");
    mustBe((await client.ears.next("message"))[0], "hello");
  },

  async "a connection outlives its heartbeats"(world) {
    const { socket } = await world.arrive();
    for (let pings = 0; pings < 3; pings += 1) await told(socket.io, "ping");
    await ok(socket, "join", fresh("alive"));
    mustBe(socket.connected, true, "connected");
  },

  async "a client that loses its connection comes back by itself"(world) {
    const { socket } = await world.arrive();
    for (let losses = 0; losses < 3; losses += 1) {
      const [lost, back] = [told(socket, "disconnect"), told(socket, "connect")];
      socket.io.engine.close();
      await lost;
      await back;
      await ok(socket, "join", fresh("back"));
    }
  },

  async "a client that goes is gone for others at once, and can come again as another session"(world) {
    const [alice, bob] = [await world.arrive(), await world.arrive()];
    const room = fresh("going");
    for (const { socket } of [alice, bob]) await ok(socket, "join", room);
    const { id } = bob.socket;
    bob.socket.disconnect();
    mustBe((await alice.ears.next("left"))[0], { room, user: bob.user });
    mustBe((await ok(alice.socket, "presence", room)).users, [{ user: alice.user, connections: 1 }]);
    const back = told(bob.socket, "connect");
    bob.socket.connect();
    await back;
    must(bob.socket.id !== id, "the ID is the same");
    mustBe(await nameOf(bob), bob.user);
  },
};
