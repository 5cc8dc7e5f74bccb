// Clients of the native protocol share users and the rooms of the namespace "/".

import WebSocket from "ws";

import { ok } from "../ears.mjs";
import { fresh, mustBe, within } from "../facts.mjs";

/** A native client: JSON over a WebSocket. */
class Native {
  #objects = [];
  #waiting = [];
  #lastId = 0;

  static async arrive(world, user) {
    const native = new Native();
    native.user = user;
    const url = new URL("/ws", world.url());
    url.protocol = url.protocol.replace("http", "ws");
    url.searchParams.set("user", user);
    native.socket = new WebSocket(url, "trunkline.v1");
    native.socket.on("message", (text) => native.#take(JSON.parse(text)));
    await native.next((object) => object.type === "welcome");
    return native;
  }

  #take(object) {
    const index = this.#waiting.findIndex(({ fits }) => fits(object));
    if (index < 0) this.#objects.push(object);
    else this.#waiting.splice(index, 1)[0].resolve(object);
  }

  next(fits) {
    const index = this.#objects.findIndex(fits);
    if (index >= 0) return Promise.resolve(this.#objects.splice(index, 1)[0]);
    return within("an object", new Promise((resolve) => this.#waiting.push({ fits, resolve })));
  }

  async ok(request) {
    const id = (this.#lastId += 1);
    this.socket.send(JSON.stringify({ id, ...request }));
    const reply = await this.next((object) => object.id === id);
    mustBe(reply.type, "ok", JSON.stringify(reply));
    return reply;
  }
}

async function pair(world) {
  const room = fresh("shared");
  const alice = await world.arrive();
  const nora = await Native.arrive(world, fresh("nora"));
  await ok(alice.socket, "join", room);
  mustBe((await nora.ok({ type: "join", room })).members, 2, "the members");
  return { alice, nora, room };
}

export const nativeFacts = {
  async "native and Socket.IO clients see each other come and go"(world) {
    const { alice, nora, room } = await pair(world);
    mustBe((await alice.ears.next("joined"))[0], { room, user: nora.user });
    const bob = await world.arrive();
    await ok(bob.socket, "join", room);
    const joined = await nora.next(({ type }) => type === "joined");
    mustBe([joined.room, joined.user], [room, bob.user]);
    bob.socket.disconnect();
    const left = await nora.next(({ type }) => type === "left");
    mustBe([left.room, left.user], [room, bob.user]);
    await nora.ok({ type: "leave", room });
    mustBe((await alice.ears.next("left", ({ user }) => user === nora.user))[0], { room, user: nora.user });
  },

  async "what one says the other hears"(world) {
    const { alice, nora, room } = await pair(world);
    const said = await ok(alice.socket, "message", room, { text: "hello" });
    const heard = await nora.next(({ type }) => type === "message");
    mustBe([heard.room, heard.from, heard.event, heard.data, heard.offset], [room, alice.user, "message", { text: "hello" }, said.offset]);
    await alice.ears.next("message");
    const { epoch, offset } = await nora.ok({ type: "publish", room, event: "chat message", data: [1, "two"] });
    const [data, about] = await alice.ears.next("chat message");
    mustBe([data, about.room, about.from, about.epoch, about.offset], [[1, "two"], room, nora.user, epoch, offset]);
  },

  async "several arguments and binary are told to native clients"(world) {
    const { alice, nora, room } = await pair(world);
    await ok(alice.socket, "message", room, "one", { two: Buffer.from([1, 2, 3]) });
    const { args } = await nora.next(({ type }) => type === "message");
    mustBe(args, ["one", { two: { $base64: "AQID" } }]);
    await nora.ok({ type: "publish", room, event: "several", args: ["one", 2] });
    mustBe((await alice.ears.next("several")).slice(0, 2), ["one", 2]);
  },

  async "what passes reaches the other kind too"(world) {
    const { alice, nora, room } = await pair(world);
    await ok(alice.socket, "typing", room, true);
    const heard = await nora.next(({ type }) => type === "ephemeral");
    mustBe([heard.room, heard.from, heard.event, heard.data], [room, alice.user, "typing", true]);
    await nora.ok({ type: "publish", room, event: "typing", data: false, ephemeral: true });
    mustBe((await alice.ears.next("typing")).slice(0, 2), [false, { room, from: nora.user }]);
  },

  async "private messages pass both ways"(world) {
    const { alice, nora } = await pair(world);
    mustBe((await ok(alice.socket, "private", nora.user, "psst")).status, "delivered");
    const heard = await nora.next(({ type }) => type === "private");
    mustBe([heard.from, heard.event, heard.data], [alice.user, "private", "psst"]);
    for (const to of [alice.user, alice.socket.id]) {
      mustBe((await nora.ok({ type: "send", to, event: "note", data: to })).status, "delivered");
      const [data, { from }] = await alice.ears.next("note");
      mustBe([data, from], [to, nora.user]);
    }
  },
};
