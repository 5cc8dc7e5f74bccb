// The default rules for rooms and private messages.

import { ok, refused } from "../ears.mjs";
import { fresh, must, mustBe } from "../facts.mjs";

/** Two clients in a new room. */
async function pair(world) {
  const room = fresh("room");
  const [alice, bob] = [await world.arrive(), await world.arrive()];
  await ok(alice.socket, "join", room);
  await ok(bob.socket, "join", room);
  await alice.ears.next("joined");
  return { alice, bob, room };
}

export const roomFacts = {
  async "joining tells who joins how many there are, and the others who comes"(world) {
    const room = fresh("room");
    const [alice, bob] = [await world.arrive(), await world.arrive()];
    const first = await ok(alice.socket, "join", room);
    mustBe([first.room, first.offset, first.members], [room, 0, 1]);
    must(typeof first.epoch === "string", "it has no epoch");
    mustBe((await ok(bob.socket, "join", room)).members, 2);
    mustBe((await alice.ears.next("joined"))[0], { room, user: bob.user });
    mustBe(bob.ears.untaken("joined"), []);
  },

  async "a message reaches all members, with its place, and nobody else"(world) {
    const { alice, bob, room } = await pair(world);
    const carol = await world.arrive();
    const answer = await ok(alice.socket, "message", room, "hello");
    mustBe(answer.offset, 1, "the offset");
    for (const { ears } of [alice, bob]) {
      const [text, about] = await ears.next("message");
      const { time, ...rest } = about;
      mustBe([text, rest], ["hello", { room, from: alice.user, epoch: answer.epoch, offset: 1 }]);
      must(Math.abs(Date.now() - time) < 60_000, `the time is ${time}`);
    }
    await ok(carol.socket, "join", room);
    mustBe(carol.ears.untaken("message"), []);
  },

  async "the sender's acknowledgement comes before the echo"(world) {
    const { alice, room } = await pair(world);
    const order = [];
    alice.socket.on("message", () => order.push("echo"));
    const acknowledged = new Promise((resolve) => {
      alice.socket.emit("message", room, "which is first?", () => resolve(order.push("acknowledgement")));
    });
    await acknowledged;
    await alice.ears.next("message");
    mustBe(order, ["acknowledgement", "echo"]);
  },

  async "messages keep their order, for all"(world) {
    const { alice, bob, room } = await pair(world);
    const COUNT = 100;
    for (let n = 0; n < COUNT; n += 1) alice.socket.emit("message", room, n);
    for (const { ears } of [alice, bob]) {
      const messages = await ears.several("message", COUNT);
      mustBe(messages.map(([n, { offset }]) => [n, offset]), Array.from({ length: COUNT }, (_, n) => [n, n + 1]));
    }
  },

  async "typing passes to the others and has no place"(world) {
    const { alice, bob, room } = await pair(world);
    mustBe(await ok(alice.socket, "typing", room, true), { type: "ok", room });
    mustBe((await bob.ears.next("typing")).slice(0, 2), [true, { room, from: alice.user }]);
    await ok(alice.socket, "message", room, "done");
    await alice.ears.next("message");
    mustBe(alice.ears.untaken("typing"), []);
  },

  async "who leaves hears no more, and the others hear of it"(world) {
    const { alice, bob, room } = await pair(world);
    mustBe(await ok(bob.socket, "leave", room), { type: "ok", room });
    mustBe((await alice.ears.next("left"))[0], { room, user: bob.user });
    await ok(alice.socket, "message", room, "is anybody here?");
    await refused("not_joined", bob.socket, "message", room, "let me in");
    await refused("not_joined", bob.socket, "leave", room);
    mustBe(bob.ears.untaken("message"), []);
  },

  async "a second window of a user comes and goes unnoticed"(world) {
    const { alice, bob, room } = await pair(world);
    const other = await world.arrive(bob.user);
    mustBe((await ok(other.socket, "join", room)).members, 2, "the members");
    const { users, sure } = await ok(alice.socket, "presence", room);
    const wanted = [{ user: alice.user, connections: 1 }, { user: bob.user, connections: 2 }];
    mustBe([users, sure], [wanted.toSorted((one, two) => (one.user < two.user ? -1 : 1)), true]);
    await ok(other.socket, "leave", room);
    await ok(alice.socket, "message", room, "after");
    await alice.ears.next("message");
    mustBe([alice.ears.untaken("joined"), alice.ears.untaken("left")], [[], []]);
  },

  async "history gives what a room has kept, the newest or after a position"(world) {
    const { alice, room } = await pair(world);
    for (let n = 1; n <= 10; n += 1) await ok(alice.socket, "message", room, `text ${n}`);
    const offsets = async (query) => (await ok(alice.socket, "history", room, query)).messages.map(({ offset }) => offset);
    mustBe(await offsets({ limit: 3 }), [8, 9, 10]);
    mustBe(await offsets({ after: 3, limit: 2 }), [4, 5]);
    mustBe(await offsets({ before: 3 }), [1, 2]);
    const { messages } = await ok(alice.socket, "history", room);
    const { time, ...last } = messages.at(-1);
    must(messages.length === 10 && time > 0, `there are ${messages.length}`);
    mustBe([last.room, last.from, last.event, last.data], [room, alice.user, "message", "text 10"]);
  },

  async "a join after a position is sent first what came since"(world) {
    // Socket.IO's own server has no such thing.
    if (world.isReference) return;
    const { alice, bob, room } = await pair(world);
    const seen = await ok(alice.socket, "message", room, "seen");
    await bob.ears.next("message");
    await ok(bob.socket, "leave", room);
    for (const text of ["missed", "missed too"]) await ok(alice.socket, "message", room, text);
    const heard = [];
    bob.socket.on("message", (text) => heard.push(text));
    const answer = await ok(bob.socket, "join", room, { after: { epoch: seen.epoch, offset: seen.offset } });
    mustBe([answer.recovered, heard], [true, ["missed", "missed too"]]);
  },

  async "private messages go to a name or a socket.id"(world) {
    const [alice, bob] = [await world.arrive(), await world.arrive()];
    const byName = await ok(alice.socket, "private", bob.user, "one", { two: 2 });
    mustBe(byName, { type: "ok", to: bob.user, status: "delivered" });
    const [one, two, about] = await bob.ears.next("private");
    mustBe([one, two, about.from, typeof about.offset], ["one", { two: 2 }, alice.user, "number"]);
    mustBe((await ok(alice.socket, "private", bob.socket.id, "three")).status, "delivered");
    const [three, { from, ...rest }] = await bob.ears.next("private");
    mustBe([three, from, Object.keys(rest)], ["three", alice.user, ["time"]]);
  },

  async "names of rooms that are none are refused"(world) {
    const { socket } = await world.arrive();
    for (const room of [undefined, null, true, "", {}, []]) await refused("bad_request", socket, "join", room);
    await ok(socket, "join", "a room, with spaces and ümläuts / and 🎈");
  },
};
