// Clients that come and are gone without a word, in every state that a connection can be in:
// `node churn.mjs COUNT URL…`. It prints how many there were of each; that nothing is left of them is
// for its caller to see.

import http from "node:http";
import net from "node:net";

import { Server } from "./engine/wire.mjs";
import { inTurn, mustBe, urlsGiven, within } from "./facts.mjs";

const AT_ONCE = 100;
const LIMIT_MS = 240_000;

const count = Number(process.argv[2]);
const urls = urlsGiven(Number.isInteger(count) ? process.argv.slice(3) : [], "churn.mjs COUNT");
const server = new Server(urls, new http.Agent({ keepAlive: true, maxFreeSockets: AT_ONCE }));
const url = inTurn(urls);

let turn = 0;
/** Few rooms for many, so that they come and go while others are in them. */
const room = () => `churn-${(turn += 1) % 50}`;

async function connected() {
  const session = await server.polling();
  await session.connect();
  await session.post(`421["join","${room()}"]`);
  await session.until((packet) => packet.startsWith("431["));
  return session;
}

async function probed() {
  const session = await connected();
  const wire = session.upgrade();
  await within("an upgrade", wire.opened);
  wire.send("2probe");
  mustBe(await wire.next(), "3probe");
  return { session, wire };
}

async function inRoom() {
  const { wire } = await server.session();
  wire.send("40");
  await wire.until((message) => message.startsWith("40"));
  wire.send(`421["join","${room()}"]`);
  await wire.until((message) => message.startsWith("431["));
  return wire;
}

/** Sends the beginning of something over a bare connection, and hangs up. */
async function beginAndHangUp(text) {
  const { hostname, port } = new URL(url());
  const socket = net.connect(port, hostname);
  await within("a connection", new Promise((resolve, reject) => socket.once("connect", resolve).once("error", reject)));
  await new Promise((resolve) => socket.write(text, resolve));
  socket.on("error", () => {});
  socket.destroy();
}

const ends = {
  async "after the handshake"() {
    await server.polling();
  },
  async "after a WebSocket's handshake"() {
    (await server.session()).wire.socket.terminate();
  },
  async "in a room, between two polls"() {
    await connected();
  },
  async "in a room, in the middle of a poll"() {
    const poll = (await connected()).beginPoll();
    await poll.sent;
    poll.request.destroy();
  },
  async "in the middle of a post"() {
    const { sid } = await connected();
    const head = `POST /socket.io/?EIO=4&transport=polling&sid=${sid} HTTP/1.1\r\nHost: churn\r\n`;
    await beginAndHangUp(`${head}Content-Type: text/plain;charset=UTF-8\r\nContent-Length: 1000\r\n\r\n42["message"`);
  },
  async "in the middle of a request's header"() {
    await beginAndHangUp("GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: chu");
  },
  async "after the probe"() {
    (await probed()).wire.socket.terminate();
  },
  async "between the upgrade and the first message"() {
    const { wire } = await probed();
    wire.send("5");
    wire.socket.terminate();
  },
  async "in a room, after the upgrade"() {
    const { wire } = await probed();
    wire.send("5");
    wire.send(`422["join","${room()}"]`);
    await wire.until((message) => message.startsWith("432["));
    wire.socket.terminate();
  },
  async "in a room, with a WebSocket"() {
    (await inRoom()).socket.terminate();
  },
  async "in the middle of a binary event"() {
    const wire = await inRoom();
    wire.send(`452-["message","${room()}",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]`);
    wire.send(Buffer.from([1]));
    wire.socket.terminate();
  },
  async "while it joins rooms"() {
    const wire = await inRoom();
    for (let n = 0; n < 5; n += 1) wire.send(`42["join","${room()}"]`);
    wire.socket.terminate();
  },
};

// All ends are mixed, so that each state meets every other.
const done = new Map();
let left = count;
async function comeAndGo() {
  while (left > 0) {
    left -= 1;
    const [when, end] = Object.entries(ends)[left % Object.keys(ends).length];
    try {
      await end();
    } catch (error) {
      left = 0;
      throw new Error(`${when}: ${error.stack}`);
    }
    done.set(when, (done.get(when) ?? 0) + 1);
  }
}

try {
  const all = Promise.all(Array.from({ length: AT_ONCE }, comeAndGo));
  await within(`${count} clients`, all, LIMIT_MS);
  for (const [when, times] of done) console.log(`ok - ${times} are gone ${when}`);
  process.exit(0);
} catch (error) {
  console.log(`not ok - ${error.message}`);
  process.exit(1);
}
