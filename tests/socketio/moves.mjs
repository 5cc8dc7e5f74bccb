// What clients notice when each shard in turn is drained and serves again while they talk: nothing.
// `node moves.mjs polling|websocket|upgrade --trunkline PROGRAM --config FILE URL…`; the service has
// the shards a, b and c, and runs with moves.toml.

import { execFile } from "node:child_process";
import { promisify } from "node:util";

import { MODES, World } from "./conformance/world.mjs";
import { ok } from "./ears.mjs";
import { fresh, more, must, mustBe, prove, urlsGiven, within } from "./facts.mjs";

const TALKERS = 24;
const ROOMS = 3;
const SHARDS = ["a", "b", "c"];

const usage = "moves.mjs polling|websocket|upgrade --trunkline PROGRAM --config FILE";
const mode = process.argv[2];
const urls = urlsGiven(MODES[mode] ? process.argv.slice(3) : [], usage);
const given = (name) => process.argv[process.argv.indexOf(name) + 1];
const run = promisify(execFile);
const shard = (what, id) =>
  run(given("--trunkline"), ["shard", what, id, "--config", given("--config")]);

/** A client that says one thing after the other in a room, and notes what it hears there. */
class Talker {
  /** What it was told is kept, in its order; and what it has heard. */
  said = [];
  heard = [];
  /** Signs that it has noticed something. */
  noticed = [];
  #over = false;

  constructor({ user, socket }, room) {
    Object.assign(this, { user, socket, room });
    socket.on("disconnect", (reason) => this.noticed.push(`a disconnect: ${reason}`));
    socket.on("message", (text, bytes, about) => {
      if (about.room !== room) this.noticed.push(`a message of ${about.room}`);
      if (bytes.toString() !== `bytes of ${text}`) this.noticed.push(`${text} has other bytes`);
      this.heard.push(`${about.offset} ${text}`);
    });
    for (const event of ["left", "gap"]) {
      socket.on(event, (what) => this.noticed.push(`${event} ${JSON.stringify(what)}`));
    }
  }

  /** Talks until it is told to end. */
  async talk() {
    for (let n = 1; !this.#over; n += 1) {
      const text = `${this.user} ${n}`;
      const { offset } = await ok(this.socket, "message", this.room, text, Buffer.from(`bytes of ${text}`));
      this.said.push(`${offset} ${text}`);
    }
  }

  end() {
    this.#over = true;
  }
}

/** Lets all talk while something is done. */
async function meanwhile(talkers, deed) {
  const talking = talkers.map((talker) => talker.talk());
  try {
    await Promise.race([deed(), Promise.all(talking)]);
  } finally {
    talkers.forEach((talker) => talker.end());
  }
  await within("the last answers", Promise.all(talking));
}

const facts = {
  async "nobody is cut off, and all hear all that was said, once and in order"(world) {
    const rooms = Array.from({ length: ROOMS }, () => fresh("room"));
    const talkers = [];
    for (let n = 0; n < TALKERS; n += 1) {
      const [client, room] = [await world.arrive(), rooms[n % ROOMS]];
      await ok(client.socket, "join", room);
      talkers.push(new Talker(client, room));
    }
    await meanwhile(talkers, async () => {
      for (const id of [...SHARDS, ...SHARDS]) {
        await shard("drain", id);
        await more(talkers, 3);
        await shard("resume", id);
        await more(talkers, 3);
      }
    });
    for (const room of rooms) {
      const members = talkers.filter((talker) => talker.room === room);
      const said = members.flatMap((member) => member.said);
      const order = (one, other) => Number.parseInt(one, 10) - Number.parseInt(other, 10);
      said.sort(order);
      must(said.length > 100, `only ${said.length} were said in ${room}`);
      for (const member of members) {
        const all = () => member.heard.length >= said.length;
        await within("what was said", new Promise((resolve) => {
          if (all()) resolve();
          else member.socket.on("message", () => all() && resolve());
        })).catch(() => {});
        mustBe(member.noticed, [], `what ${member.user} has noticed`);
        const missed = said.filter((text) => !member.heard.includes(text));
        mustBe(missed, [], `what ${member.user} of ${said.length} has missed`);
        const at = member.heard.findIndex((text, index) => text !== said[index]);
        const around = (all) => all.slice(Math.max(at - 2, 0), at + 3);
        if (at >= 0) mustBe(around(member.heard), around(said), `what ${member.user} heard at ${at}`);
        must(member.socket.connected && !member.socket.recovered, `${member.user} has come back`);
      }
    }
    world.talkers = talkers;
  },

  async "who came while a shard was away is moved when it serves again"(world) {
    await shard("drain", "b");
    const room = fresh("room");
    const clients = [];
    for (let n = 0; n < TALKERS; n += 1) clients.push(await world.arrive());
    const late = clients.map((client) => new Talker(client, room));
    for (const { socket } of clients) await ok(socket, "join", room);
    await meanwhile(late, () => shard("resume", "b"));
    for (const talker of [...late, ...world.talkers]) {
      mustBe(talker.noticed, [], `what ${talker.user} has noticed`);
    }
  },

  async "whoever comes while shards go away and serve again is let in and stays"(world) {
    const room = fresh("room");
    const come = [];
    let over = false;
    const coming = (async () => {
      while (!over) {
        const talker = new Talker(await world.arrive(), room);
        await ok(talker.socket, "join", room);
        await ok(talker.socket, "message", room, "here", Buffer.from("bytes of here"));
        come.push(talker);
      }
    })();
    const others = async () => {
      const before = come.length;
      await within("others", (async () => {
        while (come.length < before + 3) await new Promise((resolve) => setImmediate(resolve));
      })());
    };
    for (const id of SHARDS) {
      await shard("drain", id);
      await others();
      await shard("resume", id);
      await others();
    }
    over = true;
    await within("the last of them", coming);
    for (const { user, noticed, socket } of come) {
      mustBe(noticed, [], `what ${user} has noticed`);
      must(socket.connected, `${user} is connected`);
    }
  },
};
process.exit((await prove(facts, new World(urls, mode, false))) ? 0 : 1);
