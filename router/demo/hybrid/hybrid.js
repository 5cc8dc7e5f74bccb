// A room whose messages go through the shards, and whose people send each other files directly.

import { avatar, byId, element } from "../../dom.js";
import { drawer } from "../../drawers.js";
import { nameProblem } from "../../text.js";
import { OthersTyping } from "../../typing.js";
import { arrive, ask, notice, onSay } from "../arrive.js";
import { Log } from "../log.js";
import { Files } from "./files.js";

const TELL_EVERY_MS = 2_000;

const closeSidebar = drawer(byId("open-sidebar"), byId("sidebar"));
drawer(byId("open-people"), byId("people-panel"));
const { me, socket } = await arrive("/demo-hybrid");
const log = new Log(byId("messages"), byId("scroll"));
const typists = new OthersTyping(() => (byId("typing").textContent = String(typists)));
const files = new Files(socket, ({ from, file, way }) => show(from, file, way));
const people = new Set();
let room = null;
let recipient = null;

socket.on("message", (text, { from, room: where, time }) => {
  if (where !== room) return;
  typists.stopped(from);
  log.say({ from, content: text, way: "shards", time });
});
socket.on("typing", (_, { from, room: where }) => where === room && typists.heard(from));
socket.on("joined", ({ room: where, user }) => where === room && cameOrWent("joined", user));
socket.on("left", ({ room: where, user }) => where === room && cameOrWent("left", user));
// Whose connection was lost for too long to be recovered is in no room any more.
socket.on("connect", () => room && !socket.recovered && join(room));

function cameOrWent(what, user) {
  if (what === "joined") people.add(user);
  else people.delete(user);
  log.line(`${user} ${what}`);
  draw();
}

async function join(wanted) {
  const answer = await ask(socket, "join", wanted);
  if (!answer) return;
  if (room && room !== wanted) await ask(socket, "leave", room);
  room = wanted;
  const there = await ask(socket, "presence", room);
  people.clear();
  for (const { user } of there?.users ?? []) people.add(user);
  draw();
}

async function send(file) {
  const to = recipient;
  const way = await files.send(to, file, !byId("no-direct").checked);
  if (way) show(me, { name: file.name, type: file.type, content: file }, way, to);
}

/** Shows a file that came or went. */
function show(from, { name, type, content }, way, to) {
  const url = URL.createObjectURL(content);
  const made = element(
    "span",
    { class: "file", "data-testid": "file-shown", "data-name": name },
    element("a", { href: url, download: name }, name),
    element("small", {}, size(content.size) + (to ? ` to ${to}` : "")),
  );
  // Pictures only of kinds that carry no script.
  if (/^image\/(png|jpeg|gif|webp)$/.test(type)) made.append(element("img", { src: url, alt: "" }));
  log.say({ from, content: made, way });
}

function size(bytes) {
  return bytes < 1024 ? `${bytes} B` : bytes < 1024 ** 2 ? `${(bytes / 1024).toFixed(1)} KiB` : `${(bytes / 1024 ** 2).toFixed(1)} MiB`;
}

byId("join-form").onsubmit = (event) => {
  event.preventDefault();
  const wanted = byId("join").value.trim().replace(/^#/, "");
  const problem = nameProblem(wanted);
  if (problem) {
    notice(problem);
    return;
  }
  byId("join").value = "";
  closeSidebar();
  join(wanted);
};
byId("leave").onclick = async () => {
  await ask(socket, "leave", room);
  room = null;
  people.clear();
  draw();
};
byId("file").onchange = () => {
  const [file] = byId("file").files;
  if (file) send(file);
  // The same file may be chosen again.
  byId("file").value = "";
};
let toldAt = -Infinity;
byId("text").oninput = () => {
  if (!byId("text").value || performance.now() - toldAt < TELL_EVERY_MS) return;
  toldAt = performance.now();
  socket.emit("typing", room, true);
};
onSay((text) => {
  toldAt = -Infinity;
  ask(socket, "message", room, text);
});

function draw() {
  byId("composer").hidden = byId("leave").hidden = byId("people-panel").hidden = byId("open-people").hidden = !room;
  byId("empty").hidden = Boolean(room);
  byId("title").textContent = room ? `# ${room}` : "Nowhere yet";
  byId("subtitle").textContent = room ? (people.size === 1 ? "Only you are here" : `${people.size} people here`) : "";
  const entry = room && element("li", {}, element(
    "span",
    { class: "entry", "aria-current": "true", "data-testid": "room", "data-name": room },
    element("span", { class: "hash", "aria-hidden": "true" }, "#"),
    element("span", { class: "label" }, room),
  ));
  byId("rooms").replaceChildren(...(entry ? [entry] : []));
  byId("people").replaceChildren(...[...people].sort().map((name) => {
    const item = element("li", { class: "person", "data-testid": "person", "data-name": name }, avatar(name), element("span", { class: "label" }, name));
    item.append(name === me
      ? element("span", { class: "you" }, "you")
      : element("button", { class: "quiet", type: "button", title: `Send ${name} a file`, "data-testid": "send-file", onclick: () => choose(name) }, "File…"));
    return item;
  }));
}

function choose(name) {
  recipient = name;
  byId("file").click();
}

draw();
