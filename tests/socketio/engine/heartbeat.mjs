// Who is silent too long is gone. The service runs with a ping every two seconds and as long a
// time-out, for this.

import { must, mustBe } from "../facts.mjs";
import { mustBeOver } from "./answers.mjs";
import { SEPARATOR } from "./wire.mjs";

export const heartbeatFacts = {
  async "a polling client that answers no ping is told so and forgotten"({ server }) {
    const session = await server.polling();
    await session.connect();
    mustBe((await session.poll()).body, "2");
    mustBe((await session.poll()).body, "1");
    await mustBeOver(session);
  },

  async "a polling client that does not poll is forgotten as well"({ server }) {
    const session = await server.polling();
    await session.connect();
    // Another one's clock shows when: its third ping comes an interval after the silent one's end.
    const { wire } = await server.session();
    wire.send("40");
    for (let pings = 0; pings < 3; pings += 1) {
      while ((await wire.next()) !== "2");
      wire.send("3");
    }
    await mustBeOver(session);
    wire.socket.terminate();
  },

  async "a WebSocket that answers no ping is closed"({ server }) {
    const { wire } = await server.session();
    wire.send("40");
    await wire.next();
    mustBe(await wire.next(), "2");
    await wire.end();
  },

  async "who answers stays"({ server }) {
    const { wire } = await server.session();
    wire.send("40");
    await wire.next();
    for (let pings = 0; pings < 3; pings += 1) {
      mustBe(await wire.next(), "2");
      wire.send("3");
    }
    wire.socket.terminate();
  },

  async "a session that connects to no namespace in time is ended"({ server }) {
    const { wire } = await server.session();
    const polling = await server.polling();
    for (let answer; (answer = await polling.poll()).status === 200; ) {
      const packets = answer.body.split(SEPARATOR);
      must(packets.every((packet) => ["2", "6", "1"].includes(packet)), `it is ${answer.body}`);
      if (packets.includes("2")) await polling.post("3");
    }
    await mustBeOver(polling);
    await wire.end();
  },
};
