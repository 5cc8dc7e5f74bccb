// The server in the middle: what one emits, everybody receives.

import { byId } from "../../dom.js";
import { drawer } from "../../drawers.js";
import { OthersTyping } from "../../typing.js";
import { arrive, ask, onSay } from "../arrive.js";
import { Log } from "../log.js";

/** Told at most this often, and taken back when nothing is typed any more. */
const TELL_EVERY_MS = 2_000;

drawer(byId("open-sidebar"), byId("sidebar"));
const { socket } = await arrive("/demo-chat");
const log = new Log(byId("messages"), byId("scroll"));
const typists = new OthersTyping(() => (byId("typing").textContent = String(typists)));

socket.on("chat message", (text, { from, time }) => {
  typists.stopped(from);
  log.say({ from, content: text, time });
});
socket.on("typing", ({ user, typing }) => (typing ? typists.heard(user) : typists.stopped(user)));
socket.on("user joined", ({ user }) => log.line(`${user} joined`));
socket.on("user left", ({ user }) => {
  typists.stopped(user);
  log.line(`${user} left`);
});

let toldAt = -Infinity;
function tellTyping(isTyping) {
  if (isTyping && performance.now() - toldAt < TELL_EVERY_MS) return;
  if (!isTyping && toldAt === -Infinity) return;
  toldAt = isTyping ? performance.now() : -Infinity;
  socket.emit("typing", isTyping);
}
byId("text").oninput = () => tellTyping(byId("text").value !== "");
onSay((text) => {
  toldAt = -Infinity;
  ask(socket, "chat message", text);
});
byId("text").focus();
