// What the Socket.IO client can rely on, in one transport mode: `node conformance.mjs
// polling|websocket|upgrade [--reference] URL…`; the service runs with conformance.toml.
// `--reference` is for Socket.IO's own server with handlers that do what the rules do.

import { ackFacts } from "./conformance/acks.mjs";
import { binaryFacts } from "./conformance/binary.mjs";
import { connectFacts } from "./conformance/connect.mjs";
import { limitFacts } from "./conformance/limits.mjs";
import { namespaceFacts } from "./conformance/namespaces.mjs";
import { nativeFacts } from "./conformance/native.mjs";
import { recoveryFacts } from "./conformance/recovery.mjs";
import { roomFacts } from "./conformance/rooms.mjs";
import { upgradeFacts } from "./conformance/upgrade.mjs";
import { MODES, World } from "./conformance/world.mjs";
import { prove, urlsGiven } from "./facts.mjs";

const usage = "conformance.mjs polling|websocket|upgrade [--reference]";
const mode = process.argv[2];
const urls = urlsGiven(MODES[mode] ? process.argv.slice(3) : [], usage);
const isReference = process.argv.includes("--reference");

const facts = {
  ...connectFacts,
  ...roomFacts,
  ...ackFacts,
  ...binaryFacts,
  ...namespaceFacts,
  ...(mode === "upgrade" ? upgradeFacts : {}),
  ...limitFacts,
  ...recoveryFacts,
  ...(isReference ? {} : nativeFacts),
};
process.exit((await prove(facts, new World(urls, mode, isReference))) ? 0 : 1);
