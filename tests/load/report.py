"""Turns what Locust wrote into docs/capacity/<scenario>.svg and a table: report.py <folder with the CSV files>."""

import sys
from functools import partial
from pathlib import Path

from plot import BLUE, GREY, RED, number, panel, rows, write

DOCS = Path(__file__).parents[2] / "docs/capacity"


def draw(name, history):
    start = number(history[0]["Timestamp"])
    span = number(history[-1]["Timestamp"]) - start or 1
    panels = (("people", {"User Count": GREY}),
              ("requests (blue) and failures (red) per second", {"Requests/s": BLUE, "Failures/s": RED}),
              ("ms until half (blue) and 95 of 100 (red) are answered", {"50%": BLUE, "95%": RED}))

    def lines(columns):
        return [(colour, [(number(row["Timestamp"]) - start, number(row[column])) for row in history])
                for column, colour in columns.items()]

    write(DOCS / f"{name}.svg", name,
          [partial(panel, title, lines(columns), span=span, unit="s") for title, columns in panels])


def table(stats):
    yield "| request | count | failures | p50 | p95 | p99 | most |"
    yield "|---|---|---|---|---|---|---|"
    for row in stats:
        cells = [f"{row['Type']} {row['Name']}".strip(), row["Request Count"], row["Failure Count"]]
        cells += [f"{number(row[column]):.0f} ms" for column in ("50%", "95%", "99%", "100%")]
        yield f"| {' | '.join(cells)} |"


def main(folder):
    for stats in sorted(folder.glob("*_stats.csv")):
        name = stats.name.removesuffix("_stats.csv")
        history = [row for row in rows(folder / f"{name}_stats_history.csv") if row["Name"] == "Aggregated"]
        draw(name, history)
        print(f"\n{name}:\n", *table(rows(stats)), sep="\n")


main(Path(sys.argv[1]))
