"""Measures Trunkline and what a user would run in its place, by the same load in one go. `run`
installs what this needs, and is the way to start it."""

import argparse
import json
import os
import platform
import re
import signal
import sys
import time
from datetime import datetime, timezone
from pathlib import Path
from types import SimpleNamespace

import measure
import report
from experiments import CONTENDERS, experiments

HERE = Path(__file__).resolve().parent
# Long enough for two heartbeats.
MANY_DURATION = 60


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    names = [experiment.name for experiment in experiments([])]
    parser.add_argument("--only", type=words(names), default=names, metavar="NAMES",
                        help=f"these experiments, of {','.join(names)}")
    parser.add_argument("--against", type=words(list(CONTENDERS)), default=list(CONTENDERS),
                        metavar="NAMES", help=f"these contenders, of {','.join(CONTENDERS)}; "
                        "Trunkline itself is always there")
    parser.add_argument("--rounds", type=int, default=5, help="default: 5")
    parser.add_argument("--duration", type=float, default=10, metavar="SECONDS",
                        help="of each run, default: 10")
    parser.add_argument("--smoke", action="store_true",
                        help="everything once, briefly and small, to see that it works")
    parser.add_argument("--plots", type=Path, metavar="DIR", help="write SVGs there")
    parser.add_argument("--json", type=Path, metavar="FILE",
                        help="where the results go, default: results.json in the build's folder")
    parser.add_argument("--build", type=Path, default=HERE.parents[1] / "target", metavar="DIR",
                        help="Cargo's folder, in which everything is")
    parser.add_argument("--trunkline", type=Path, metavar="PROGRAM",
                        help="another build of Trunkline to measure; the driver stays")
    return parser.parse_args()


def words(known):
    def parse(text):
        given = text.split(",")
        for word in given:
            if word not in known:
                raise argparse.ArgumentTypeError(f"{word} is none of {','.join(known)}")
        return given

    return parse


def main():
    # Whoever ends this ends all that it has started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    args = arguments()
    home = args.build.resolve() / "compare"
    driver = args.build.resolve() / "release" / "trunkline"
    tools = SimpleNamespace(
        driver=driver,
        trunkline=args.trunkline.resolve() if args.trunkline else driver,
        servers=home / "servers" / "release",
        socketio=home / "socketio",
        nats=Path(sys.prefix) / "bin" / "nats-server",
        work=home / "work",
    )
    against = [it for it in CONTENDERS if it in args.against or it.startswith("trunkline")]
    chosen = [it for it in experiments(against, args.smoke) if it.name in args.only]
    rounds = 1 if args.smoke else args.rounds
    results = {"machine": machine(), "duration": args.duration, "rounds": rounds, "runs": []}
    runs = results["runs"]
    # What was measured in earnest is not lost to a smoke test.
    path = args.json or home / ("smoke.json" if args.smoke else "results.json")

    total = rounds * sum(len(experiment.rows) for experiment in chosen)
    for number in range(1, rounds + 1):
        for experiment in chosen:
            # Everybody is first, and last, in some round.
            turn = number % len(experiment.rows)
            for row in experiment.rows[turn:] + experiment.rows[:turn]:
                run = measured(tools, experiment, row, number, args)
                runs.append(run)
                tell(f"{len(runs)} of {total}: {run['experiment']}, {run['row']}", run)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(json.dumps(results, indent=1) + "\n")

    how = "one round" if rounds == 1 else f"medians of {rounds} rounds"
    if args.smoke:
        how = "in small, to see that it works: figures mean nothing"
    results["medians"] = {it.name: report.medians(it, runs) for it in chosen}
    path.write_text(json.dumps(results, indent=1) + "\n")
    for experiment in chosen:
        print(f"\n{report.table(experiment, runs, how)}")
        if args.plots:
            report.plot(experiment, runs, args.plots)
    print(f"\n{report.LEGEND}\n{results['machine']['summary']}\nAll results: {path}")
    if any(is_bad(run) for run in runs):
        sys.exit("some runs failed, or not everything arrived")


def measured(tools, experiment, row, number, args):
    duration, warm_up = (1, 0.5) if args.smoke else (args.duration, 2)
    run = measure.run
    if experiment.is_many:
        run = measure.run_many
        duration = 4 if args.smoke else max(duration, MANY_DURATION)
    result, problem = None, None
    try:
        result = run(tools, row, duration, warm_up)
        problem = measure.problem_of(row, result)
    except (RuntimeError, OSError, ValueError) as error:
        problem = " ".join(str(error).split()) or repr(error)
    return {
        "experiment": experiment.name,
        "row": row.name,
        "round": number,
        "at": time.time(),
        "result": result,
        "problem": problem,
    }


def is_bad(run):
    result = run["result"]
    return run["problem"] or result["errors"] > 0 or result["delivered"] < result["expected"]


def tell(what, run):
    outcome = "failed: " + run["problem"] if run["problem"] else ""
    print(f"{what} {outcome}".rstrip(), file=sys.stderr, flush=True)


def machine():
    cpu = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    about = {
        "cpu": cpu.group(1) if cpu else platform.machine(),
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "at": datetime.now(timezone.utc).isoformat(timespec="seconds"),
    }
    about["summary"] = f"{about['cores']} cores of {about['cpu']}, Linux {about['kernel']}, {about['at']}"
    return about


if __name__ == "__main__":
    main()
