#!/usr/bin/env python3
"""Makes a picture of what a terminal showed.

    script -qec './x demo' capture.txt       # the real output, with its colours
    demo/picture.py capture.txt > docs/demo.svg

Understands what the demo prints: colours, bold, dim, carriage return, erase to the end of the line.
"""
import html
import re
import sys

COLUMNS = 122
CHARACTER, LINE, MARGIN = 7.8, 17, 18
BACKGROUND, FOREGROUND = "#16181d", "#d5d8df"
COLOURS = {31: "#ff6b6b", 32: "#7bd88f", 33: "#f5c86b", 34: "#6ba7ff", 35: "#d69aff", 36: "#6fd6d6"}
ESCAPE = re.compile(r"\x1b\[([0-9;?]*)([A-Za-z])|\x1b\][^\x07]*\x07|\x1b[=>]|([\r\n\x07\x08])|(.)",
                    re.DOTALL)


def styled(codes, style):
    """The style after an SGR sequence; a style is (colour, bold, dim)."""
    colour, bold, dim = style
    for code in (int(c or 0) for c in codes.split(";")):
        if code == 0:
            colour, bold, dim = None, False, False
        elif code == 1:
            bold = True
        elif code == 2:
            dim = True
        elif code in COLOURS:
            colour = COLOURS[code]
        elif code == 39:
            colour = None
    return colour, bold, dim


def screen(text):
    """Lines of (character, style)."""
    plain = (None, False, False)
    lines, line, column, style = [], [], 0, plain
    for codes, command, control, character in ESCAPE.findall(text):
        if command == "m":
            style = styled(codes, style)
        elif command == "K":
            del line[column:]
        elif control == "\n":
            lines.append(line)
            line, column = [], 0
        elif control == "\r":
            column = 0
        elif character and character >= " ":
            if column == COLUMNS:
                lines.append(line)
                line, column = [], 0
            line += [(" ", plain)] * (column - len(line))
            line[column:column + 1] = [(character, style)]
            column += 1
    return [*lines, line] if line else lines


def spans(line):
    """Neighbours of one style become one piece of text."""
    pieces = []
    for column, (character, style) in enumerate(line):
        if character != " " and pieces and pieces[-1][2].endswith("   "):
            pieces.append([column, style, character])  # keeps columns of a table in place
        elif pieces and pieces[-1][1] == style:
            pieces[-1][2] += character
        else:
            pieces.append([column, style, character])
    return pieces


def text_of(line, y):
    out = []
    for column, (colour, bold, dim), text in spans(line):
        if not text.strip():
            continue
        column += len(text) - len(text.lstrip())
        text = text.strip()
        x = MARGIN + column * CHARACTER
        attributes = f' fill="{colour}"' if colour else ""
        attributes += ' font-weight="bold"' if bold else ""
        attributes += ' opacity="0.6"' if dim else ""
        width = len(text) * CHARACTER
        out.append(f'<text x="{x:.1f}" y="{y}" textLength="{width:.1f}" '
                   f'lengthAdjust="spacingAndGlyphs"{attributes}>'
                   f"{html.escape(text)}</text>")
    return out


def main():
    with open(sys.argv[1], encoding="utf-8", errors="replace", newline="") as file:
        lines = screen(file.read())
    # script's own first and last line.
    lines = [l for l in lines if not "".join(c for c, _ in l).startswith("Script ")]
    while lines and not lines[0]:
        lines.pop(0)
    while lines and not lines[-1]:
        lines.pop()
    width = int(2 * MARGIN + COLUMNS * CHARACTER)
    height = 3 * MARGIN + len(lines) * LINE
    print(f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
          f'viewBox="0 0 {width} {height}" role="img" aria-label="Output of ./x demo">')
    print(f'<rect width="100%" height="100%" rx="8" fill="{BACKGROUND}"/>')
    for index, colour in enumerate(("#ff5f57", "#febc2e", "#28c840")):
        print(f'<circle cx="{MARGIN + 4 + 18 * index}" cy="{MARGIN}" r="5.5" fill="{colour}"/>')
    print(f'<g font-family="ui-monospace, SFMono-Regular, Menlo, Consolas, DejaVu Sans Mono, '
          f'monospace" font-size="13" fill="{FOREGROUND}" xml:space="preserve">')
    for index, line in enumerate(lines):
        for text in text_of(line, round(2 * MARGIN + (index + 1) * LINE)):
            print(text)
    print("</g>\n</svg>")


if __name__ == "__main__":
    main()
