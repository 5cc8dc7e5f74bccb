// What the application's servers ask, as the Socket.IO client hears it: `node servers.mjs KEY URL…`,
// where KEY is one of api.keys.

import { io } from "socket.io-client";

import { Ears, ok, told } from "./ears.mjs";
import { fresh, inTurn, must, mustBe, prove, urlsGiven } from "./facts.mjs";

const url = inTurn(urlsGiven(process.argv.slice(2), "servers.mjs KEY"));
const key = process.argv[2];

/** Asks the next router, and gives the answer to what must be granted. */
async function ask(method, path, body) {
  const headers = { Authorization: `Bearer ${key}`, "Content-Type": "application/json" };
  const answer = await fetch(`${url()}/api/v1${path}`, { method, headers, body: body && JSON.stringify(body) });
  const text = await answer.text();
  must(answer.ok, `${method} ${path} was answered ${answer.status}: ${text}`);
  return JSON.parse(text);
}

async function arrive(user, options = {}) {
  const socket = io(url(), { query: { user }, forceNew: true, ...options });
  const ears = new Ears(socket);
  await told(socket, "connect");
  return { user, socket, ears };
}

const facts = {
  async "a message to a room is an event"({ people, room }) {
    for (const { socket } of people) await ok(socket, "join", room);
    const { offset } = await ask("POST", `/rooms/${room}/messages`, { event: "note", args: ["a", { b: 1 }] });
    for (const { ears } of people) {
      const [one, other, about] = await ears.next("note");
      mustBe([one, other, about.room, about.from, about.offset], ["a", { b: 1 }, room, "server", offset]);
    }
  },

  async "binary is a Buffer"({ people, room }) {
    await ask("POST", `/rooms/${room}/messages`, { event: "file", data: { content: { $base64: "AAH/" } } });
    for (const { ears } of people) {
      const [{ content }] = await ears.next("file");
      must(Buffer.isBuffer(content), "it is no Buffer");
      mustBe([...content], [0, 1, 255]);
    }
  },

  async "a listener with a callback is an acknowledgement"({ people, room }) {
    for (const { user, socket } of people) {
      socket.once("ready?", (n, about, answer) => answer(n + 1, user));
    }
    const question = { event: "ready?", data: 1, ack_timeout: "10s" };
    const { asked, acknowledgements } = await ask("POST", `/rooms/${room}/messages`, question);
    mustBe(asked, people.length);
    mustBe(acknowledgements.map(([n]) => n), people.map(() => 2));
    mustBe(acknowledgements.map(([, user]) => user).sort(), people.map(({ user }) => user).sort());
  },

  async "a private message is the user's or the session's"({ people: [alice, bob] }) {
    mustBe((await ask("POST", `/users/${alice.user}/messages`, { event: "note", data: 1 })).status, "delivered");
    mustBe((await ask("POST", `/users/${bob.socket.id}/messages`, { event: "note", data: 2 })).status, "delivered");
    mustBe((await alice.ears.next("note"))[0], 1);
    mustBe((await bob.ears.next("note"))[0], 2);
  },

  async "what is published while a client is away is there when it comes back"({ people: [alice], room }) {
    const back = told(alice.socket, "connect");
    alice.socket.io.engine.close();
    await ask("POST", `/rooms/${room}/messages`, { event: "missed", data: 1 });
    await back;
    must(alice.socket.recovered, "it has not recovered");
    mustBe((await alice.ears.next("missed"))[0], 1);
  },

  async "a user whose connections are ended is told so, and does not come back"({ people }) {
    for (const { user, socket } of people) {
      const reason = told(socket, "disconnect");
      mustBe(await ask("DELETE", `/users/${user}/connections`), { user, connections: 1 });
      mustBe((await reason)[0], "io server disconnect", socket.io.opts.transports.join());
      must(!socket.active, "it would come back");
    }
  },
};

const people = [];
for (const transports of [["polling"], ["websocket"], ["polling", "websocket"]]) {
  people.push(await arrive(fresh("user"), { transports }));
}
process.exit((await prove(facts, { people, room: fresh("room") })) ? 0 : 1);
