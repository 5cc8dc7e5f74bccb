// Long-polling: payloads both ways, and the ways in which a client can break it.

import { must, mustBe, within } from "../facts.mjs";
import { connected, mustBeOver, mustBePayload, mustBeTaken, mustGoOn, mustRefuse, mustSoonBeOver } from "./answers.mjs";
import { SEPARATOR } from "./wire.mjs";

const LIMIT = 100 * 1024;

/** A session with an open poll, of which the server most likely knows: it has answered a post since. */
async function polled(server) {
  const session = await connected(server);
  const poll = session.beginPoll();
  await poll.sent;
  mustBeTaken(await session.post("3"));
  return { session, poll };
}

export const pollingFacts = {
  async "what is posted is answered ok, and what follows from it comes to a poll"({ server }) {
    const session = await server.polling();
    mustBeTaken(await session.post("40"));
    const answer = await session.poll();
    mustBePayload(answer);
    must(/^40\{"sid":"[^"]+"/.test(answer.body), `it is ${answer.body}`);
  },

  async "a poll waits until there is something"({ server }) {
    const session = await connected(server);
    const poll = session.beginPoll();
    await poll.sent;
    mustBeTaken(await session.post('421["leave","nowhere"]'));
    const answer = await within("the poll", poll.answer);
    mustBePayload(answer);
    must(answer.body.startsWith('431[{"type":"error"'), `it is ${answer.body}`);
  },

  async "several packets travel in one payload, both ways"({ server }) {
    const session = await connected(server);
    mustBeTaken(await session.post(['421["join","c"]', '422["message","c","x"]'].join(SEPARATOR)));
    const answers = [await session.next(), await session.next(), await session.next()];
    mustBe(answers.map((packet) => packet.slice(0, 3)), ["431", "432", "42["]);
    // What came while nobody polled waits, and comes at once.
    const post = ['423["presence","c"]', '424["presence","c"]'].join(SEPARATOR);
    mustBeTaken(await session.post(post));
    mustBeTaken(await session.post("3"));
    const { body } = await session.poll();
    const packets = body.split(SEPARATOR).filter((packet) => packet !== "2");
    mustBe(packets.map((packet) => packet.slice(0, 3)), ["433", "434"]);
  },

  async "binary is base64 in a payload, both ways"({ server }) {
    const session = await connected(server);
    const event = '451-7["message","bin",{"_placeholder":true,"num":0}]';
    mustBeTaken(await session.post(['420["join","bin"]', event, "bAQIDBP8="].join(SEPARATOR)));
    const echo = await session.until((packet) => packet.startsWith("451-["));
    must(echo.startsWith('451-["message",{"_placeholder":true,"num":0},'), echo);
    mustBe(await session.next(), "bAQIDBP8=");
  },

  async "a second poll beside an open one ends the session"({ server }) {
    const { session, poll } = await polled(server);
    const answers = [await session.poll(), await within("the first poll", poll.answer)];
    // Whichever came first was open.
    answers.sort((one, other) => one.status - other.status);
    mustBe(answers.map(({ status, body }) => [status, body]), [[200, "1"], [400, ""]]);
    await mustBeOver(session);
  },

  async "a poll that is aborted ends the session"({ server }) {
    const { session, poll } = await polled(server);
    poll.request.destroy();
    await mustSoonBeOver(session);
  },

  async "a post that is broken off half-sent ends the session"({ server }) {
    const session = await connected(server);
    const post = server.begin({ sid: session.sid }, { method: "POST", body: "42", length: 100 });
    await within("a connection", new Promise((resolve) => post.request.once("socket", (socket) => socket.once("connect", resolve))));
    post.request.destroy();
    await mustSoonBeOver(session);
  },

  async "a second post beside one that is half-sent ends the session"({ server }) {
    const session = await connected(server);
    const post = server.begin({ sid: session.sid }, { method: "POST", body: "42", length: 100 });
    await mustSoonBeOver(session);
    post.request.destroy();
  },

  async "a post at the limit is taken, and one beyond it refused with 413; the session goes on"({ server }) {
    const session = await connected(server);
    const head = '421["leave","';
    const atLimit = head + "x".repeat(LIMIT - head.length - 2) + '"]';
    mustBeTaken(await session.post(atLimit));
    await session.until((packet) => packet.startsWith("431["));
    const answer = await session.post("4".repeat(LIMIT + 1));
    mustBe([answer.status, answer.body], [413, ""]);
    await mustGoOn(session);
  },

  async "the packet close ends the session, and the open poll with a noop"({ server }) {
    const { session, poll } = await polled(server);
    mustBeTaken(await session.post("1"));
    const answer = await within("the poll", poll.answer);
    mustBe([answer.status, answer.body], [200, "6"]);
    await mustBeOver(session);
  },

  async "a payload that is none ends the session"({ server }) {
    for (const payload of ["", "9"]) {
      const session = await connected(server);
      mustBeTaken(await session.post(payload));
      await mustBeOver(session);
    }
  },

  async "the type octet-stream, of protocol 3, ends the session"({ server }) {
    const session = await connected(server);
    const headers = { "content-type": "application/octet-stream" };
    const answer = await session.post("3", { headers });
    mustBe([answer.status, answer.body], [400, ""]);
    await mustSoonBeOver(session);
  },

  async "any other type is read as text"({ server }) {
    const session = await connected(server);
    mustBeTaken(await session.post("3", { headers: { "content-type": "application/json" } }));
    await mustGoOn(session);
  },

  async "another method than GET and POST does nothing to a session"({ server, isReference }) {
    const session = await connected(server);
    const answer = await server.ask({ sid: session.sid }, { method: "PUT", body: "3" });
    // The reference server answers 500, which is nothing to imitate.
    if (isReference) mustBe(answer.status, 500);
    else must(answer.status >= 400 && answer.status < 500, `the status is ${answer.status}`);
    await mustGoOn(session);
  },

  async "a session is asked for with its own version and transport"({ server }) {
    const session = await connected(server);
    const { sid } = session;
    mustRefuse(await server.ask({ sid, EIO: 3 }), "bad request");
    mustRefuse(await server.ask({ sid, EIO: undefined }), "bad request");
    mustRefuse(await server.ask({ sid, transport: "bogus" }), "transport unknown");
    mustRefuse(await server.ask({ sid, transport: "websocket" }), "bad request");
    await mustGoOn(session);
  },
};
