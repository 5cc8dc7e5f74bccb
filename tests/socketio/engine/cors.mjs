// What pages of other origins may do. The service runs with `allowed_origins = [GOOD]`.

import { must, mustBe } from "../facts.mjs";

const GOOD = "http://good.example";
const BAD = "http://bad.example";

function mustAllow({ headers }) {
  mustBe(headers["access-control-allow-origin"], GOOD, "the origin that is allowed");
  mustBe(headers["access-control-allow-credentials"], "true", "credentials");
  // Or a cache would give one origin's answer to another.
  must(/\borigin\b/i.test(headers.vary), "it does not vary by origin");
}

export const corsFacts = {
  async "a page of an allowed origin may read the answers, errors too"({ server }) {
    const headers = { origin: GOOD };
    const handshake = await server.ask({}, { headers });
    mustBe(handshake.status, 200);
    mustAllow(handshake);
    const { sid } = JSON.parse(handshake.body.slice(1));
    mustAllow(await server.ask({ sid }, { method: "POST", body: "40", headers }));
    mustAllow(await server.ask({ sid }, { headers }));
    const unknown = await server.ask({ sid: "nope" }, { headers });
    mustBe(unknown.status, 400);
    mustAllow(unknown);
  },

  async "a preflight of an allowed origin is granted"({ server }) {
    const asked = { "access-control-request-method": "POST", "access-control-request-headers": "content-type,x-other" };
    const answer = await server.ask({}, { method: "OPTIONS", headers: { origin: GOOD, ...asked } });
    mustBe([answer.status, answer.body], [204, ""]);
    mustAllow(answer);
    for (const method of ["GET", "POST"]) {
      must(answer.headers["access-control-allow-methods"].includes(method), `${method} is not allowed`);
    }
    for (const header of ["content-type", "x-other"]) {
      must(answer.headers["access-control-allow-headers"].includes(header), `${header} is not allowed`);
    }
  },

  async "a page of another origin may read nothing"({ server }) {
    const headers = { origin: BAD };
    const handshake = await server.ask({}, { headers });
    mustBe(handshake.headers["access-control-allow-origin"], undefined);
    const preflight = { ...headers, "access-control-request-method": "POST" };
    const answer = await server.ask({}, { method: "OPTIONS", headers: preflight });
    mustBe(answer.headers["access-control-allow-origin"], undefined);
  },

  async "a page of another origin gets no WebSocket, which no browser would withhold from it"({ server, isReference }) {
    const allowed = server.websocket({}, { origin: GOOD });
    mustBe((await allowed.next())[0], "0");
    allowed.socket.terminate();
    const wire = server.websocket({}, { origin: BAD });
    // The reference server leaves that to its `allowRequest`.
    if (isReference) mustBe((await wire.next())[0], "0");
    else mustBe((await wire.refused).status, 403);
    wire.socket.terminate();
  },
};
