// Socket.IO's packets over a bare WebSocket: what the server takes, and what it closes for.

import { must, mustBe } from "../facts.mjs";

async function connected(server) {
  const { wire } = await server.session();
  wire.send("40");
  await wire.until((message) => message.startsWith("40"));
  return wire;
}

async function mustAnswer(wire) {
  wire.send('4288["leave","nowhere"]');
  await wire.until((message) => message.startsWith("4388["));
}

/** Leaves "/", which is not answered: what was sent after it is. */
async function leave(wire) {
  wire.send("41");
  wire.send("40/game-1,");
  await wire.until((message) => message.startsWith("40/game-1,"));
}

/** After these messages the server closes the connection. */
async function mustCloseAfter(wire, ...messages) {
  for (const message of messages) wire.send(message);
  const { code } = await wire.end();
  must(code >= 1000 && code < 2000, `it is closed with ${code}`);
  return code;
}

export const packetFacts = {
  async "connecting gives the socket an ID, and a private one to recover with"({ server }) {
    const { wire } = await server.session();
    wire.send("40{}");
    const packet = await wire.until((message) => message.startsWith("40"));
    const { sid, pid, ...rest } = JSON.parse(packet.slice(2));
    must(/^~[\w-]{32}$/.test(sid), `the ID is ${sid}`);
    must(typeof pid === "string" && pid !== sid, `the private ID is ${pid}`);
    mustBe(rest, {});
    wire.socket.terminate();
  },

  async "a namespace that is not served is refused, and the connection stays"({ server }) {
    const wire = await connected(server);
    wire.send("40/nope,");
    mustBe(await wire.until((message) => message.startsWith("44")), '44/nope,{"message":"Invalid namespace"}');
    await mustAnswer(wire);
    wire.socket.terminate();
  },

  async "disconnecting leaves the namespace and not the connection"({ server }) {
    const wire = await connected(server);
    await leave(wire);
    wire.send("40");
    await wire.until((message) => message.startsWith("40{"));
    await mustAnswer(wire);
    wire.socket.terminate();
  },

  async "a noop, a pong and an acknowledgement that nobody asked for are passed over"({ server }) {
    const wire = await connected(server);
    for (const packet of ["6", "3", "43999[1]"]) wire.send(packet);
    await mustAnswer(wire);
    wire.socket.terminate();
  },

  async "broken packets close the connection"({ server }) {
    for (const packet of ["9", "4x", '42["a', "42{}", "42[]", "44{}", "40[]", '42["connect"]', "40", "2"]) {
      await mustCloseAfter(await connected(server), packet);
    }
  },

  async "binary that is not announced, or not what was announced, closes the connection"({ server }) {
    const event = '451-["message","x",{"_placeholder":true,"num":0}]';
    await mustCloseAfter(await connected(server), Buffer.from([1, 2]));
    await mustCloseAfter(await connected(server), event, '42["leave","x"]');
    await mustCloseAfter(await connected(server), event.replace('"num":0', '"num":5'), Buffer.from([1]));
  },

  async "a packet has ten attachments at most"({ server }) {
    const event = (count) => `45${count}-89["leave",${Array.from({ length: count }, (_, num) => `{"_placeholder":true,"num":${num}}`)}]`;
    const wire = await connected(server);
    wire.send(event(10));
    for (let n = 0; n < 10; n += 1) wire.send(Buffer.from([n]));
    await wire.until((message) => message.startsWith("4389["));
    await mustCloseAfter(wire, event(11));
  },

  async "events of a namespace that is not connected to close the connection"({ server }) {
    await mustCloseAfter((await server.session()).wire, '42["leave","x"]');
    await mustCloseAfter(await connected(server), '42/other,["leave","x"]');
    const wire = await connected(server);
    await leave(wire);
    await mustCloseAfter(wire, '42["leave","x"]');
  },

  async "a message beyond the limit closes the connection with 1009"({ server }) {
    mustBe(await mustCloseAfter(await connected(server), "4".repeat(100 * 1024 + 1)), 1009);
  },
};
