"""One run: a contender is started, `trunkline bench` loads it, and the result is read."""

import json
import os
import subprocess
import time
import urllib.request

from contenders import PATIENCE

TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")
# Of what should arrive, or of the clients that should stay, this share may be missing: a server that
# leaves out more has done less work than the others, and its figures are not to be put beside theirs.
MISSING_MAX = 0.01


def run(tools, row, duration, warm_up):
    """Runs one row and gives what the driver found out."""
    with row.make(tools, key=row.key) as contender:
        driver = start_driver(tools, row, contender, contender.urls, row.options, duration, warm_up)
        return finish(driver, duration)


def start_driver(tools, row, contender, urls, options, duration, warm_up, number=0):
    """Starts a driver; how it ends and what it says is for `finish`."""
    result = contender.folder / f"result-{number}.json"
    command = [str(tools.driver), "bench", row.scenario, "--dialect", contender.dialect, "--quiet"]
    for url in urls:
        command += ["--url", url]
    for name, value in options.items():
        command += [f"--{name}", str(value)]
    for name, seconds in [("duration", duration), ("warm-up", warm_up)]:
        command += [f"--{name}", f"{round(seconds * 1000)}ms"]
    for pid in contender.pids:
        command += ["--pid", str(pid)]
    if row.key:
        command += ["--jwt-key", row.key]
    if row.apart:
        command += ["--apart", str(contender.shard_map)]
    command += ["--json", str(result)]
    said = (contender.folder / f"driver-{number}.log").open("w+")
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=said, stderr=said)
    process.result, process.said = result, said
    return process


def finish(driver, duration):
    """Waits for a driver and reads its result."""
    try:
        code = driver.wait(duration + 300)
    except subprocess.TimeoutExpired:
        driver.kill()
        code = driver.wait()
    driver.said.seek(0)
    said = driver.said.read()
    driver.said.close()
    if code != 0 or not driver.result.exists():
        raise RuntimeError(f"the driver ended with {code}:\n{said[-2000:]}")
    return json.loads(driver.result.read_text())


def problem_of(row, result):
    """Why a run that came to its end has measured nothing that may stand beside others; None if it has."""
    why = f": {result['error']}" if result.get("error") else ""
    if gone := result["server"].get("gone"):
        return f"{gone} of the server's processes ended{why}"
    if row.scenario == "idle":
        all = result["clients"]
        there, what = all - max(result["errors"], result.get("lost", 0)), "clients stayed"
    else:
        all = result["expected"]
        there, what = result["delivered"], "arrived"
    return None if is_whole(there, all) else f"only {there:,} of {all:,} {what}{why}"


def is_whole(there, all):
    return there > 0 and all - there <= MISSING_MAX * all


def run_many(tools, row, duration, warm_up):
    """Very many connections: a driver for each router, and what all processes take together while
    all are connected."""
    with row.make(tools) as contender:
        before = usage(contender.pids)
        count = row.options["clients"]
        share = -(-count // len(contender.urls))
        drivers = []
        try:
            for number, url in enumerate(contender.urls):
                first = share * number
                options = row.options | {"clients": min(share, count - first), "first": first}
                # The first to have its clients in still has them when the last one has, too.
                span = duration * 1.5
                drivers.append(
                    start_driver(tools, row, contender, [url], options, span, warm_up, number)
                )
            until = time.monotonic() + 10 * PATIENCE
            while (there := connections(contender)) < count:
                if time.monotonic() > until or any(it.poll() is not None for it in drivers):
                    raise RuntimeError(f"only {there:,} of {count:,} were connected at once")
                time.sleep(0.2)
            connected, start = usage(contender.pids), time.monotonic()
            time.sleep(duration)
            after, seconds = usage(contender.pids), time.monotonic() - start
            still = connections(contender)
            results = [finish(driver, span) for driver in drivers]
        finally:
            for driver in drivers:
                if driver.poll() is None:
                    driver.kill()
                    driver.wait()
        cpu = after["cpu"] - connected["cpu"]
        return {
            "clients": still,
            "seconds": seconds,
            "errors": sum(result["errors"] for result in results) + count - still,
            "sent": 0,
            "delivered": 0,
            "expected": 0,
            "server": {
                "cpu_seconds": cpu,
                "rss_before": before["rss"],
                "rss_after": after["rss"],
                "per_connection": (after["rss"] - before["rss"]) / count,
            },
            "driver": {"bottleneck": any(result["driver"]["bottleneck"] for result in results)},
        }


def usage(pids):
    """What these processes have taken until now."""
    total = {"cpu": 0.0, "rss": 0}
    for pid in pids:
        with open(f"/proc/{pid}/stat") as stat:
            # What is before may hold anything: it is the program's name.
            fields = stat.read().rsplit(") ", 1)[1].split()
        total["cpu"] += (int(fields[11]) + int(fields[12])) / TICKS
        total["rss"] += int(fields[21]) * PAGE
    return total


def connections(contender):
    """How many clients all routers have."""
    total = 0
    for address in contender.metrics:
        with urllib.request.urlopen(f"http://{address}/metrics", timeout=PATIENCE) as answer:
            for line in answer.read().decode().splitlines():
                if line.startswith("trunkline_connections"):
                    total += float(line.rsplit(" ", 1)[1])
    return int(total)
