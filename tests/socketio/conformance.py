"""What python-socketio, another implementation of the client, can rely on, in one transport mode:
`python conformance.py polling|websocket|upgrade URL...`; the service runs with conformance.toml.
Prints a line per fact, and stops at the first that does not hold."""

import asyncio
import itertools
import os
import sys
import traceback

import socketio

WAIT_S = 15
MODES = {
    "polling": ["polling"],
    "websocket": ["websocket"],
    "upgrade": ["polling", "websocket"],
}
numbers = itertools.count(1)


def fresh(name):
    """A name that nobody has used before."""
    return f"{name}-{os.getpid():x}-{next(numbers)}"


def must_be(value, wanted, what="it"):
    if value != wanted:
        raise AssertionError(f"{what} is {value!r} and not {wanted!r}")


class Client:
    """A client that hears everything and forgets nothing."""

    def __init__(self, user, namespaces):
        self.user = user
        self.sio = socketio.AsyncClient(reconnection=False)
        self.heard = {}
        for namespace in namespaces:
            self.sio.on("*", self._hear(namespace), namespace=namespace)

    def _hear(self, namespace):
        async def hear(event, *args):
            self._of(event, namespace).put_nowait(args)

        return hear

    def _of(self, event, namespace):
        return self.heard.setdefault((namespace, event), asyncio.Queue())

    async def next(self, event, namespace="/"):
        """The arguments of the next event of this name."""
        return await asyncio.wait_for(self._of(event, namespace).get(), WAIT_S)

    def untaken(self, event, namespace="/"):
        return self._of(event, namespace).qsize()

    async def ask(self, event, *args, namespace="/"):
        return await self.sio.call(event, args, namespace=namespace, timeout=WAIT_S)

    async def ok(self, event, *args, namespace="/"):
        answer = await self.ask(event, *args, namespace=namespace)
        must_be(answer.get("type"), "ok", f"{event}: {answer}")
        return answer

    async def refused(self, code, event, *args, namespace="/"):
        answer = await self.ask(event, *args, namespace=namespace)
        must_be((answer.get("type"), answer.get("code")), ("error", code), f"{event}: {answer}")


class World:
    def __init__(self, mode, urls):
        self.mode = mode
        self.urls = itertools.cycle(urls)
        self.clients = []

    async def arrive(self, user=None, namespaces=("/",), auth=None):
        client = Client(user or fresh("user"), namespaces)
        url = f"{next(self.urls)}/?user={client.user}"
        transports = MODES[self.mode]
        await client.sio.connect(url, transports=transports, namespaces=list(namespaces), auth=auth, wait_timeout=WAIT_S)
        self.clients.append(client)
        return client

    async def pair(self):
        room = fresh("room")
        alice, bob = await self.arrive(), await self.arrive()
        await alice.ok("join", room)
        await bob.ok("join", room)
        await alice.next("joined")
        return alice, bob, room

    async def leave(self):
        for client in self.clients:
            await client.sio.disconnect()
        self.clients.clear()


async def a_client_connects_by_the_transport_it_wants(world):
    client = await world.arrive()
    must_be(client.sio.transport(), "polling" if world.mode == "polling" else "websocket", "the transport")
    sid = client.sio.get_sid()
    must_be((sid[0], len(sid)), ("~", 33), "the beginning and length of the ID")


async def a_room_tells_who_comes_and_who_leaves(world):
    alice, bob, room = await world.pair()
    answer = await alice.ok("presence", room)
    users = sorted([alice.user, bob.user])
    must_be(answer["users"], [{"user": user, "connections": 1} for user in users], "who is there")
    await bob.ok("leave", room)
    must_be((await alice.next("left"))[0], {"room": room, "user": bob.user}, "who left")
    await bob.refused("not_joined", "message", room, "let me in")


async def messages_reach_all_in_order_with_their_places(world):
    alice, bob, room = await world.pair()
    for number in range(50):
        await alice.sio.emit("message", (room, number))
    for client in (alice, bob):
        for number in range(50):
            said, about, *_ = await client.next("message")
            must_be((said, about["from"], about["offset"]), (number, alice.user, number + 1), "what was heard")


