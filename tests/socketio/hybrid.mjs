// Both: what is said goes through the shards, and files go directly from peer to peer; where that
// fails, they go through the shards as well. `node hybrid.mjs URL…`; the service runs with the rules of
// hybrid.toml. In place of WebRTC, which node lacks, the direct way is a TCP connection.

import { createHash, randomBytes } from "node:crypto";
import { io } from "socket.io-client";

import { Ears, ok, told } from "./ears.mjs";
import { fresh, inTurn, must, mustBe, prove, urlsGiven, within } from "./facts.mjs";
import { Direct } from "./hybrid/direct.mjs";

const url = inTurn(urlsGiven(process.argv.slice(2), "hybrid.mjs"));

/** Someone who talks in rooms and takes files, whichever way they come. */
class Person {
  #offers = new Map();
  #files = [];

  constructor(user) {
    this.user = user;
    this.socket = io(url(), { query: { user }, forceNew: true });
    this.ears = new Ears(this.socket);
    this.socket.on("file", ({ senderId, name, content }) => this.#take({ from: senderId, name, content, way: "shards" }));
    this.socket.on("signal", ({ senderId, socketId, signal }) => this.#signalled(senderId, socketId, signal));
  }

  static async arrive(user) {
    const person = new Person(user);
    await told(person.socket, "connect");
    return person;
  }

  /** Sends a file directly if that works, otherwise through the shards; gives the way it went. */
  async send(recipientId, name, content, { isBlocked = false } = {}) {
    const direct = await Direct.offer(isBlocked);
    try {
      const answered = new Promise((resolve, reject) => this.#offers.set(direct.port, { resolve, reject }));
      this.socket.emit("signal", { recipientId, signal: { type: "offer", port: direct.port, name } });
      await within("an answer to the offer", answered);
      await within("the direct way", direct.send(content));
      return "direct";
    } catch {
      await ok(this.socket, "file", { recipientId, name, type: "application/octet-stream", content });
      return "shards";
    } finally {
      this.#offers.delete(direct.port);
      direct.close();
    }
  }

  /** The next file that came. */
  file() {
    const isThere = this.#files.find((each) => each.file);
    if (isThere) {
      this.#files.splice(this.#files.indexOf(isThere), 1);
      return isThere.file;
    }
    return within("a file", new Promise((resolve) => this.#files.push({ resolve })));
  }

  #take(file) {
    const waiting = this.#files.findIndex((each) => each.resolve);
    if (waiting < 0) this.#files.push({ file });
    else this.#files.splice(waiting, 1)[0].resolve(file);
  }

  async #signalled(from, socketId, { type, port, name }) {
    const answer = (kind) => this.socket.emit("signal", { recipientId: socketId, signal: { type: kind, port } });
    if (type === "accepted") this.#offers.get(port)?.resolve();
    if (type === "failed") this.#offers.get(port)?.reject(new Error("the other can't reach this one"));
    if (type !== "offer") return;
    try {
      const direct = await Direct.connect(port);
      answer("accepted");
      this.#take({ from, name, content: await direct.receive(), way: "direct" });
    } catch {
      answer("failed");
    }
  }
}

const digest = (content) => createHash("sha256").update(content).digest("hex");

const facts = {
  async "they meet in a room and talk through the shards"({ alice, bob, room }) {
    mustBe((await ok(alice.socket, "join", room)).members, 1);
    mustBe((await ok(bob.socket, "join", room)).members, 2);
    mustBe((await alice.ears.next("joined"))[0], { room, user: bob.user });
    alice.socket.emit("message", room, "I have a file for you");
    const [text, { room: where, from }] = await bob.ears.next("message");
    mustBe([text, where, from], ["I have a file for you", room, alice.user]);
  },

  async "a file goes directly, and not through the shards"({ alice, bob }) {
    const content = randomBytes(300_000);
    mustBe(await alice.send(bob.user, "photo.jpg", content), "direct");
    const file = await bob.file();
    mustBe([file.from, file.name, file.way, digest(file.content)], [alice.user, "photo.jpg", "direct", digest(content)]);
    mustBe(bob.ears.untaken("file"), []);
  },

  async "where the direct way fails, it comes through the shards, whole"({ alice, bob }) {
    const content = randomBytes(40_000);
    mustBe(await alice.send(bob.user, "notes.pdf", content, { isBlocked: true }), "shards");
    const file = await bob.file();
    must(Buffer.isBuffer(file.content), "it is no Buffer");
    mustBe([file.from, file.name, file.way, digest(file.content)], [alice.user, "notes.pdf", "shards", digest(content)]);
  },

  async "files cross, each by its own way, while both talk on"({ alice, bob, room }) {
    const [one, other] = [randomBytes(50_000), randomBytes(30_000)];
    const talk = [];
    for (let n = 0; n < 20; n += 1) talk.push(ok(alice.socket, "message", room, n));
    const ways = await Promise.all([alice.send(bob.user, "one", one), bob.send(alice.user, "other", other, { isBlocked: true })]);
    mustBe(ways, ["direct", "shards"]);
    mustBe(digest((await bob.file()).content), digest(one));
    mustBe(digest((await alice.file()).content), digest(other));
    await Promise.all(talk);
    const said = await bob.ears.several("message", 20);
    mustBe(said.map(([n]) => n), Array.from({ length: 20 }, (_, n) => n));
  },

  async "a file for who is away waits in the shards"({ alice, room, isReference }) {
    // Socket.IO's own server keeps nothing for who is away.
    if (isReference) return;
    const carol = fresh("carol");
    const content = randomBytes(20_000);
    const answer = await ok(alice.socket, "file", { recipientId: carol, name: "later", type: "text/plain", content });
    mustBe(answer.status, "queued");
    const person = await Person.arrive(carol);
    const file = await person.file();
    mustBe([file.name, digest(file.content)], ["later", digest(content)]);
    await ok(person.socket, "join", room);
  },

  async "who leaves hears no more"({ alice, bob, room }) {
    await ok(bob.socket, "leave", room);
    await alice.ears.next("left", ({ user }) => user === bob.user);
    await ok(alice.socket, "message", room, "is bob gone?");
    // What is said to him alone comes after what he would have heard.
    const content = randomBytes(10);
    await alice.send(bob.user, "last", content, { isBlocked: true });
    await bob.file();
    mustBe(bob.ears.untaken("message"), []);
  },
};

const isReference = process.argv.includes("--reference");
const [alice, bob] = await Promise.all(["alice", "bob"].map((name) => Person.arrive(fresh(name))));
process.exit((await prove(facts, { alice, bob, room: fresh("room"), isReference })) ? 0 : 1);
