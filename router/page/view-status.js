// Draws how the connection is: a word beside one's name, and a bar when it is lost.

import { byId } from "./dom.js";

const WORDS = { connecting: "Connecting…", online: "Connected", waiting: "Reconnecting…", ended: "Disconnected" };

let ticking = 0;

/** Draws a state of the connection. The bar counts down to the next attempt. */
export function drawStatus({ phase, reason, retryAt }) {
  clearInterval(ticking);
  const status = byId("status");
  status.textContent = WORDS[phase];
  status.dataset.phase = phase;
  // While an attempt runs, the bar of the loss before it stays, or it would flicker.
  if (phase === "connecting") return;
  byId("offline").hidden = phase === "online";
  byId("retry").hidden = phase !== "waiting";
  if (phase === "ended") byId("offline-text").textContent = reason;
  if (phase !== "waiting") return;
  const tell = () => {
    const seconds = Math.max(1, Math.ceil((retryAt - Date.now()) / 1000));
    byId("offline-text").textContent = `The connection is lost. Trying again in ${seconds} s.`;
  };
  tell();
  ticking = setInterval(tell, 1000);
}
