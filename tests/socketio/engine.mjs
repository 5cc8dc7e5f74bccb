// Engine.IO v4 as the server must speak it, seen without a library: every status, body and header.
// `node engine.mjs [--reference] URL…`; the service runs with engine.toml. `--reference` is for
// Socket.IO's own server with the same settings: what these facts say was found out from it, and
// where the service differs on purpose, the fact says so.

import { corsFacts } from "./engine/cors.mjs";
import { handshakeFacts } from "./engine/handshake.mjs";
import { heartbeatFacts } from "./engine/heartbeat.mjs";
import { packetFacts } from "./engine/packets.mjs";
import { pollingFacts } from "./engine/polling.mjs";
import { upgradeFacts } from "./engine/upgrade.mjs";
import { Server } from "./engine/wire.mjs";
import { prove, urlsGiven } from "./facts.mjs";

const isReference = process.argv.includes("--reference");
const urls = urlsGiven(process.argv.slice(2), "engine.mjs [--reference]");

const facts = {
  ...handshakeFacts,
  ...corsFacts,
  ...pollingFacts,
  ...upgradeFacts,
  ...packetFacts,
  ...heartbeatFacts,
};
const server = new Server(urls);
process.exit((await prove(facts, { server, isReference })) ? 0 : 1);
