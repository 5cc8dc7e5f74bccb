"""What is compared: each contender starts on free ports, says where it is, and ends."""

import itertools
import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
PATIENCE = 30

# What Node's libraries are told where they are in earnest; and nobody's own settings.
ENVIRONMENT = {**os.environ, "NODE_ENV": "production"}
ENVIRONMENT.pop("RUST_LOG", None)

# Below the range from which the system takes ports for outgoing connections.
_ports = itertools.cycle(range(12_000 + os.getpid() % 9_000, 30_000))


def free_port():
    """A port on which nobody listens."""
    for port in _ports:
        with socket.socket() as it:
            try:
                it.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue


class Contender:
    """Processes that together serve clients. `tools` says where programs are, `key` is what tokens
    are signed with, if they are asked for."""

    dialect = "socketio"

    def __init__(self, tools, key=None):
        self.tools = tools
        self.key = key
        self.urls = []
        self.processes = []

    def __enter__(self):
        self.folder = self.tools.work / type(self).__name__.lower()
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_):
        self.stop()

    def start(self):
        raise NotImplementedError

    def stop(self):
        for process in reversed(self.processes):
            process.terminate()
        for process in self.processes:
            try:
                process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.processes = []

    @property
    def pids(self):
        return [process.pid for process in self.processes]

    def spawn(self, name, *command):
        """Starts a program whose output goes to a file of this contender's folder."""
        log = self.folder / f"{name}.log"
        with log.open("w") as out:
            process = subprocess.Popen(
                [str(word) for word in command],
                cwd=self.folder,
                env=ENVIRONMENT,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
            )
        process.log = log
        self.processes.append(process)
        return process

    def wait_until(self, process, is_ready):
        """Waits until `is_ready`, and no longer than the process lives."""
        until = time.monotonic() + PATIENCE
        while not is_ready():
            if process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"{process.args[0]} is not ready:\n{process.log.read_text()}")
            time.sleep(0.02)

    def wait_for_line(self, process):
        lines = lambda: process.log.read_text().splitlines()
        self.wait_until(process, lambda: any(line.startswith("ready") for line in lines()))

    def wait_for_port(self, process, port):
        def answers():
            with socket.socket() as it:
                return it.connect_ex(("127.0.0.1", port)) == 0

        self.wait_until(process, answers)

    def with_key(self):
        return ["--jwt-key", self.key] if self.key else []


class Trunkline(Contender):
    """Routers and shards with the defaults, as `cluster.toml` has them when it is empty, but for
    two things: a router's worker for each core is for machines that run nothing else, and that one
    may have as many connections as its descriptors allow."""

    def __init__(self, tools, key=None, dialect="socketio", shards=3, routers=1, settings=""):
        super().__init__(tools, key)
        self.dialect = dialect
        self.shards = shards
        self.routers = routers
        self.settings = settings

    @property
    def shard_map(self):
        return self.folder / "shards.toml"

    def start(self):
        auth = ""
        if self.key:
            key = f'jwt = {{ algorithm = "HS256", key = "{self.key}" }}'
            auth = f'[auth]\nmode = "jwt"\n{key}\n'
        config = self.folder / "cluster.toml"
        router = "[router]\nworkers = 1\n[limits]\nconnections_per_worker = 18000\n"
        config.write_text(f'[log]\nlevel = "warn"\n{router}{auth}{self.settings}')
        ids = [f"s{number}" for number in range(self.shards)]
        shards = [
            f'[[shard]]\nid = "{id}"\n'
            f'grpc = "127.0.0.1:{free_port()}"\nmetrics = "127.0.0.1:{free_port()}"\n'
            for id in ids
        ]
        head = 'version = 1\nhash_key = "0123456789abcdef0123456789abcdef"\n'
        self.shard_map.write_text(head + "".join(shards))

        program = self.tools.trunkline
        started = [
            self.spawn(f"shard-{id}", program, "shard", "--config", config, "--id", id)
            for id in ids
        ]
        self.metrics = []
        for number in range(self.routers):
            # Each on an address of its own, for one has too few ports for very many clients.
            listen = f"127.0.0.{number + 1}:{free_port()}"
            self.metrics.append(f"127.0.0.1:{free_port()}")
            options = ["--listen", listen, "--metrics", self.metrics[-1]]
            command = [program, "router", "--config", config, *options]
            started.append(self.spawn(f"router-{number}", *command))
            self.urls.append(f"ws://{listen}")
        for process in started:
            self.wait_for_line(process)


class SocketIo(Contender):
    """Socket.IO's own server, one process."""

    def start(self):
        self.urls = [f"ws://127.0.0.1:{self.server('server')}"]

    def server(self, name, *options):
        port = free_port()
        script = self.tools.socketio / "server.mjs"
        command = ["node", script, "--port", port, *options, *self.with_key()]
        process = self.spawn(name, *command)
        self.wait_for_line(process)
        return port


class SocketIoCluster(SocketIo):
    """Two of them, with what they need to be two: Redis between them and nginx before them."""

    def start(self):
        redis, port = free_port(), free_port()
        options = ["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        process = self.spawn("redis", "redis-server", "--port", redis, *options)
        self.wait_for_port(process, redis)
        url = f"redis://127.0.0.1:{redis}"
        servers = [self.server(f"server-{number}", "--redis", url) for number in range(2)]
        lines = "\n        ".join(f"server 127.0.0.1:{server};" for server in servers)
        template = (HERE / "nginx.conf").read_text()
        config = template.replace("@SERVERS@", lines).replace("@PORT@", str(port))
        (self.folder / "nginx.conf").write_text(config)
        nginx = shutil.which("nginx") or "/usr/sbin/nginx"
        prefix = f"{self.folder}/"
        command = [nginx, "-p", prefix, "-c", prefix + "nginx.conf", "-e", prefix + "errors.log"]
        self.wait_for_port(self.spawn("nginx", *command), port)
        self.urls = [f"ws://127.0.0.1:{port}"]


class SocketIoxide(Contender):
    """socketioxide, one process."""

    def start(self):
        port = free_port()
        program = self.tools.servers / "oxide"
        self.wait_for_line(self.spawn("oxide", program, "--port", port, *self.with_key()))
        self.urls = [f"ws://127.0.0.1:{port}"]


class Nats(Contender):
    """A NATS server, which does not know who its clients are and keeps nothing."""

    dialect = "nats"

    def start(self):
        port, websocket = free_port(), free_port()
        (self.folder / "nats.conf").write_text(
            f"listen: 127.0.0.1:{port}\n"
            f"websocket {{ listen: 127.0.0.1:{websocket}, no_tls: true }}\n"
        )
        process = self.spawn("nats", self.tools.nats, "-c", "nats.conf")
        self.wait_for_port(process, websocket)
        self.urls = [f"ws://127.0.0.1:{websocket}"]


class Floor(Contender):
    """One thread that does the least that any server must. It checks no tokens."""

    def __init__(self, tools, key=None, dialect="socketio"):
        super().__init__(tools, key)
        self.dialect = dialect

    def start(self):
        port = free_port()
        self.wait_for_line(self.spawn("floor", self.tools.servers / "floor", "--port", port))
        self.urls = [f"ws://127.0.0.1:{port}"]
