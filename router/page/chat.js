// The chat page: wires the connection, what is known, and what is shown. All it keeps itself is
// which conversation is open.

import { Connection } from "./connection.js";
import { Directs } from "./directs.js";
import { byId, setAvatar } from "./dom.js";
import { drawer } from "./drawers.js";
import { name, rename } from "./naming.js";
import { Rooms } from "./rooms.js";
import { explained, nameProblem } from "./text.js";
import { OwnTyping } from "./typing.js";
import { drawConversations, drawPeople } from "./view-lists.js";
import { MessagesView } from "./view-messages.js";
import { showNotice } from "./view-notices.js";
import { drawStatus } from "./view-status.js";

/** How often to ask who is here: now and then, and soon again while the server is not sure. */
const REFRESH_MS = 5_000;
const REFRESH_SURE_EVERY = 6;

const me = await name();
byId("chat").hidden = false;
byId("me").textContent = me;
setAvatar(byId("me-avatar"), me);

const notice = (text) => showNotice(byId("notices"), text);
const failed = (failure) => notice(explained(failure));
const connection = new Connection(address, { state: drawStatus, welcome: resume, event: take });
const rooms = new Rooms(connection, changed, failed);
const directs = new Directs(connection, changed, failed);
const typing = new OwnTyping();
const messages = new MessagesView(byId("messages"), byId("scroll"), {
  retry: (item) => keeper(current).retry(current, item),
  write: (user) => choose(directs.open(user)),
});
const closeSidebar = drawer(byId("open-sidebar"), byId("sidebar"));
const closePeople = drawer(byId("open-people"), byId("people-panel"));

let current = rooms.list()[0] ?? directs.list()[0] ?? null;
let isDrawing = false;

function address() {
  const url = new URL("ws", location.href);
  url.protocol = location.protocol === "https:" ? "wss:" : "ws:";
  url.searchParams.set("user", me);
  if (directs.position) url.searchParams.set("inbox", directs.position);
  return url;
}

function keeper(conversation) {
  return conversation.kind === "room" ? rooms : directs;
}

function resume() {
  rooms.resume();
  directs.resume();
}

function take(event) {
  if (event.type === "gap" && !event.room) {
    directs.gap(event);
    notice("Some private messages were missed and can't be had any more.");
    return;
  }
  const { room, direct, isNew } = event.type === "private" ? directs.take(event) : rooms.take(event);
  const conversation = room ?? direct;
  const isSeen = conversation === current && document.visibilityState === "visible";
  if (isNew && event.from !== me && !isSeen) conversation.unread += 1;
  changed();
}

function choose(conversation) {
  current = conversation;
  current.unread = 0;
  if (current.kind === "room") rooms.refresh(current);
  closeSidebar();
  closePeople();
  changed();
  byId("text").focus();
}

// Many changes at once are drawn once. Not by requestAnimationFrame, which rests in hidden windows.
function changed() {
  if (isDrawing) return;
  isDrawing = true;
  queueMicrotask(() => {
    isDrawing = false;
    draw();
  });
}

function draw() {
  drawConversations(byId("rooms"), rooms.list(), current, choose);
  drawConversations(byId("directs"), directs.list(), current, choose);
  const unread = [...rooms.list(), ...directs.list()].reduce((sum, each) => sum + each.unread, 0);
  document.title = unread ? `(${unread}) Trunkline` : "Trunkline";
  byId("elsewhere").hidden = unread === 0;
  drawConversation();
}

function drawConversation() {
  const isRoom = current?.kind === "room";
  byId("composer").hidden = byId("leave").hidden = byId("messages").hidden = !current;
  byId("people-panel").hidden = byId("open-people").hidden = !isRoom;
  byId("empty").hidden = Boolean(current?.timeline.items.length);
  byId("typing").textContent = current ? String(current.typing) : "";
  if (!current) {
    byId("title").textContent = "Nowhere yet";
    byId("subtitle").textContent = "";
    byId("empty").textContent = "Join a room, or write to someone, to begin.";
    return;
  }
  byId("title").textContent = isRoom ? `# ${current.name}` : current.name;
  byId("leave").textContent = isRoom ? "Leave" : "Close";
  byId("text").placeholder = isRoom ? `Message #${current.name}` : `Message ${current.name}`;
  byId("text-label").textContent = byId("text").placeholder;
  byId("empty").textContent = isRoom
    ? "No messages yet. Say hello, or open a second window to be someone else."
    : `Only you and ${current.name} see what you write here.`;
  messages.draw(current, me);
  if (!isRoom) {
    byId("subtitle").textContent = "Private messages";
    return;
  }
  const count = current.people.size;
  byId("subtitle").textContent = count === 1 ? "Only you are here" : `${count} people here`;
  byId("people-note").textContent = current.sure ? "" : "A server was lost; some may have left.";
  drawPeople(byId("people"), current.people, me, (user) => choose(directs.open(user)));
}

// Asks for a name in a side list, and opens what it names.
function adding(form, input, problemOf, open) {
  byId(form).onsubmit = (event) => {
    event.preventDefault();
    const wanted = byId(input).value.trim().replace(/^#/, "");
    const problem = problemOf(wanted);
    if (problem) {
      notice(problem);
      return;
    }
    byId(input).value = "";
    choose(open(wanted));
  };
}

adding("join-form", "join", nameProblem, (room) => rooms.join(room));
const userProblem = (user) => (user === me ? "That is your own name." : nameProblem(user));
adding("direct-form", "direct", userProblem, (user) => directs.open(user));

byId("composer").onsubmit = (event) => {
  event.preventDefault();
  const text = byId("text").value.trim();
  if (!text) return;
  byId("text").value = "";
  typing.sent(current);
  keeper(current).say(current, me, text);
};
byId("text").oninput = () => {
  const conversation = current;
  if (byId("text").value) typing.tell(conversation, () => keeper(conversation).tellTyping(conversation));
};
byId("text").onkeydown = (event) => {
  // While a word is being composed (Japanese, Chinese…), Enter chooses it.
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  byId("composer").requestSubmit();
};
byId("leave").onclick = () => {
  const left = current;
  if (left.kind === "room") rooms.leave(left);
  else directs.close(left);
  current = rooms.list()[0] ?? directs.list()[0] ?? null;
  changed();
};
byId("rename").onclick = rename;
byId("retry").onclick = () => connection.retry();
document.addEventListener("visibilitychange", () => {
  if (document.visibilityState !== "visible" || !current) return;
  current.unread = 0;
  changed();
});
let ticks = 0;
setInterval(() => {
  ticks += 1;
  const isDue = !current?.sure || ticks % REFRESH_SURE_EVERY === 0;
  if (isDue && current?.kind === "room") rooms.refresh(current);
}, REFRESH_MS);

changed();
connection.open();
