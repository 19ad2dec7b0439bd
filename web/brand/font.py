"""Builds the display face Marcador (web/assets/marcador.woff2) from glyphs.svg; `make brand` calls it.

The outlines themselves are slanted: the style sheet declares the face for `font-style: normal` and all weights, and
uses it with `font-synthesis: none`, so that no browser slants or emboldens it once more.

With font files as arguments it prints the descriptors that give their lines the height of those in Marcador, and
nearly the width, for the fallback faces of the style sheet (Liberation Sans has the widths of Arial):

    @font-face {
        font-family: "Marcador Roboto"; src: local("Roboto Bold"), local("Roboto-Bold"); font-weight: 100 900;
        size-adjust: 108.6%; ascent-override: 86.6%; descent-override: 22.1%; line-gap-override: 0%;
    }
    @font-face {
        font-family: "Marcador Arial"; src: local("Arial Bold"), local("Arial-BoldMT"), local("Liberation Sans Bold");
        font-weight: 100 900;
        size-adjust: 100.7%; ascent-override: 93.3%; descent-override: 23.8%; line-gap-override: 0%;
    }
"""

import re
import sys
import unicodedata
import xml.etree.ElementTree as xml
from math import radians, tan
from pathlib import Path

from fontTools.agl import toUnicode
from fontTools.feaLib.builder import addOpenTypeFeaturesFromString
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from fontTools.ttLib import TTFont, newTable

FOLDER = Path(__file__).parent
TARGET = FOLDER.parent / "assets" / "marcador.woff2"
MAX_BYTES = 5_000

UNITS_PER_EM = 1000
SCALE = 7  # units per unit of the grid
CAPITAL = 100  # height of the capitals on the grid
ANGLE = 8  # degrees
# The middle of the capitals is the middle of the line: ASCENT - DESCENT is their height. Marks end below ASCENT.
ASCENT, DESCENT = 940, 240
CREATED = 3_850_070_400  # 2026-01-01 in seconds since 1904: equal outlines make equal files

SIDE = 9  # space beside a glyph, on the grid, unless it has data-sides
DIGITS = "zero one two three four five six seven eight nine".split()
DIGIT_ADVANCE = 94
COMPOSED = "ÁÉÍÑÓÚÜ"
MARKS = {"\u0301": "acutecomb", "\u0303": "tildecomb", "\u0308": "dieresiscomb"}
ALIASES = {
    "\u00a0": "space", "\u202f": "space", "\u2011": "hyphen", "\u2212": "hyphen", "'": "quoteright",
}
# In units of the font. Digits and the signs between them are not kerned: counts stay aligned in columns.
KERNING = """
languagesystem DFLT dflt;
languagesystem latn dflt;
@A = [A Aacute];
@O = [C G O Oacute Q];
@V = [V W Y];
@stop = [period comma];
feature kern {
    pos @A [T] -70;
    pos @A @V -45;
    pos [D O Oacute Q] [T] -20;
    pos [D O Oacute Q] @V -20;
    pos [F P] @A -55;
    pos [F P] [J] -105;
    pos [F P] @stop -125;
    pos [L] @O -20;
    pos [L] [T] -120;
    pos [L] @V -90;
    pos [T] @A -70;
    pos [T] @O -20;
    pos [T] [J] -105;
    pos [T] @stop -125;
    pos @V @A -45;
    pos @V @O -20;
    pos @V [J] -70;
    pos @V @stop -105;
} kern;
"""

# Headings of the pages: the fallback faces get the width that these have in Marcador.
SAMPLE = (
    "LAS ESTRELLAS NACEN EN TU CANCHA CLASIFICACIÓN MIS VIDEOS SUBE TU VIDEO MI CUENTA CREA TU CUENTA ENTRAR "
    "ORGANIZACIÓN AYUDA PUESTO 3 EN BOGOTÁ 1.234 ANA GÓMEZ CALI MEDELLÍN"
)


class Drawing:
    """A glyph of the sheet: its contours, the x where its drawing begins, and its advance, on the grid."""

    def __init__(self, path):
        self.name = path.get("id")
        self.contours = list(contours(path.get("d")))
        left, right = (float(side) for side in path.get("data-sides", f"{SIDE} {SIDE}").split())
        columns = [x for contour in self.contours for x, _ in contour] or [0]
        self.width = max(columns) - min(columns)
        self.advance = left + self.width + right
        if self.name in DIGITS:
            left += (DIGIT_ADVANCE - self.advance) / 2
            self.advance = DIGIT_ADVANCE
        self.left = left
        self.shift = 0 if self.name in MARKS.values() else left - min(columns)

    def glyph(self):
        """Slants around half the height of the capitals: the space at both sides stays balanced."""
        pen = TTGlyphPen(None)
        for contour in self.contours:
            for index, (x, y) in enumerate(contour):
                slanted = x + self.shift + (CAPITAL / 2 - y) * tan(radians(ANGLE))
                draw = pen.lineTo if index else pen.moveTo
                draw((round(slanted * SCALE), round((CAPITAL - y) * SCALE)))
            pen.closePath()
        return pen.glyph()

    def with_mark(self, mark):
        pen = TTGlyphPen({self.name: None, mark: None})
        pen.addComponent(self.name, (1, 0, 0, 1, 0, 0))
        pen.addComponent(mark, (1, 0, 0, 1, round((self.left + self.width / 2) * SCALE), 0))
        return pen.glyph()


