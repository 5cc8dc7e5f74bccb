// The Socket.IO client, from where the router has it: a file of its own, or its authors' place on
// the internet, to which the router sends the page. Where that can't be reached, people are told.

import { byId, element } from "../dom.js";

/** A firewall may let the request wait for minutes. */
const WAIT_MS = 10_000;
const url = new URL("../socket.io/socket.io.js", import.meta.url).href;

/** Gives the client's `io`, or tells people why there is none and what to do. */
export async function library() {
  try {
    await loaded();
    return globalThis.io;
  } catch (error) {
    explain(await isElsewhere());
    throw error;
  }
}

function loaded() {
  return new Promise((resolve, reject) => {
    const script = element("script", { src: url });
    const fail = () => reject(new Error("the Socket.IO client could not be loaded"));
    script.onload = () => (globalThis.io ? resolve() : fail());
    script.onerror = fail;
    setTimeout(fail, WAIT_MS);
    document.head.append(script);
  });
}

/** Whether the router has no file of its own; if there is no router, it doesn't matter. */
async function isElsewhere() {
  try {
    return (await fetch(url, { redirect: "manual" })).type === "opaqueredirect";
  } catch {
    return false;
  }
}

/** Takes the place of the page, for nothing else on it can be used. */
function explain(isElsewhere) {
  const code = (text) => element("code", {}, text);
  const again = element("button", { type: "button", class: "primary" }, "Try again");
  again.onclick = () => location.reload();
  const why = isElsewhere
    ? [
        element("p", {}, "This browser can't reach cdn.socket.io, from where it is to load the client: the router has no copy of its own."),
        element("p", {}, "To do without the internet, fetch the client where there is one, with ", code("npm install socket.io-client"), ". Then name its file in cluster.toml, and start the router again:"),
        element("pre", {}, '[socketio]\nclient = "node_modules/socket.io-client/dist/socket.io.min.js"'),
      ]
    : [element("p", {}, "The router does not serve it. It must run, and in cluster.toml ", code("socketio.enabled"), " must not be ", code("false"), ".")];
  const card = element("div", { class: "card missing", role: "alert", "data-testid": "missing" }, element("h1", {}, "The Socket.IO client is missing"), ...why, again);
  byId("chat").hidden = true;
  byId("welcome").hidden = false;
  byId("welcome").replaceChildren(card);
}
