// From polling to a WebSocket: the probe, the poll that is released, and what can go wrong.

import { must, mustBe, within } from "../facts.mjs";
import { connected, mustBeTaken, mustGoOn, mustRefuse } from "./answers.mjs";

/** A connected session whose probe has been answered, and the WebSocket of it. */
async function probed(server) {
  const session = await connected(server);
  const wire = session.upgrade();
  await within("an upgrade", wire.opened);
  wire.send("2probe");
  mustBe(await wire.next(), "3probe");
  return { session, wire };
}

async function mustAnswer(wire) {
  wire.send('4288["leave","nowhere"]');
  await wire.until((message) => message.startsWith("4388["));
}

/** It is closed by the server, with no code: there is nobody who would read one. */
async function mustBeClosed(wire) {
  const { code } = await wire.end();
  must([1000, 1005, 1006].includes(code), `it is closed with ${code}`);
}

export const upgradeFacts = {
  async "a probe is answered, and releases the open poll with a noop"({ server }) {
    const session = await connected(server);
    const poll = session.beginPoll();
    await poll.sent;
    const wire = session.upgrade();
    await within("an upgrade", wire.opened);
    wire.send("2probe");
    mustBe(await wire.next(), "3probe");
    const answer = await within("the poll", poll.answer);
    mustBe([answer.status, answer.body], [200, "6"]);
    wire.socket.terminate();
  },

  async "a poll that comes while a probe is on is soon released too"({ server }) {
    const { session, wire } = await probed(server);
    const answer = await session.poll();
    mustBe([answer.status, answer.body], [200, "6"]);
    wire.socket.terminate();
  },

  async "after the upgrade the WebSocket is the session, and polling a bad request"({ server }) {
    const { session, wire } = await probed(server);
    wire.send("5");
    await mustAnswer(wire);
    mustRefuse(await session.poll(), "bad request");
    mustRefuse(await session.post("3"), "bad request");
    await mustAnswer(wire);
    wire.socket.terminate();
  },

  async "what was asked by a post before the upgrade is answered after it, once"({ server }) {
    const { session, wire } = await probed(server);
    mustBeTaken(await session.post('421["leave","nowhere"]'));
    wire.send("5");
    wire.send('422["leave","nowhere"]');
    const answers = [];
    while (answers.length < 2) {
      answers.push((await wire.until((message) => message.startsWith("43"))).slice(0, 4));
    }
    mustBe(answers, ["431[", "432["]);
    wire.socket.terminate();
  },

  async "an upgrade releases a poll that is open on another connection"({ server, isReference }) {
    const { session, wire } = await probed(server);
    const poll = session.beginPoll();
    await poll.sent;
    wire.send("5");
    const answer = await within("the poll", poll.answer);
    // The client has left that transport; whether it is a noop or a close is nothing to it. The poll
    // may also come late, after the upgrade.
    if (answer.status === 200) must(["6", "1"].includes(answer.body), `it is ${answer.body}`);
    else mustRefuse(answer, "bad request");
    must(isReference || answer.body !== "1", "a close is not meant");
    await mustAnswer(wire);
    wire.socket.terminate();
  },

  async "a second probe is closed, and harms neither the first nor the session"({ server }) {
    const { session, wire } = await probed(server);
    await mustBeClosed(session.upgrade());
    wire.send("5");
    await mustAnswer(wire);
    await mustBeClosed(session.upgrade());
    await mustAnswer(wire);
    wire.socket.terminate();
  },

  async "a WebSocket for a session that is one already is refused or closed"({ server }) {
    const { wire, handshake } = await server.session();
    wire.send("40");
    await wire.until((message) => message.startsWith("40"));
    const second = server.websocket({ sid: handshake.sid });
    await within("its end", Promise.race([second.refused, second.closed]));
    mustRefuse(await server.ask({ sid: handshake.sid }), "bad request");
    await mustAnswer(wire);
    wire.socket.terminate();
  },

  async "an upgrade that begins with anything but a probe is closed, and the session goes on"({ server }) {
    for (const first of ["2", "4x", '42["leave","nowhere"]', "3probe"]) {
      const session = await connected(server);
      const wire = session.upgrade();
      await within("an upgrade", wire.opened);
      wire.send(first);
      await mustBeClosed(wire);
      await mustGoOn(session);
    }
  },

  async "a probe that is broken off leaves the session as it was, for another try"({ server }) {
    const { session, wire } = await probed(server);
    wire.socket.terminate();
    await mustGoOn(session);
    const again = session.upgrade();
    await within("an upgrade", again.opened);
    again.send("2probe");
    mustBe(await again.next(), "3probe");
    again.send("5");
    await mustAnswer(again);
    again.socket.terminate();
  },

  async "an upgrade that is not completed in time is closed, and the session goes on"({ server }) {
    const { session, wire } = await probed(server);
    let isOver = false;
    const polling = (async () => {
      while (!isOver) await session.until((packet) => packet === "6" || isOver);
    })();
    await mustBeClosed(wire);
    isOver = true;
    mustBeTaken(await session.post('421["leave","nowhere"]'));
    await polling;
    await mustGoOn(session);
  },
};