def contours(path):
    """Yields the corners of each contour of a path with the commands M, L, H, V and Z."""
    corners = []
    for command, text in re.findall(r"([A-Za-z])([^A-Za-z]*)", path):
        numbers = [float(number) for number in text.split()]
        if command == "Z":
            yield corners
            corners = []
        elif command == "H":
            corners.append((*numbers, corners[-1][1]))
        elif command == "V":
            corners.append((corners[-1][0], *numbers))
        elif command in "ML":
            corners.append(tuple(numbers))
        else:
            sys.exit(f"glyphs.svg: unsupported path command {command}")


def build():
    sheet = xml.parse(FOLDER / "glyphs.svg").iter("{http://www.w3.org/2000/svg}path")
    drawings = {drawing.name: drawing for drawing in map(Drawing, sheet)}
    # Browsers show characters without a glyph in the next font; nothing shows .notdef.
    glyphs, advances, characters = {".notdef": TTGlyphPen(None).glyph()}, {".notdef": 0}, dict(ALIASES)
    for name, drawing in drawings.items():
        glyphs[name], advances[name] = drawing.glyph(), drawing.advance
        if name not in MARKS.values():
            characters[toUnicode(name)] = name
    for letter in COMPOSED:
        base, accent = unicodedata.normalize("NFD", letter)
        mark = MARKS[accent]
        name = characters[letter] = base + mark.removesuffix("comb")
        glyphs[name], advances[name] = drawings[base].with_mark(mark), drawings[base].advance
    # Small letters get the capitals, so that a heading without `text-transform` keeps its face.
    characters |= {character.lower(): name for character, name in characters.items()}
    return assemble(glyphs, advances, characters)


def assemble(glyphs, advances, characters):
    font = FontBuilder(UNITS_PER_EM)
    font.setupGlyphOrder(list(glyphs))
    font.setupCharacterMap({ord(character): name for character, name in characters.items()})
    font.setupGlyf(glyphs)
    bearing = {name: getattr(glyph, "xMin", 0) for name, glyph in glyphs.items()}
    font.setupHorizontalMetrics({name: (round(advances[name] * SCALE), bearing[name]) for name in glyphs})
    font.setupHorizontalHeader(ascent=ASCENT, descent=-DESCENT)
    font.setupNameTable({
        "copyright": "ANB Rising Stars", "familyName": "Marcador", "styleName": "Bold Italic",
        "uniqueFontIdentifier": "Marcador Bold Italic 1.000", "fullName": "Marcador Bold Italic",
        "version": "Version 1.000", "psName": "Marcador-BoldItalic",
    }, mac=False)
    italic, bold, use_typo_metrics = 1 << 0, 1 << 5, 1 << 7
    font.setupOS2(
        version=4, usWeightClass=700, fsSelection=italic | bold | use_typo_metrics, fsType=0,
        sTypoAscender=ASCENT, sTypoDescender=-DESCENT, sTypoLineGap=0, usWinAscent=ASCENT, usWinDescent=DESCENT,
        sCapHeight=CAPITAL * SCALE, sxHeight=CAPITAL * SCALE, yStrikeoutPosition=300, yStrikeoutSize=100,
    )
    font.setupPost(keepGlyphNames=False, italicAngle=-ANGLE, underlinePosition=-120, underlineThickness=100)
    font.setupHead(unitsPerEm=UNITS_PER_EM, created=CREATED, modified=CREATED, macStyle=0b11, lowestRecPPEM=8)
    font.font.recalcTimestamp = False
    smooth = font.font["gasp"] = newTable("gasp")
    smooth.gaspRange = {0xFFFF: 0b1111}
    addOpenTypeFeaturesFromString(font.font, KERNING)
    font.font.flavor = "woff2"
    return font.font


def width(font):
    """Returns the width of the sample in em, without kerning."""
    characters, advances = font.getBestCmap(), font["hmtx"]
    return sum(advances[characters[ord(each)]][0] for each in SAMPLE) / font["head"].unitsPerEm


def print_fallback(font, path):
    installed = TTFont(path)
    scale = width(font) / width(installed)
    ascent, descent = (height / UNITS_PER_EM / scale for height in (ASCENT, DESCENT))
    print(f"{installed['name'].getDebugName(4)}: size-adjust: {scale:.1%}; ascent-override: {ascent:.1%}; "
          f"descent-override: {descent:.1%}; line-gap-override: 0%")


def main():
    font = build()
    for path in sys.argv[1:]:
        print_fallback(font, path)
    if not sys.argv[1:]:
        font.save(TARGET)
        size = TARGET.stat().st_size
        print(f"{TARGET.name}: {len(font.getBestCmap())} characters, {size} bytes")
        if size > MAX_BYTES:
            sys.exit(f"{TARGET.name} has more than {MAX_BYTES} bytes")


if __name__ == "__main__":
    main()
