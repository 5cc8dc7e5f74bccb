// Mode "jwt" as Socket.IO clients meet it, in one transport mode: `node tokens.mjs
// polling|websocket|upgrade SECRET URL…`; the service runs with this secret for HS256.

import { createHmac } from "node:crypto";

import { nameOf } from "./conformance/connect.mjs";
import { MODES, World } from "./conformance/world.mjs";
import { ok, refused, told } from "./ears.mjs";
import { fresh, must, mustBe, prove, urlsGiven } from "./facts.mjs";

const [mode, secret, ...rest] = process.argv.slice(2);
const urls = urlsGiven(MODES[mode] ? rest : [], "tokens.mjs polling|websocket|upgrade SECRET");

/** How long a token may take to be refused: not as long as the client waits for a handshake. */
const AT_ONCE_MS = 10_000;

function at(seconds) {
  return Math.floor(Date.now() / 1000) + seconds;
}

/** A token that the service believes; `more` adds claims or replaces them. */
function token(sub, more = {}, key = secret) {
  const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const signed = `${part({ alg: "HS256", typ: "JWT" })}.${part({ sub, exp: at(3600), ...more })}`;
  return `${signed}.${createHmac("sha256", key).update(signed).digest("base64url")}`;
}

const BAD = {
  rubbish: () => "rubbish",
  "signed by another": (user) => token(user, {}, "the secret of somebody else, also long"),
  expired: (user) => token(user, { exp: at(-60) }),
};

/** A client that has connected with this query and `auth`. */
async function arrive(world, query, auth) {
  const client = world.begin(world.manager(query), "/", auth);
  await told(client.socket, "connect");
  return client;
}

/** The error that a client gets in place of a connection; it does not come back. */
async function mustFail(world, query, auth) {
  const { socket } = world.begin(world.manager(query, { reconnection: false }), "/", auth);
  const [error] = await told(socket, "connect_error", AT_ONCE_MS);
  mustBe(socket.connected, false, "connected");
  socket.disconnect();
  return error;
}

const facts = {
  async "a token in the query names the speaker, whatever else the query says"(world) {
    const user = fresh("query");
    const client = await arrive(world, { token: token(user), user: "mallory" });
    mustBe(await nameOf(client), user);
  },

  async "a token in auth names the speaker, wherever the client is placed"(world) {
    for (const query of [{}, { room: fresh("placing") }, { user: "mallory" }]) {
      const user = fresh("auth");
      const client = await arrive(world, query, { token: token(user), user: "mallory" });
      mustBe(await nameOf(client), user);
    }
  },

  async "a token in auth goes before one in the query"(world) {
    const [one, other] = [fresh("one"), fresh("other")];
    mustBe(await nameOf(await arrive(world, { token: token(one) }, { token: token(other) })), other);
  },

  async "each namespace may have a token of its own"(world) {
    const [one, other] = [fresh("one"), fresh("other")];
    const manager = world.manager({});
    const clients = [world.begin(manager, "/", { token: token(one) }), world.begin(manager, "/game-1", { token: token(other) })];
    await Promise.all(clients.map(({ socket }) => told(socket, "connect")));
    mustBe([await nameOf(clients[0]), await nameOf(clients[1])], [one, other]);
  },

  async "a bad token in the query begins nothing"(world) {
    for (const bad of Object.values(BAD)) {
      const query = { token: bad(fresh("bad")) };
      await mustFail(world, query, { token: token("alice") });
      if (mode === "websocket") continue;
      const answer = await fetch(`${world.url()}/socket.io/?EIO=4&transport=polling&token=${query.token}`);
      mustBe([answer.status, await answer.json()], [400, { code: 3, message: "Bad request" }]);
    }
  },

  async "without a token no namespace takes the client, and the error says why"(world) {
    for (const auth of [undefined, {}, { user: "mallory" }, { token: 7 }]) {
      const error = await mustFail(world, { user: "mallory" }, auth);
      mustBe(error.data?.code, "forbidden", "the code");
      must(/token/.test(error.message), `the message is ${error.message}`);
    }
  },

  async "a bad token in auth is refused the same way, and a good one that follows is taken"(world) {
    for (const bad of Object.values(BAD)) {
      const user = fresh("bad");
      const { socket, ears } = world.begin(world.manager({}), "/", { token: bad(user) });
      const [error] = await told(socket, "connect_error");
      mustBe(error.data?.code, "forbidden", "the code");
      socket.auth = { token: token(user) };
      const connected = told(socket, "connect");
      socket.connect();
      await connected;
      mustBe(await nameOf({ socket, ears }), user);
    }
  },

  async "with its token a client's connection ends, and it comes back with a new one"(world) {
    const user = fresh("renewing");
    let given = 0;
    const auth = (give) => give({ token: token(user, (given += 1) === 1 ? { exp: at(3) } : {}) });
    const client = await arrive(world, {}, auth);
    const room = fresh("room");
    await ok(client.socket, "join", room);
    const [lost, back] = [told(client.socket, "disconnect"), told(client.socket, "connect")];
    const [reason] = await lost;
    // Else the client would not come back by itself.
    must(reason !== "io server disconnect", `the reason is ${reason}`);
    await back;
    must(given >= 2, "it has not asked for another token");
    mustBe(await nameOf(client), user);
  },

  async "the claim rooms says what may be done where"(world) {
    const [own, news, other] = [fresh("team"), fresh("news"), fresh("other")];
    const rooms = [
      { pattern: own, can: ["join", "publish"] },
      { pattern: news, can: ["join"] },
    ];
    const { socket, ears } = await arrive(world, {}, { token: token(fresh("limited"), { rooms }) });
    await ok(socket, "join", own);
    await ok(socket, "message", own, "hello");
    mustBe((await ears.next("message"))[0], "hello");
    await ok(socket, "join", news);
    await refused("forbidden", socket, "message", news, "hello");
    await refused("forbidden", socket, "join", other);
    await refused("forbidden", socket, "message", other, "hello");
    await refused("forbidden", socket, "presence", other);
  },
};
process.exit((await prove(facts, new World(urls, mode, false))) ? 0 : 1);
