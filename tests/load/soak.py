"""Draws docs/performance/soak.svg from the CSV files of `make soak`: soak.py <folder with the CSV files>."""

import sys
from collections import defaultdict
from functools import partial
from itertools import pairwise
from pathlib import Path

from plot import BLUE, GREEN, GREY, RED, VIOLET, number, panel, rows, write

PLOT = Path(__file__).parents[2] / "docs/performance/soak.svg"
COLOURS = {BLUE: "blue", RED: "red", GREEN: "green", VIOLET: "violet", GREY: "grey"}
PROCESSES = {"serve 1": BLUE, "serve 2": GREEN, "work 1": RED, "work 2": VIOLET}
SLOW = {"page: clip": BLUE, "api: list": GREEN, "api: vote": RED, "log in": VIOLET}
MARKS = {"a worker is killed": "kill", "the worker is back": "", "the APIs restart": "restart"}


class Soak:
    """The samples of a run."""

    def __init__(self, folder):
        self.processes, self.tables, self.system, self.requests, events = (
            rows(folder / f"{name}.csv") for name in ("processes", "tables", "system", "requests", "events"))
        self.marks = [(number(row["minute"]), MARKS[row["event"]]) for row in events if row["event"] in MARKS]
        self.span = max(number(row["minute"]) for row in self.system)

    def panels(self):
        churned = {"uncounted": BLUE, "videos": RED, "standings": GREEN}
        growing = {"votes": BLUE, "videos": RED, "users": GREEN, "search_words": VIOLET}
        yield self.panel("resident memory, minimum of each minute, MB", self.of_processes("least_rss_mb"), PROCESSES)
        yield self.panel("the same, maximum", self.of_processes("most_rss_mb"), PROCESSES)
        yield self.panel("open file descriptors, minimum", self.of_processes("least_descriptors"), PROCESSES)
        yield self.panel("dead rows", self.of_tables(lambda row: number(row["dead"]), churned), churned)
        yield self.panel("bytes per row of the table", self.of_tables(per_row("heap_bytes"), growing), growing)
        yield self.panel("bytes per row in indexes", self.of_tables(per_row("index_bytes"), growing), growing)
        yield self.of_system("database_mb", "database, MB")
        yield self.of_system("redis_mb", "Redis, MB")
        yield self.of_system("disk_mb", "files on disk, MB")
        yield self.panel("p99 of each minute, ms", self.slowest(), SLOW)
        yield self.panel("cores in use", *self.cores())
        yield self.panel("requests per second; failures", *self.rate())

    def panel(self, title, lines, legend):
        names = ", ".join(f"{name} {COLOURS[colour]}" for name, colour in legend.items())
        return partial(panel, f"{title}: {names}", lines, span=self.span, unit="min", marks=self.marks)

    def of_processes(self, column):
        """A line for each process; a restart begins another one."""
        series = defaultdict(list)
        for row in self.processes:
            series[row["process"], row["id"]].append((number(row["minute"]), number(row[column])))
        return [(PROCESSES[name], points) for (name, _), points in series.items()]

    def of_tables(self, value, legend):
        series = defaultdict(list)
        for row in self.tables:
            if row["table"] in legend:
                series[row["table"]].append((number(row["minute"]), value(row)))
        return [(legend[name], points) for name, points in series.items()]

    def of_system(self, column, title):
        points = [(number(row["minute"]), number(row[column])) for row in self.system]
        return partial(panel, title, [(BLUE, points)], span=self.span, unit="min", marks=self.marks)

    def slowest(self):
        series = defaultdict(list)
        for row in self.requests:
            if row["kind"] in SLOW:
                series[row["kind"]].append((number(row["minute"]), number(row["p99_ms"])))
        return [(SLOW[kind], points) for kind, points in series.items()]

    def cores(self):
        """CPU seconds per second between two samples."""
        legend = {"APIs": BLUE, "workers": RED, "PostgreSQL": GREEN, "people and balancer": GREY}
        spent = defaultdict(lambda: defaultdict(float))
        for row in self.processes:
            spent[row["id"], "APIs" if row["process"].startswith("serve") else "workers"][number(row["minute"])] = (
                number(row["cpu_s"]))
        for row in self.system:
            for column, name in (("postgres_cpu_s", "PostgreSQL"), ("people_cpu_s", "people and balancer")):
                spent["", name][number(row["minute"])] = number(row[column])
        used = defaultdict(lambda: defaultdict(float))
        for (_, name), values in spent.items():
            for (before, low), (after, high) in pairwise(sorted(values.items())):
                used[name][after] += (high - low) / (after - before) / 60
        return [(legend[name], sorted(values.items())) for name, values in used.items()], legend

    def rate(self):
        minutes = [0.0, *sorted({number(row["minute"]) for row in self.requests})]
        count, failures = defaultdict(float), defaultdict(float)
        for row in self.requests:
            count[number(row["minute"])] += number(row["count"])
            failures[number(row["minute"])] += number(row["failures"])
        rates = [(now, count[now] / (now - before) / 60) for before, now in pairwise(minutes) if now > before]
        return ([(BLUE, rates), (RED, [(now, failures[now]) for _, now in pairwise(minutes)])],
                {"requests": BLUE, "failures": RED})


def per_row(column):
    return lambda row: number(row[column]) / max(number(row["live"]), 1)


def main(folder):
    soak = Soak(folder)
    write(PLOT, "An hour of mixed load", list(soak.panels()))
    print(f"drew {PLOT.relative_to(Path.cwd()) if PLOT.is_relative_to(Path.cwd()) else PLOT}")


main(Path(sys.argv[1]))
