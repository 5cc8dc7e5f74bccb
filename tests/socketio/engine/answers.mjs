// What HTTP answers must look like.

import { WAIT_MS, must, mustBe } from "../facts.mjs";

/** Engine.IO's errors: the code in the body and what is said with it. */
const ERRORS = {
  "transport unknown": { code: 0, message: "Transport unknown" },
  "session unknown": { code: 1, message: "Session ID unknown" },
  "bad method": { code: 2, message: "Bad handshake method" },
  "bad request": { code: 3, message: "Bad request" },
  "bad version": { code: 5, message: "Unsupported protocol version" },
};

/** A request that was refused with one of the errors, which clients tell apart by their codes. */
export function mustRefuse(answer, error) {
  mustBe(answer.status, 400, "the status");
  must(/^application\/json/.test(answer.headers["content-type"]), "the error is not JSON");
  mustBe(JSON.parse(answer.body), ERRORS[error], "the error");
}

/** A WebSocket that was refused before it was one; the body is the message alone. */
export async function mustRefuseUpgrade(wire, error) {
  const answer = await wire.refused;
  mustBe(answer.status, 400, "the status");
  must(answer.body.includes(ERRORS[error].message), `it said ${answer.body}`);
}

/** A payload: text that no cache may keep. */
export function mustBePayload(answer) {
  mustBe(answer.status, 200, "the status");
  must(/^text\/plain; *charset=utf-8$/i.test(answer.headers["content-type"]), `it is ${answer.headers["content-type"]}`);
  mustBe(answer.headers["cache-control"], "no-store", "cache-control");
}

/** What a payload that was posted is answered. */
export function mustBeTaken(answer) {
  mustBe([answer.status, answer.body], [200, "ok"]);
  // Browsers would show what is text/html; Socket.IO's server says so nevertheless.
  must(/^text\/(html|plain)/.test(answer.headers["content-type"]), `it is ${answer.headers["content-type"]}`);
  mustBe(answer.headers["cache-control"], "no-store", "cache-control");
}

/** A session that has ended is as unknown as one that never was. */
export async function mustBeOver(session) {
  mustRefuse(await session.poll(), "session unknown");
  mustRefuse(await session.post("3"), "session unknown");
}

/** A session that ends by something that takes its time to reach the server. */
export async function mustSoonBeOver(session) {
  const unknown = JSON.stringify(ERRORS["session unknown"]);
  const end = Date.now() + WAIT_MS;
  while ((await session.post("3")).body !== unknown) must(Date.now() < end, "it goes on");
  await mustBeOver(session);
}

/** A session that goes on answers a request. */
export async function mustGoOn(session) {
  mustBeTaken(await session.post('4277["leave","nowhere"]'));
  await session.until((packet) => packet.startsWith("4377["));
}

/** A session that polls and is in its namespace. */
export async function connected(server) {
  const session = await server.polling();
  await session.connect();
  return session;
}
