// What clients that poll notice when shards are killed while they talk: they are cut off, come back by
// themselves to the sessions that they had, and have missed nothing. `node crash.mjs --shards
// a=PID,b=PID,c=PID URL…` kills these in turn, all or one; whoever starts it starts all but one again. The
// service runs with crash.toml, and with a store.

import { World } from "./conformance/world.mjs";
import { ok } from "./ears.mjs";
import { fresh, more, must, mustBe, prove, urlsGiven, within } from "./facts.mjs";

const TALKERS = 18;
const ROOMS = 3;
const LAST = "last";

const usage = "crash.mjs --shards a=PID,b=PID,c=PID";
const urls = urlsGiven(process.argv.slice(2), usage);
const shards = process.argv[process.argv.indexOf("--shards") + 1].split(",");

/** A client that says one thing after the other in a room, and notes what it hears there. */
class Talker {
  /** What it was told is kept, and what it has heard, with the offsets. */
  said = [];
  heard = [];
  /** What it must not notice. */
  noticed = [];
  cutOff = 0;
  /** The last answer that it had, if it had one in time. */
  answered = null;
  #over = false;
  #waiting = [];

  constructor({ user, socket }, room) {
    Object.assign(this, { user, socket, room, id: socket.id });
    socket.on("disconnect", () => (this.cutOff += 1));
    socket.on("connect", () => {
      if (!socket.recovered) this.noticed.push("it has begun anew");
      if (socket.id !== this.id) this.noticed.push("it has another ID");
      this.#tell();
    });
    socket.on("message", (text, about) => {
      this.heard.push([about.offset, text]);
      this.#tell();
    });
    for (const event of ["left", "gap"]) {
      socket.on(event, (what) => this.noticed.push(`${event} ${JSON.stringify(what)}`));
    }
  }

  /** Waits until something holds that what happens here can make hold. */
  until(what, holds) {
    const come = new Promise((resolve) => {
      if (holds()) resolve();
      else this.#waiting.push({ holds, resolve });
    });
    return within(`${this.user}: ${what}`, come, 30_000);
  }

  #tell() {
    this.#waiting = this.#waiting.filter(({ holds, resolve }) => !(holds() && (resolve(), true)));
  }

  /** Says something until it is kept. What isn't answered may have been kept. */
  async say(text) {
    for (;;) {
      const answer = await this.socket
        .timeout(3000)
        .emitWithAck("message", this.room, text)
        .catch(() => null);
      this.answered = answer;
      if (answer?.type === "ok") return this.said.push([answer.offset, text]);
      await this.until("to be connected", () => this.socket.connected);
    }
  }

  /** Waits until it has heard what it has said last. */
  catchesUp() {
    const [last] = this.said.at(-1);
    return this.until("to catch up", () => this.heard.at(-1)?.[0] >= last);
  }

  async talk() {
    for (let n = 1; !this.#over; n += 1) await this.say(`${this.user} ${n}`);
    await this.say(LAST);
  }

  end() {
    this.#over = true;
  }
}

const facts = {
  async "whoever is cut off comes back to its session, and has heard all once and in order"(world) {
    const rooms = Array.from({ length: ROOMS }, () => fresh("room"));
    const talkers = [];
    for (let n = 0; n < TALKERS; n += 1) {
      const [client, room] = [await world.arrive(), rooms[n % ROOMS]];
      await ok(client.socket, "join", room);
      talkers.push(new Talker(client, room));
    }
    const talking = talkers.map((talker) => talker.talk());
    for (const shard of shards) {
      await more(talkers, 5);
      // Who is still catching up with what it missed by one crash would begin anew after another.
      await Promise.all(talkers.map((talker) => talker.catchesUp()));
      process.kill(Number(shard.split("=")[1]), "SIGKILL");
      await more(talkers, 5);
    }
    talkers.forEach((talker) => talker.end());
    await within("the last answers", Promise.all(talking), 60_000);
    for (const room of rooms) {
      const members = talkers.filter((talker) => talker.room === room);
      const said = members.flatMap((member) => member.said);
      const last = Math.max(...said.map(([offset]) => offset));
      for (const member of members) {
        await member.until("the last word", () => member.heard.at(-1)?.[0] >= last);
        const first = member.heard[0][0];
        const wrong = member.heard.findIndex(([offset], index) => offset !== first + index);
        const around = member.heard.slice(Math.max(wrong - 2, 0), wrong + 2);
        mustBe(wrong, -1, `what ${member.user} heard at ${JSON.stringify(around)}`);
        const heard = new Map(member.heard);
        const missed = said.filter(([at, text]) => at >= first && heard.get(at) !== text);
        mustBe(missed, [], `what ${member.user} has missed`);
        mustBe(member.noticed, [], `what ${member.user} has noticed`);
      }
    }
    const cutOff = talkers.filter((talker) => talker.cutOff > 0).length;
    must(cutOff >= (shards.length > 1 ? TALKERS : 1), `only ${cutOff} were cut off`);
  },
};
process.exit((await prove(facts, new World(urls, "polling", false))) ? 0 : 1);
