"""Turns what Locust wrote into docs/capacity/<scenario>.svg and a table: report.py <folder with the CSV files>."""

import csv
import sys
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs/capacity"
WIDTH, HEIGHT, LEFT, TOP, GAP = 720, 110, 60, 34, 46


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def number(text):
    return 0.0 if text in ("", "N/A") else float(text)


def panel(title, history, columns, top):
    """One diagram: a line for each column over the time of the run."""
    start = number(history[0]["Timestamp"])
    span = number(history[-1]["Timestamp"]) - start or 1
    most = max(number(row[column]) for row in history for column in columns) or 1
    parts = [f'<text x="{LEFT}" y="{top - 8}">{title}</text>',
             f'<path d="M{LEFT} {top}V{top + HEIGHT}H{LEFT + WIDTH}" fill="none" stroke="#888"/>',
             f'<text x="{LEFT - 6}" y="{top + 4}" text-anchor="end">{most:.0f}</text>',
             f'<text x="{LEFT + WIDTH}" y="{top + HEIGHT + 16}" text-anchor="end">{span:.0f} s</text>']
    for column, colour in columns.items():
        points = " ".join(
            f"{LEFT + (number(row['Timestamp']) - start) * WIDTH / span:.1f},"
            f"{top + HEIGHT - number(row[column]) * HEIGHT / most:.1f}" for row in history)
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>')
    return "\n".join(parts)


def draw(name, history):
    panels = (("people", {"User Count": "#555"}),
              ("requests (blue) and failures (red) per second", {"Requests/s": "#1f6f8b", "Failures/s": "#b0413e"}),
              ("ms until half (blue) and 95 of 100 (red) are answered", {"50%": "#1f6f8b", "95%": "#b0413e"}))
    drawn = [panel(title, history, columns, TOP + index * (HEIGHT + GAP))
             for index, (title, columns) in enumerate(panels)]
    size = f"{LEFT + WIDTH + 30} {TOP + len(panels) * (HEIGHT + GAP)}"
    DOCS.mkdir(exist_ok=True)
    (DOCS / f"{name}.svg").write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size}" font-family="sans-serif" font-size="12">\n'
        f'<title>{name}</title>\n<rect width="100%" height="100%" fill="#fff"/>\n' + "\n".join(drawn) + "\n</svg>\n")


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