async def acknowledgements_are_for_those_who_asked(world):
    alice, _, room = await world.pair()
    answers = await asyncio.gather(*(alice.ok("message", room, number) for number in range(50)))
    must_be([answer["offset"] for answer in answers], list(range(1, 51)), "the offsets")
    await alice.refused("unknown_type", "no such event", 1)
    await alice.sio.emit("no such event", 1)
    must_be((await alice.next("error"))[0]["code"], "unknown_type", "the error")


async def typing_and_private_messages_reach_whom_they_should(world):
    alice, bob, room = await world.pair()
    await alice.ok("typing", room, True)
    typing, about = (await bob.next("typing"))[:2]
    must_be((typing, about), (True, {"room": room, "from": alice.user}), "typing")
    for to in (bob.user, bob.sio.get_sid()):
        must_be((await alice.ok("private", to, "psst", {"to": to}))["status"], "delivered", "the status")
        said, more, about = (await bob.next("private"))[:3]
        must_be((said, more, about["from"]), ("psst", {"to": to}, alice.user), "the message")
    must_be(alice.untaken("typing"), 0, "what the typist heard")


async def binary_arrives_as_it_was_sent(world):
    alice, bob, room = await world.pair()
    said = [
        [b"\x00\x01\xff"],
        [b""],
        [b"one", "between", b"two"],
        [{"name": "photo", "parts": [{"content": os.urandom(5000)}, {"content": b"\x1e"}]}, None],
        ["é🎈\u2028", 1.5, [], {}],
    ]
    for args in said:
        await alice.ok("message", room, *args)
        for client in (alice, bob):
            heard = await client.next("message")
            must_be(list(heard[: len(args)]), args, "what was heard")


async def namespaces_share_a_connection_and_nothing_else(world):
    names = ("/", "/game-1", "/game-2")
    client = await world.arrive(namespaces=names)
    other = await world.arrive(namespaces=("/game-1",))
    must_be(len({client.sio.get_sid(name) for name in names}), 3, "the number of IDs")
    room = fresh("room")
    for name in names:
        must_be((await client.ok("join", room, namespace=name))["members"], 1, f"the members in {name}")
    must_be((await other.ok("join", room, namespace="/game-1"))["members"], 2, "the members")
    await other.ok("message", room, b"to one", namespace="/game-1")
    must_be((await client.next("message", "/game-1"))[0], b"to one", "the message")
    for name in ("/", "/game-2"):
        await client.ok("history", room, namespace=name)
        must_be(client.untaken("message", name), 0, f"what was heard in {name}")


async def a_namespace_that_is_not_served_is_refused(world):
    try:
        await world.arrive(namespaces=("/nope",))
    except socketio.exceptions.ConnectionError as error:
        must_be("Invalid namespace" in str(error) or "One or more namespaces failed" in str(error), True, str(error))
    else:
        raise AssertionError("it connected")


async def a_client_comes_again(world):
    client = await world.arrive()
    sid = client.sio.get_sid()
    await client.sio.disconnect()
    again = await world.arrive(client.user)
    must_be(again.sio.get_sid() != sid, True, "a new ID")
    await again.ok("join", fresh("room"))


FACTS = [
    a_client_connects_by_the_transport_it_wants,
    a_room_tells_who_comes_and_who_leaves,
    messages_reach_all_in_order_with_their_places,
    acknowledgements_are_for_those_who_asked,
    typing_and_private_messages_reach_whom_they_should,
    binary_arrives_as_it_was_sent,
    namespaces_share_a_connection_and_nothing_else,
    a_namespace_that_is_not_served_is_refused,
    a_client_comes_again,
]


async def main(mode, urls):
    world = World(mode, urls)
    for fact in FACTS:
        name = fact.__name__.replace("_", " ")
        try:
            await asyncio.wait_for(fact(world), 8 * WAIT_S)
            print(f"ok - {name}", flush=True)
        except Exception:
            print(f"not ok - {name}\n{traceback.format_exc()}", flush=True)
            return 1
        finally:
            await world.leave()
    return 0


if __name__ == "__main__":
    if len(sys.argv) < 3 or sys.argv[1] not in MODES:
        sys.exit("usage: python conformance.py polling|websocket|upgrade URL...")
    sys.exit(asyncio.run(main(sys.argv[1], [url.rstrip("/") for url in sys.argv[2:]])))
