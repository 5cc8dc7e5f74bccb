"""What came of it: medians, a table for people, and plots."""

import statistics

# Figures by name: where in a result, how they are shown, and what they are divided by for that.
FIGURES = {
    "per_cpu_second": (("server", "per_cpu_second"), "per CPU-s", "{:,.0f}", 1),
    "p50": (("latency_ms", "p50"), "p50 ms", "{:.2f}", 1),
    "p99": (("latency_ms", "p99"), "p99 ms", "{:.2f}", 1),
    "p999": (("latency_ms", "p999"), "p99.9 ms", "{:.2f}", 1),
    "rss": (("server", "rss_after"), "MiB", "{:,.1f}", 1 << 20),
    "per_connection": (("server", "per_connection"), "KiB a connection", "{:,.1f}", 1 << 10),
    "cpu": (("server", "cpu_share"), "% of a core", "{:.1f}", 0.01),
}
SPEAKING = ["per_cpu_second", "p50", "p99", "p999", "rss"]
SILENT = ["per_connection", "rss"]
# Those for which Trunkline's ratio is told.
COMPARED = {"per_cpu_second", "p99", "rss", "per_connection"}


def figures_of(experiment):
    if experiment.unit:
        return SPEAKING
    # Only where heartbeats are awaited is there anything to do.
    return SILENT + ["cpu"] if experiment.is_many else SILENT


def figure(result, name):
    value = result
    for key in FIGURES[name][0]:
        if key == "cpu_share":
            return value["cpu_seconds"] / result["seconds"] if result["seconds"] else None
        value = (value or {}).get(key)
    return value


def medians(experiment, runs):
    """By row and figure, from the runs of this experiment that went well."""
    table = {}
    for row in experiment.rows:
        if results := [it["result"] for it in good(runs, experiment, row)]:
            values = {name: [figure(it, name) for it in results] for name in figures_of(experiment)}
            table[row.name] = {
                name: statistics.median(of_name)
                for name, of_name in values.items()
                if None not in of_name
            }
    return table


def good(runs, experiment, row):
    """The runs of a row whose figures mean something."""
    return [run for run in runs if is_of(run, experiment, row) and not run["problem"]]


def is_of(run, experiment, row):
    return run["experiment"] == experiment.name and run["row"] == row.name


def table(experiment, runs, how):
    """The experiment's table, and below it what is to be known about its figures."""
    values = medians(experiment, runs)
    names = figures_of(experiment)
    heads = [head(experiment, name) for name in names]
    lines = [["", *heads]]
    for row in experiment.rows:
        cells = [row.name]
        if row.name not in values:
            lines.append(cells + ["failed"] * len(names))
            continue
        for name in names:
            value = values.get(row.name, {}).get(name)
            base = values.get(row.base, {}).get(name)
            _, _, shape, divisor = FIGURES[name]
            cell = "–" if value is None else shape.format(value / divisor)
            if name in COMPARED and base and value:
                cell += f" ({ratio(base / value)})"
            cells.append(cell)
        lines.append(cells)
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    text = [f"{experiment.name}: {experiment.title} ({how})", ""]
    for name, *cells in lines:
        cells = "  ".join(cell.rjust(width) for cell, width in zip(cells, widths[1:]))
        text.append(f"  {name.ljust(widths[0])}  {cells}")
    return "\n".join(text + [f"  {note}" for note in notes(experiment, runs)])


def head(experiment, name):
    text = FIGURES[name][1]
    return f"{experiment.unit} {text}" if name == "per_cpu_second" else text


def ratio(value):
    return f"{value:.1f}×" if value >= 0.1 else f"{value:.2f}×"


def notes(experiment, runs):
    for row in experiment.rows:
        mine = [run for run in runs if is_of(run, experiment, row)]
        results = [run["result"] for run in good(runs, experiment, row)]
        for run in mine:
            if run["problem"]:
                yield f"{row.name} failed in round {run['round']}: {run['problem']}"
        slow = sum(result["driver"]["bottleneck"] for result in results)
        if slow:
            yield f"{row.name}: the driver was the bottleneck in {slow} of {len(results)} rounds"
        expected = sum(result["expected"] for result in results)
        missing = expected - sum(result["delivered"] for result in results)
        errors = sum(result["errors"] for result in results)
        if missing > 0:
            yield f"{row.name}: {missing:,} of {expected:,} did not arrive"
        if errors:
            first = next((it["error"] for it in results if it.get("error")), "")
            yield f"{row.name}: {errors:,} errors {first}".rstrip()


LEGEND = """\
per CPU-s: for each CPU-second of all of a contender's processes together, as is the memory.
(n×): Trunkline's figure is n times this one; of latency and memory, less is better. NATS and
floor-native are compared with trunkline-native, the others with trunkline; where all rows are
Trunkline's, with the first."""


def plot(experiment, runs, folder):
    """Bars for each row, as an SVG whose texts are texts."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "trunkline"})
    from matplotlib import pyplot

    values = medians(experiment, runs)
    rows = [row.name for row in experiment.rows if row.name in values]
    if not rows:
        return
    names = ["per_cpu_second", "p99", "rss"] if experiment.unit else figures_of(experiment)
    size = (4 * len(names) + 1, 0.35 * len(rows) + 1.4)
    panel, axes = pyplot.subplots(1, len(names), figsize=size, sharey=True)
    for axis, name in zip(axes, names):
        _, _, shape, divisor = FIGURES[name]
        lengths = [values[row].get(name, 0) / divisor for row in rows]
        colours = ["#2a6f97" if is_ours(experiment, row) else "#a9b4bd" for row in rows]
        bars = axis.barh(rows, lengths, color=colours)
        axis.bar_label(bars, [shape.format(length) for length in lengths], padding=3, fontsize=8)
        axis.set_title(head(experiment, name), fontsize=10)
        axis.margins(x=0.25)
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].invert_yaxis()
    panel.suptitle(experiment.title, fontsize=11)
    panel.tight_layout()
    folder.mkdir(parents=True, exist_ok=True)
    panel.savefig(folder / f"{experiment.name}.svg", metadata={"Date": None})
    pyplot.close(panel)


def is_ours(experiment, name):
    row = next(row for row in experiment.rows if row.name == name)
    # Where Trunkline is only compared with itself, all rows are ours.
    everybody = {row.name for row in experiment.rows}
    return name.startswith("trunkline") or "trunkline" not in everybody or row.base is None
