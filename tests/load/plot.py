"""Draws diagrams over time as SVG, for report.py and soak.py."""

import csv

WIDTH, HEIGHT, LEFT, TOP, GAP = 720, 110, 60, 34, 46
BLUE, RED, GREY, GREEN, VIOLET = "#1f6f8b", "#b0413e", "#555", "#4f8a3c", "#7a4f9a"


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def number(text):
    return 0.0 if text in ("", "N/A") else float(text)


def panel(title, lines, top, span, unit, marks=()):
    """One diagram over `span`: a line for each (colour, points), and dashes at the marks, which are (x, label)."""
    most = max((y for _, points in lines for _, y in points), default=0) or 1
    parts = [f'<text x="{LEFT}" y="{top - 8}">{title}</text>',
             f'<path d="M{LEFT} {top}V{top + HEIGHT}H{LEFT + WIDTH}" fill="none" stroke="#888"/>',
             f'<text x="{LEFT - 6}" y="{top + 4}" text-anchor="end">{label(most)}</text>',
             f'<text x="{LEFT + WIDTH}" y="{top + HEIGHT + 16}" text-anchor="end">{span:.0f} {unit}</text>']
    for at, name in marks:
        x = LEFT + at * WIDTH / span
        parts.append(f'<text x="{x:.1f}" y="{top + HEIGHT + 16}" text-anchor="middle" fill="#888">{name}</text>')
        parts.append(f'<path d="M{x:.1f} {top}V{top + HEIGHT}" stroke="#bbb" stroke-dasharray="4 3"/>')
    for colour, points in lines:
        drawn = " ".join(f"{LEFT + x * WIDTH / span:.1f},{top + HEIGHT - y * HEIGHT / most:.1f}" for x, y in points)
        parts.append(f'<polyline points="{drawn}" fill="none" stroke="{colour}" stroke-width="2"/>')
    return "\n".join(parts)


def label(value):
    return f"{value:.0f}" if value >= 10 else f"{value:.2g}"


def write(path, title, panels):
    """Writes the panels, functions of their top edge, below each other."""
    drawn = [draw(TOP + index * (HEIGHT + GAP)) for index, draw in enumerate(panels)]
    size = f"{LEFT + WIDTH + 30} {TOP + len(panels) * (HEIGHT + GAP)}"
    path.parent.mkdir(exist_ok=True)
    path.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size}" font-family="sans-serif" font-size="12">\n'
        f'<title>{title}</title>\n<rect width="100%" height="100%" fill="#fff"/>\n' + "\n".join(drawn) + "\n</svg>\n")
