// What arrives is what was sent: binary wherever it stands, and JSON of all kinds.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";

import { ok, refused } from "../ears.mjs";
import { fresh } from "../facts.mjs";

const bytes = randomBytes(2_000);
const NESTED = {
  name: "photo.jpg",
  parts: [{ at: 0, content: bytes }, { at: 1, content: Buffer.from("é🎈") }],
  thumbnail: { small: Buffer.from([0, 255, 10, 13]), large: null },
};

/** Arguments of messages; each must arrive as it is, or as `arrives`. */
const SAID = {
  "a Buffer": [[bytes]],
  "nothing in a Buffer": [[Buffer.alloc(0)]],
  "several Buffers": [[Buffer.from("one"), "between", Buffer.from("two"), Buffer.from("three")]],
  "nested Buffers": [[NESTED, [bytes, [bytes]]]],
  "an ArrayBuffer and a view": [[bytes.buffer.slice(0, 10), new Uint8Array([1, 2, 3])], [Buffer.from(bytes.buffer.slice(0, 10)), Buffer.from([1, 2, 3])]],
  // The client's parser takes no more.
  "ten attachments": [[Array.from({ length: 10 }, (_, n) => Buffer.from([n]))]],
  "no argument": [[]],
  "all kinds of JSON": [[null, true, 0, -1.5, 1e21, 123456789012, "", [], {}, [[[]]], { "": { "a b": [1, { c: null }] } }]],
  "text of all kinds": [["\u0000\u001e\u2028 \"quoted\" \\ / 🎈 ü\n\r\t", "451-[\"message\",{\"_placeholder\":true,\"num\":0}]"]],
  "keys in their order": [[{ z: 1, a: 2, 10: 3, m: 4 }]],
};

async function pair(world) {
  const [alice, bob] = [await world.arrive(), await world.arrive()];
  const room = fresh("binary");
  for (const { socket } of [alice, bob]) await ok(socket, "join", room);
  return { alice, bob, room };
}

/** The arguments without what the service adds to them. */
const data = (args) => args.slice(0, args.findLastIndex((arg) => typeof arg === "object" && arg?.from !== undefined));

async function mustArrive(world, send, hear) {
  const { alice, bob, room } = await pair(world);
  for (const [what, [args, arrives = args]] of Object.entries(SAID)) {
    await send(alice, bob, room, args);
    for (const args of await hear(alice, bob)) {
      assert.deepEqual(data(args), arrives, what);
      assert.equal(JSON.stringify(data(args)), JSON.stringify(arrives), what);
    }
  }
}

export const binaryFacts = {
  async "whatever is said in a room arrives as it was sent, binary too"(world) {
    const send = ({ socket }, _, room, args) => ok(socket, "message", room, ...args);
    await mustArrive(world, send, async (...both) => Promise.all(both.map(({ ears }) => ears.next("message"))));
  },

  async "whatever is said in private arrives as it was sent, binary too"(world) {
    const send = ({ socket }, { user }, _, args) => ok(socket, "private", user, ...args);
    await mustArrive(world, send, async (_, { ears }) => [await ears.next("private")]);
  },

  async "whatever passes without being kept arrives as it was sent, binary too"(world) {
    const send = ({ socket }, _, room, args) => ok(socket, "typing", room, ...args);
    await mustArrive(world, send, async (_, { ears }) => [await ears.next("typing")]);
  },

  async "a request with binary is acknowledged, or refused, as others are"(world) {
    const { alice, room } = await pair(world);
    await ok(alice.socket, "message", room, bytes, NESTED);
    await refused("not_joined", alice.socket, "message", fresh("elsewhere"), bytes);
    await refused("bad_request", alice.socket, "join", bytes);
    await refused("unknown_type", alice.socket, "no such event", NESTED);
  },

  async "binary and text keep their order"(world) {
    const { alice, bob, room } = await pair(world);
    const said = Array.from({ length: 60 }, (_, n) => (n % 3 === 0 ? randomBytes(n * 20) : n));
    for (const each of said) alice.socket.emit("message", room, each);
    const heard = await bob.ears.several("message", said.length);
    assert.deepEqual(heard.map(([each]) => each), said);
  },
};
