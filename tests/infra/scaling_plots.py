"""Draws docs/scaling/*.svg and prints the table of docs/scaling.md, with the values that the templates deploy."""

from dataclasses import replace

from emulator.server import emulator
from scaling import BURST, FILLED, SCENARIOS, deployed, earlier, simulate
from stacks import ROOT, STACKS, Account

WIDTH, HEIGHT, LEFT, TOP, GAP = 720, 110, 52, 34, 46
COLOURS = {"earlier": "#b0413e", "current": "#1f6f8b", "on time": "#1f6f8b", "1 min late": "#5a9e4b",
           "2 min late": "#c98a1b", "3 min late": "#7a5195", "filled with 0, 1 min late": "#b0413e"}


def points(values, top, scale, step):
    """Returns the points of a step line, one for each change of the value."""
    line, last = [], None
    for second in range(0, len(values), step):
        y = round(top + HEIGHT - values[second] * scale, 1)
        if y != last:
            x = round(LEFT + second * WIDTH / len(values), 1)
            line += [f"{x},{last}"] if last is not None else []
            line.append(f"{x},{y}")
            last = y
    return " ".join([*line, f"{LEFT + WIDTH},{last}"])


def panel(title, runs, attribute, top):
    most = max(max(getattr(run, attribute)) for run in runs.values()) or 1
    length = len(next(iter(runs.values())).backlog)
    parts = [f'<text x="{LEFT}" y="{top - 8}">{title}</text>',
             f'<path d="M{LEFT} {top}V{top + HEIGHT}H{LEFT + WIDTH}" fill="none" stroke="#888"/>']
    for value in (0, most):
        y = top + HEIGHT - value * HEIGHT / most + 4
        parts.append(f'<text x="{LEFT - 6}" y="{y}" text-anchor="end">{value}</text>')
    for quarter in range(5):
        x, minutes = LEFT + quarter * WIDTH / 4, quarter * length // 240
        parts.append(f'<text x="{x}" y="{top + HEIGHT + 16}" text-anchor="middle">{minutes} min</text>')
    for name, run in runs.items():
        line = points(getattr(run, attribute), top, HEIGHT / most, 5)
        parts.append(f'<polyline points="{line}" fill="none" stroke="{COLOURS[name]}" stroke-width="2"/>')
    return "\n".join(parts)


def draw(name, title, runs):
    legend, x = "", LEFT + WIDTH
    for each in reversed(runs):
        legend = f'<text x="{x}" y="16" text-anchor="end" fill="{COLOURS[each]}">{each}</text>' + legend
        x -= 7 * len(each) + 24
    second = TOP + HEIGHT + GAP
    size = f"{LEFT + WIDTH + 30} {second + HEIGHT + 26}"
    svg = (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size}" font-family="sans-serif" font-size="12">\n'
           f'<title>{title}</title>\n<rect width="100%" height="100%" fill="#fff"/>\n{legend}\n'
           f'{panel("videos, waiting and running", runs, "backlog", TOP)}\n'
           f'{panel("ready workers", runs, "ready", second)}\n</svg>\n')
    (ROOT / "docs/scaling").mkdir(exist_ok=True)
    (ROOT / f"docs/scaling/{name}.svg").write_text(svg)


def row(name, run, largest):
    ready = run.minutes_until_ready(largest) - min(BURST) / 60
    ready = f"{ready:.1f} min" if ready < 1e6 else "never"
    print(f"| {name} | {ready} | {run.minutes_until_drained() - 1:.1f} min | "
          f"{max(run.minutes_until_smallest() - 1, 0):.1f} min | {run.interrupted} | {run.flaps()} | "
          f"{run.worker_seconds / 3600:.1f} h |")


def main():
    with emulator():
        account = Account()
        for stack in list(STACKS)[:-1]:
            account.create(stack)
        policy = deployed(account)
    for name, scenario in SCENARIOS.items():
        runs = {"earlier": simulate(earlier(policy), *scenario), "current": simulate(policy, *scenario)}
        for who, run in runs.items():
            row(f"{name}, {who}", run, policy.largest)
        draw(name, name, runs)
    row("long, current without protection", simulate(replace(policy, protects=False), *SCENARIOS["long"]), 3)
    row("burst, current, warm-up 120 s", simulate(replace(policy, warm_up=120), *SCENARIOS["burst"]), 3)
    row("burst, current, boot of 8 min", simulate(replace(policy, boot=480), *SCENARIOS["burst"]), 3)
    for phase in (0, 59):
        row(f"burst, current, metrics {phase} s past", simulate(policy, *SCENARIOS["burst"], phase=phase), 3)
    late = {name: simulate(policy, {60: 54}, 40, 1, late=minutes)
            for minutes, name in enumerate(("on time", "1 min late", "2 min late", "3 min late"))}
    late["filled with 0, 1 min late"] = simulate(replace(policy, expression=FILLED), {60: 54}, 40, 1, late=1)
    for name, run in late.items():
        row(f"54 videos, {name}", run, 3)
    draw("late", "54 videos at once, metrics on time and late", late)
    hundreds = simulate(replace(policy, largest=300), {60: 3000}, 40, 1)
    row("3,000 videos, up to 300 workers", hundreds, 300)
    draw("hundreds", "3,000 videos at once, up to 300 workers", {"current": hundreds})


if __name__ == "__main__":
    main()
