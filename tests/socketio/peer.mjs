// Peer to peer: users find each other by their names or by socket.id, chat, and pass on what WebRTC
// needs to open a direct channel. `node peer.mjs URL…`; the service runs with the rules of peer.toml.

import { io } from "socket.io-client";

import { Ears, ok, refused, told } from "./ears.mjs";
import { fresh, inTurn, must, mustBe, prove, urlsGiven } from "./facts.mjs";

const url = inTurn(urlsGiven(process.argv.slice(2), "peer.mjs"));

async function arrive(user) {
  const socket = io(url(), { query: { user }, forceNew: true });
  const ears = new Ears(socket);
  await told(socket, "connect");
  return { user, socket, ears };
}

/** What a page would get from `createOffer`, in its shape and size. */
const OFFER = { type: "offer", sdp: `v=0\r\n${"a=candidate:1 1 udp 2113937151 192.0.2.1 54400 typ host\r\n".repeat(40)}` };
const ANSWER = { type: "answer", sdp: "v=0\r\na=setup:active\r\n" };
const CANDIDATE = { candidate: "candidate:1 1 udp 2113937151 192.0.2.1 54400 typ host", sdpMid: "0", sdpMLineIndex: 0 };

const facts = {
  async "a chat is started by the other's name, who learns the starter's name and socket.id"({ alice, bob }) {
    const answer = await ok(alice.socket, "start-chat", { recipientId: bob.user });
    mustBe([answer.to, answer.status], [bob.user, "delivered"]);
    const [started] = await bob.ears.next("chat-started");
    mustBe(started, { senderId: alice.user, socketId: alice.socket.id });
  },

  async "a message reaches the other and nobody else"({ alice, bob, carol }) {
    alice.socket.emit("send-message", { recipientId: bob.user, message: "just for you" });
    const [message, { from }] = await bob.ears.next("receive-message");
    mustBe([message, from], [{ senderId: alice.user, message: "just for you" }, alice.user]);
    await ok(alice.socket, "send-message", { recipientId: carol.user, message: "hello carol" });
    mustBe((await carol.ears.next("receive-message"))[0].message, "hello carol");
    mustBe(carol.ears.untaken("receive-message"), []);
    mustBe(alice.ears.untaken("receive-message"), []);
  },

  async "an answer goes to the socket.id that the chat was started from"({ alice, bob }) {
    await ok(alice.socket, "start-chat", { recipientId: bob.user });
    const [{ socketId }] = await bob.ears.next("chat-started");
    const answer = await ok(bob.socket, "send-message", { recipientId: socketId, message: "here I am" });
    mustBe([answer.to, answer.status], [socketId, "delivered"]);
    mustBe((await alice.ears.next("receive-message"))[0], { senderId: bob.user, message: "here I am" });
  },

  async "a name reaches all windows of a user, a socket.id only one"({ alice, bob }) {
    const other = await arrive(bob.user);
    await ok(alice.socket, "send-message", { recipientId: bob.user, message: "to both" });
    await ok(alice.socket, "send-message", { recipientId: other.socket.id, message: "to one" });
    await ok(alice.socket, "send-message", { recipientId: bob.user, message: "to both again" });
    const texts = async ({ ears }, count) => (await ears.several("receive-message", count)).map(([{ message }]) => message);
    // By name and by socket.id are two ways, and have no order between them.
    mustBe((await texts(other, 3)).toSorted(), ["to both", "to both again", "to one"]);
    mustBe(await texts(bob, 2), ["to both", "to both again"]);
    other.socket.disconnect();
  },

  async "what WebRTC needs passes both ways, in order and unchanged"({ alice, bob }) {
    alice.socket.emit("signal", { recipientId: bob.user, signal: OFFER });
    const [offer] = await bob.ears.next("signal");
    mustBe(offer, { senderId: alice.user, socketId: alice.socket.id, signal: OFFER });
    // From here on it is between these two windows.
    const { socketId } = offer;
    bob.socket.emit("signal", { recipientId: socketId, signal: ANSWER });
    for (let n = 0; n < 5; n += 1) bob.socket.emit("signal", { recipientId: socketId, signal: { ...CANDIDATE, n } });
    const signals = await alice.ears.several("signal", 6);
    mustBe(signals.map(([{ signal }]) => signal.n ?? signal.type), ["answer", 0, 1, 2, 3, 4]);
    mustBe(signals[0][0], { senderId: bob.user, socketId: bob.socket.id, signal: ANSWER });
  },

  async "a message to who is away waits for them, a signal doesn't"({ alice }) {
    const dave = fresh("dave");
    const message = await ok(alice.socket, "send-message", { recipientId: dave, message: "read this later" });
    mustBe(message.status, "queued");
    const signal = await ok(alice.socket, "signal", { recipientId: dave, signal: OFFER });
    mustBe(signal.status, "offline");
  },

  async "it is there when they come"({ alice, isReference }) {
    // Socket.IO's own server keeps nothing for who is away.
    if (isReference) return;
    const erin = fresh("erin");
    for (const message of ["one", "two"]) await ok(alice.socket, "send-message", { recipientId: erin, message });
    const person = await arrive(erin);
    const messages = await person.ears.several("receive-message", 2);
    mustBe(messages.map(([{ message }]) => message), ["one", "two"]);
    mustBe(person.ears.untaken("signal"), []);
  },

  async "a socket.id that is gone is offline"({ alice }) {
    const frank = await arrive(fresh("frank"));
    const { id } = frank.socket;
    must(/^~[\w-]{32}$/.test(id), `the socket.id is ${id}`);
    frank.socket.disconnect();
    for (let status; status !== "offline"; ) {
      ({ status } = await ok(alice.socket, "send-message", { recipientId: id, message: "still there?" }));
    }
  },

  async "a message to nobody is refused"({ alice }) {
    await refused("bad_request", alice.socket, "send-message", { message: "to whom?" });
    await refused("bad_request", alice.socket, "send-message", { recipientId: { name: "bob" }, message: "to whom?" });
  },
};

const isReference = process.argv.includes("--reference");
const [alice, bob, carol] = await Promise.all(["alice", "bob", "carol"].map((name) => arrive(fresh(name))));
process.exit((await prove(facts, { alice, bob, carol, isReference })) ? 0 : 1);
