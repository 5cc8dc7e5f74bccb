// The change from polling to a WebSocket, while messages flow both ways.

import { NodeWebSocket, NodeXHR } from "socket.io-client";

import { ok, told } from "../ears.mjs";
import { fresh, mustBe, must } from "../facts.mjs";

const ROUNDS = 10;
/** Within what a connection may publish at once. */
const MOST = 400;
/** How many follow when the change is done. */
const AFTER = 30;

/** The transports of a client that changes when it is let, or it would have done so before it is connected. */
function changingWhen(isLet) {
  class Late extends NodeWebSocket {
    doOpen() {
      isLet.then(() => super.doOpen());
    }
  }
  return [NodeXHR, Late];
}

/** Publishes numbers until it is told to stop, and gives how many. */
async function stream(socket, room, isDone) {
  let count = 0;
  const say = () => socket.emit("message", room, { by: socket.id, n: (count += 1) });
  while (!isDone() && count < MOST) {
    say();
    await new Promise(setImmediate);
  }
  return { say, count: () => count };
}

export const upgradeFacts = {
  async "what is said and heard during the change is neither lost nor repeated nor reordered"(world) {
    const witness = await world.arrive();
    let during = 0;
    for (let round = 0; round < ROUNDS; round += 1) {
      const room = fresh("stream");
      await ok(witness.socket, "join", room);
      let change;
      const transports = changingWhen(new Promise((resolve) => (change = resolve)));
      const client = await world.arrive(fresh("changing"), { transports });
      await ok(client.socket, "join", room);
      const { engine } = client.socket.io;
      let isUpgraded = false;
      const upgraded = told(engine, "upgrade").then(() => (isUpgraded = true));
      change();

      const streams = await Promise.all([client, witness].map(({ socket }) => stream(socket, room, () => isUpgraded)));
      during += streams[0].count();
      await upgraded;
      for (let n = 0; n < AFTER; n += 1) for (const { say } of streams) say();

      const total = streams.reduce((sum, { count }) => sum + count(), 0);
      const [here, there] = await Promise.all([client, witness].map(({ ears }) => ears.several("message", total)));
      const shown = (messages) => messages.map(([{ by, n }, { offset }]) => [by, n, offset]);
      mustBe(there.map(([, { offset }]) => offset), Array.from({ length: total }, (_, n) => n + 1), "the offsets");
      mustBe(shown(here), shown(there), "what the client heard");
      for (const [index, { socket }] of [client, witness].entries()) {
        const own = there.filter(([{ by }]) => by === socket.id).map(([{ n }]) => n);
        mustBe(own, Array.from({ length: streams[index].count() }, (_, n) => n + 1), "what one said");
      }
      mustBe(engine.transport.name, "websocket", "the transport");
      client.socket.disconnect();
    }
    must(during > ROUNDS, "no change was under way when messages flowed");
  },

  async "requests that are under way during the change are all answered"(world) {
    for (let round = 0; round < ROUNDS; round += 1) {
      let change;
      const transports = changingWhen(new Promise((resolve) => (change = resolve)));
      const { socket } = await world.arrive(fresh("asking"), { transports });
      const room = fresh("asking");
      const upgraded = told(socket.io.engine, "upgrade");
      const asked = [ok(socket, "join", room)];
      change();
      for (let n = 0; n < 50; n += 1) {
        asked.push(ok(socket, "message", room, Buffer.from([n])));
        await new Promise(setImmediate);
      }
      const answers = await Promise.all(asked);
      mustBe(answers.map(({ offset }) => offset), Array.from({ length: 51 }, (_, n) => n));
      await upgraded;
      socket.disconnect();
    }
  },
};
