// Socket.IO's own server: rooms, private messages, typing. Alone, or one of several behind a
// balancer, which then share what they publish by way of Redis.
//
//     node server.mjs --port 3000 [--redis redis://127.0.0.1:6379] [--jwt-key KEY]

import { createServer } from "node:http";
import { parseArgs } from "node:util";

import { createAdapter } from "@socket.io/redis-adapter";
import jwt from "jsonwebtoken";
import { createClient } from "redis";
import { Server } from "socket.io";

const { values: options } = parseArgs({
  options: {
    port: { type: "string" },
    redis: { type: "string" },
    "jwt-key": { type: "string" },
  },
});
const key = options["jwt-key"];

async function adapter(url) {
  const publisher = createClient({ url });
  const subscriber = publisher.duplicate();
  await Promise.all([publisher.connect(), subscriber.connect()]);
  return createAdapter(publisher, subscriber);
}

const server = createServer();
const io = new Server(server, options.redis ? { adapter: await adapter(options.redis) } : {});

io.use((socket, next) => {
  const { user, token } = socket.handshake.query;
  if (!key) {
    socket.data.user = user;
    next();
    return;
  }
  jwt.verify(token, key, { algorithms: ["HS256"] }, (error, claims) => {
    if (error) {
      next(new Error("unauthorized"));
      return;
    }
    socket.data.user = claims.sub;
    next();
  });
});

io.on("connection", (socket) => {
  // The documentation's advice on memory: a connection's first request has been read.
  socket.conn.request = null;
  socket.join(`user:${socket.data.user}`);
  socket.on("join", async (room, acknowledge) => {
    await socket.join(room);
    acknowledge?.("ok");
  });
  socket.on("leave", async (room, acknowledge) => {
    await socket.leave(room);
    acknowledge?.("ok");
  });
  socket.on("message", (room, payload, acknowledge) => {
    io.to(room).emit("message", payload);
    acknowledge?.("ok");
  });
  socket.on("private", (user, payload, acknowledge) => {
    io.to(`user:${user}`).emit("private", payload);
    acknowledge?.("ok");
  });
  socket.on("typing", (room, payload) => {
    socket.to(room).emit("typing", payload);
  });
});

server.listen(Number(options.port), "127.0.0.1", () => {
  console.log(`ready ${server.address().port}`);
});
