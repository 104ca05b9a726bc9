"""Takes out of a tutorial what it has its reader write, so that the page is what the tests run.

    pages.py PAGE FOLDER      writes every named block of PAGE to its name below FOLDER

A named block is a fenced block after a line that ends with its file name: "`config/database.yml`:".
Blocks without a name are for reading only.
"""

import os
import re
import sys

NAME = re.compile(r"`([\w./-]+)`:$")


def named_blocks(text):
    """File names of the page and what is to be in them, in its order."""
    lines = iter(text.splitlines())
    for line in lines:
        name = NAME.search(line)
        if not name:
            continue
        opening = next((line for line in lines if line), "")
        if not opening.startswith("```"):
            raise ValueError(f"no fenced block after the line that names {name.group(1)}")
        body = []
        for line in lines:
            if line == "```":
                break
            body.append(line + "\n")
        else:
            raise ValueError(f"the block of {name.group(1)} has no end")
        yield name.group(1), "".join(body)


def main(page, folder):
    with open(page) as file:
        blocks = list(named_blocks(file.read()))
    if not blocks:
        raise ValueError(f"{page} has no named block")
    for name, body in blocks:
        path = os.path.join(folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        if os.path.exists(path):
            raise ValueError(f"{page} has {name} twice, or the test's own files have it too")
        with open(path, "w") as file:
            file.write(body)


if __name__ == "__main__":
    main(*sys.argv[1:])
