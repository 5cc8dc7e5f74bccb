// Coming to a demo: a name, a Socket.IO connection to the demo's namespace, and how it is.

import { byId, setAvatar } from "../dom.js";
import { name, rename } from "../naming.js";
import { explained } from "../text.js";
import { showNotice } from "../view-notices.js";
import { library } from "./library.js";

/** How long an acknowledgement may take. */
const REPLY_MS = 10_000;

export const notice = (text) => showNotice(byId("notices"), text);

/** Asks for a name if there is none and connects. Gives the name and the socket. */
export async function arrive(namespace) {
  const [me, io] = await Promise.all([name(), library()]);
  byId("chat").hidden = false;
  byId("me").textContent = me;
  setAvatar(byId("me-avatar"), me);
  byId("rename").onclick = rename;
  const socket = io(namespace, { query: { user: me } });
  status("connecting", "Connecting…");
  socket.on("connect", () => status("online", "Connected"));
  socket.on("disconnect", () => status("waiting", socket.active ? "Reconnecting…" : "Disconnected"));
  socket.on("connect_error", (error) => {
    if (socket.active) return;
    status("ended", "Disconnected");
    const isUnknown = error.message === "Invalid namespace";
    const remedy = isUnknown ? ` Add "${namespace}" to socketio.namespaces in cluster.toml.` : "";
    notice(`The server has refused this page: ${error.message}.${remedy}`);
  });
  socket.on("error", (error) => notice(explained(error)));
  return { me, socket };
}

/** Emits a request and gives its acknowledgement, or null after telling people why there is none. */
export async function ask(socket, event, ...args) {
  try {
    const answer = await socket.timeout(REPLY_MS).emitWithAck(event, ...args);
    if (answer.type === "ok") return answer;
    notice(explained(answer));
  } catch {
    notice(explained({ code: "timeout" }));
  }
  return null;
}

/** Sends what is written when people press Enter or the button. */
export function onSay(say) {
  byId("composer").onsubmit = (event) => {
    event.preventDefault();
    const text = byId("text").value.trim();
    if (!text) return;
    byId("text").value = "";
    say(text);
  };
  byId("text").onkeydown = (event) => {
    // While a word is being composed (Japanese, Chinese…), Enter chooses it.
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    byId("composer").requestSubmit();
  };
}

function status(phase, text) {
  byId("status").textContent = text;
  byId("status").dataset.phase = phase;
}
