// A chat with the server in the middle, as Socket.IO's tutorial has it: what one says, everybody
// hears. `node chat.mjs URL…`; the service runs with the rules of chat.toml, and with no other client.

import { io } from "socket.io-client";

import { Ears, ok, told } from "./ears.mjs";
import { inTurn, mustBe, prove, urlsGiven } from "./facts.mjs";

const url = inTurn(urlsGiven(process.argv.slice(2), "chat.mjs"));
const EVERYBODY = ["alice", "bob", "carol", "dave"];

async function arrive(user) {
  const socket = io(url(), { query: { user }, forceNew: true });
  const ears = new Ears(socket);
  await told(socket, "connect");
  return { user, socket, ears };
}

/** What of a message is the message, and from whom it is. */
const heard = ([text, { from }]) => ({ from, text });

const facts = {
  async "who is there hears who comes, and nobody hears of themselves"({ people }) {
    for (const user of EVERYBODY) {
      const person = await arrive(user);
      for (const { ears } of people) {
        const [{ user: other }] = await ears.next("user joined");
        mustBe(other, user);
      }
      people.push(person);
    }
    // What one's own coming would have led to came before this.
    const [alice] = people;
    alice.socket.emit("chat message", "am I alone?");
    for (const { ears } of people) {
      await ears.next("chat message");
      mustBe(ears.untaken("user joined"), []);
    }
  },

  async "a message reaches everybody, the sender too"({ people }) {
    const [, bob] = people;
    bob.socket.emit("chat message", "hello everybody");
    for (const { ears } of people) {
      mustBe(heard(await ears.next("chat message")), { from: "bob", text: "hello everybody" });
    }
  },

  async "messages of many are heard in one order by all"({ people }) {
    const EACH = 25;
    for (let n = 0; n < EACH; n += 1) {
      for (const { user, socket } of people) socket.emit("chat message", `${user} ${n}`);
    }
    const [first, ...others] = await Promise.all(
      people.map(async ({ ears }) => (await ears.several("chat message", people.length * EACH)).map(heard)),
    );
    for (const other of others) mustBe(other, first);
    for (const { user } of people) {
      const own = first.filter(({ from }) => from === user).map(({ text }) => text);
      mustBe(own, Array.from({ length: EACH }, (_, n) => `${user} ${n}`));
    }
  },

  async "an acknowledgement tells that a message has its place"({ people }) {
    const [alice, bob] = people;
    const one = await ok(alice.socket, "chat message", "is this on?");
    const other = await ok(bob.socket, "chat message", "it is");
    mustBe(other.epoch, one.epoch, "the epoch");
    mustBe(other.offset, one.offset + 1, "the offset");
    for (const { ears } of people) {
      const [[, first], [, second]] = await ears.several("chat message", 2);
      mustBe([first.offset, second.offset], [one.offset, other.offset]);
    }
  },

  async "the others see who types and who stops, the typist doesn't"({ people }) {
    const [alice, ...others] = people;
    alice.socket.emit("typing", true);
    alice.socket.emit("typing", false);
    alice.socket.emit("chat message", "so be it");
    for (const { ears } of others) {
      mustBe((await ears.next("typing"))[0], { user: "alice", typing: true });
      mustBe((await ears.next("typing"))[0], { user: "alice", typing: false });
    }
    for (const { ears } of people) await ears.next("chat message");
    mustBe(alice.ears.untaken("typing"), []);
  },

  async "the others hear who leaves, and who comes back"({ people }) {
    const dave = people.pop();
    dave.socket.disconnect();
    for (const { ears } of people) mustBe((await ears.next("user left"))[0], { user: "dave" });
    people.push(await arrive("dave"));
    for (const { ears } of people.slice(0, -1)) mustBe((await ears.next("user joined"))[0], { user: "dave" });
  },

  async "nobody heard anything twice"({ people }) {
    for (const { ears } of people) {
      for (const event of ["chat message", "typing", "user joined", "user left"]) mustBe(ears.untaken(event), []);
    }
  },
};

process.exit((await prove(facts, { people: [] })) ? 0 : 1);
