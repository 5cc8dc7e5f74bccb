"""What is measured: each experiment has rows, a contender and the options of its load."""

from dataclasses import dataclass
from functools import partial

from contenders import Floor, Nats, SocketIo, SocketIoCluster, SocketIoxide, Trunkline

# 32 bytes: RFC 7518 asks HS256 keys to have as many as the hash.
KEY = "the key of a comparison, 32 bytes"

# Everybody, by name; the first is whose ratios to the others are told.
CONTENDERS = {
    "trunkline": Trunkline,
    "trunkline-native": partial(Trunkline, dialect="native"),
    # Where CPU time is worth more than some milliseconds.
    "trunkline-4ms": partial(Trunkline, settings='[runtime]\nflush_delay = "4ms"\n'),
    "trunkline-8ms": partial(Trunkline, settings='[runtime]\nflush_delay = "8ms"\n'),
    "socketio-cluster": SocketIoCluster,
    "socketio": SocketIo,
    "socketioxide": SocketIoxide,
    "nats": Nats,
    "floor": Floor,
    "floor-native": partial(Floor, dialect="native"),
}

# Who speaks as Trunkline's own clients do, or as tersely, is compared with Trunkline's own clients.
AGAINST_NATIVE = {"nats", "floor-native"}


@dataclass
class Row:
    name: str
    make: object
    scenario: str
    options: dict
    key: str | None = None
    # Private messages only between users of different shards: the worst case.
    apart: bool = False
    # The row with which this one is compared.
    base: str | None = None


@dataclass
class Experiment:
    name: str
    title: str
    rows: list
    # What is counted per CPU-second; None where nothing is said, and memory is what counts.
    unit: str | None
    # Several drivers, and a span that heartbeats fall into.
    is_many: bool = False


def of_all(names, scenario, options, key=None, apart=False):
    """The same load on everybody."""
    rows = []
    for name in names:
        if name.endswith("ms") and scenario not in ("fanout", "private"):
            continue
        is_trunkline = name.startswith("trunkline")
        base = "trunkline-native" if name in AGAINST_NATIVE else "trunkline"
        rows.append(
            Row(
                name,
                CONTENDERS[name],
                scenario,
                options,
                # The NATS server is asked by nobody who is there.
                key=None if name == "nats" else key,
                apart=apart and is_trunkline,
                base=None if is_trunkline else base,
            )
        )
    return rows


def experiments(names, is_smoke=False):
    """The matrix. In a smoke test everything is small."""

    def load(clients, rooms, rate):
        if is_smoke:
            clients, rooms, rate = min(clients, 40), min(rooms, 4), min(rate, 40)
        return {"clients": clients, "rooms": rooms, "rate": rate, "payload": 100}

    # As many deliveries a second, by rooms of 50 and by one of 10,000.
    small = load(10_000, 200, 400)
    hot = load(10_000, 1, 2)
    shards = load(500, 40, 1600)
    few, many, routers = (40, 120, 2) if is_smoke else (5000, 100_000, 6)
    return [
        Experiment(
            "fanout-400",
            "500 clients in 10 rooms, 400 messages a second",
            of_all(names, "fanout", load(500, 10, 400)),
            "deliveries",
        ),
        Experiment(
            "fanout-1600",
            "500 clients in 10 rooms, 1,600 messages a second",
            of_all(names, "fanout", load(500, 10, 1600)),
            "deliveries",
        ),
        Experiment(
            "private",
            "500 clients, 2,000 private messages a second, Trunkline's always between shards",
            of_all(names, "private", load(500, 10, 2000), apart=True),
            "messages",
        ),
        Experiment(
            "idle",
            "5,000 clients that say nothing",
            of_all(names, "idle", load(5000, 10, 1)),
            None,
        ),
        Experiment(
            "storm",
            "200 clients a second that connect with a token, join and go",
            of_all(names, "storm", load(500, 10, 200), key=KEY),
            "clients",
        ),
        Experiment(
            "hot-room",
            "10,000 clients, 20,000 deliveries a second, by rooms of 50 and by one room",
            [
                Row("small rooms", Trunkline, "fanout", small),
                Row("one room", Trunkline, "hot-room", hot, base="small rooms"),
            ],
            "deliveries",
        ),
        Experiment(
            "shards",
            "500 clients in 40 rooms, 1,600 messages a second, by the number of shards",
            [
                Row(
                    f"{count} shard{'s' * (count > 1)}",
                    partial(Trunkline, shards=count),
                    "fanout",
                    shards,
                    base=None if count == 1 else "1 shard",
                )
                for count in (1, 2, 4, 8)
            ],
            "deliveries",
        ),
        Experiment(
            "idle-many",
            f"clients that say nothing, with heartbeats: few at one router, many at {routers}",
            [
                Row(f"{few:,}", Trunkline, "idle", {"clients": few}),
                Row(
                    f"{many:,}",
                    partial(Trunkline, routers=routers),
                    "idle",
                    {"clients": many},
                    base=f"{few:,}",
                ),
            ],
            None,
            is_many=True,
        ),
    ]
