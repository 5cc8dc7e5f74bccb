// How a session begins, and which do not.

import { must, mustBe } from "../facts.mjs";
import { mustBePayload, mustRefuse, mustRefuseUpgrade } from "./answers.mjs";

const HANDSHAKE = { pingInterval: 2000, pingTimeout: 2000, maxPayload: 100 * 1024 };

/** The session's ID aside, which is the server's own affair, as long as it can stand in a query. */
function mustBeHandshake({ sid, ...rest }, upgrades) {
  must(/^[\w~-]{20,}$/.test(sid), `the sid is ${sid}`);
  mustBe(rest, { upgrades, ...HANDSHAKE });
}

/** A valid ID that is not one any more. */
function forged(sid) {
  const last = sid.at(-1) === "A" ? "B" : "A";
  return sid.slice(0, -1) + last;
}

export const handshakeFacts = {
  async "a polling handshake names the session and the server's terms"({ server }) {
    const answer = await server.ask();
    mustBePayload(answer);
    mustBe(answer.body[0], "0");
    mustBeHandshake(JSON.parse(answer.body.slice(1)), ["websocket"]);
  },

  async "no two sessions have the same ID"({ server }) {
    const one = await server.polling();
    const other = await server.polling();
    must(one.sid !== other.sid, "they are the same");
  },

  async "a WebSocket handshake offers no upgrade"({ server }) {
    const { wire, handshake } = await server.session();
    mustBeHandshake(handshake, []);
    wire.socket.terminate();
  },

  async "another version of the protocol, or none, is refused"({ server }) {
    for (const EIO of [undefined, 3, 5, "x"]) mustRefuse(await server.ask({ EIO }), "bad version");
  },

  async "another version is refused to a WebSocket too"({ server, isReference }) {
    for (const EIO of [undefined, 3]) {
      const wire = server.websocket({ EIO });
      // The reference server writes its refusal into a socket that is upgraded already.
      if (isReference) mustBe((await wire.end()).code, 1006);
      else await mustRefuseUpgrade(wire, "bad version");
    }
  },

  async "an unknown transport, or none, is refused"({ server }) {
    for (const transport of [undefined, "bogus"]) mustRefuse(await server.ask({ transport }), "transport unknown");
    await mustRefuseUpgrade(server.websocket({ transport: "bogus" }), "transport unknown");
  },

  async "the transport websocket without an upgrade is a bad request"({ server }) {
    mustRefuse(await server.ask({ transport: "websocket" }), "bad request");
  },

  async "only GET begins a session"({ server }) {
    for (const method of ["POST", "PUT"]) mustRefuse(await server.ask({}, { method, body: "40" }), "bad method");
    mustRefuse(await server.ask({}, { method: "DELETE" }), "bad method");
  },

  async "an unknown session is refused to whoever asks for it"({ server }) {
    mustRefuse(await server.ask({ sid: "nope" }), "session unknown");
    mustRefuse(await server.ask({ sid: "nope" }, { method: "POST", body: "40" }), "session unknown");
    await mustRefuseUpgrade(server.websocket({ sid: "nope" }), "session unknown");
  },

  async "a session that was made up after a real one is as unknown"({ server }) {
    const { sid } = await server.polling();
    mustRefuse(await server.ask({ sid: forged(sid) }), "session unknown");
    mustRefuse(await server.ask({ sid: forged(sid) }, { method: "POST", body: "40" }), "session unknown");
    await mustRefuseUpgrade(server.websocket({ sid: forged(sid) }), "session unknown");
    for (const odd of [sid.slice(1), sid + sid, "~", "\u0000", "é".repeat(300), "A".repeat(2000)]) {
      mustRefuse(await server.ask({ sid: odd }), "session unknown");
    }
  },
};
