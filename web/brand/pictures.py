"""Renders the icons and the share picture of web/assets from their SVGs; `make brand` calls it after font.py.

PNGs get a palette: a phone loads the icons when a page is put on its home screen, and messengers load the share
picture for each link.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from fontTools.ttLib import TTFont
from PIL import Image

FOLDER = Path(__file__).parent
ASSETS = FOLDER.parent / "assets"
# The picture, its SVG, its width in pixels, and its maximum size in bytes.
PICTURES = [
    ("icon-192.png", "icon.svg", 192, 10_000),
    ("icon-512.png", "icon.svg", 512, 25_000),
    ("share.png", "share.svg", 1200, 60_000),
]
FONTS = """<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig><dir>{folder}</dir><cachedir>{folder}/cache</cachedir></fontconfig>
"""


def install_font(folder):
    """Unpacks Marcador into a folder, and returns an environment in which it is the only font."""
    font = TTFont(ASSETS / "marcador.woff2")
    font.flavor = None
    font.save(folder / "marcador.ttf")
    settings = folder / "fonts.conf"
    settings.write_text(FONTS.format(folder=folder))
    return os.environ | {"FONTCONFIG_FILE": str(settings)}


def main():
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        environment = install_font(folder)
        for name, source, width, max_bytes in PICTURES:
            rendered, target = folder / name, ASSETS / name
            subprocess.run(
                ["rsvg-convert", "--width", str(width), "--output", rendered, FOLDER / source],
                env=environment, check=True,
            )
            picture = Image.open(rendered).convert("RGB")
            picture = picture.quantize(256, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
            picture.save(target, optimize=True)
            size = target.stat().st_size
            print(f"{name}: {picture.width}x{picture.height}, {size} bytes")
            if size > max_bytes:
                sys.exit(f"{name} has more than {max_bytes} bytes")


if __name__ == "__main__":
    main()
