"""Holds what drivers read from our URLs (got, skip, fail) against what was meant (want).

    check.py CASES ANSWERS...      CASES: the output of driver_cases; ANSWERS: of the drivers

Prints each difference, and a table: driver, form, connections that it read right, parts of them.
"""

import base64
import sys
from collections import Counter


# What a driver can't read, whoever writes the URL. Told in the table, and a way around it is the same
# connection in parts (host, port, username, password, database).
LIMITS = {
    ("node-postgres", "database"): "database names with any of + , / : ; = ? @ # $ &",
    ("postgres.js", "database"): "database names that need encoding",
}


def lines(path):
    with open(path, encoding="utf-8") as file:
        return [line.rstrip("\n").split("\t") for line in file]


def decode(text):
    return base64.b64decode(text).decode()


def main(cases, *answers):
    want = {tuple(field[1:4]): decode(field[4]) for field in lines(cases) if field[0] == "want"}
    names = {case for case, _, _ in want}
    right, skipped, wrong, seen = Counter(), {}, [], set()
    bad = set()
    for word, driver, case, form, *rest in (field for path in answers for field in lines(path)):
        seen.add((driver, form, case))
        if word == "skip":
            skipped.setdefault((driver, form), []).append(f"{case}: {decode(rest[0])}")
        elif word == "fail":
            bad.add((driver, form, case))
            wrong.append(f"{driver} refuses {form} of case {case}: {decode(rest[0])}")
        else:
            part, value = rest[0], decode(rest[1])
            expected = want.get((case, form, part))
            if part == "port" and expected is not None and "," not in value:
                expected = expected if len(set(expected.split(","))) > 1 else expected.split(",")[0]
            if expected is None or value == expected or (driver, part) in LIMITS:
                right[driver, form] += value == expected
                continue
            bad.add((driver, form, case))
            wrong.append(f"{driver} reads {part} of case {case} ({form}) as {value!r}, not {expected!r}")
    for line in wrong:
        print(line)
    print(f"{'driver':16} {'form':11} {'connections':>11} {'parts':>6}  not read")
    for driver, form in sorted({(driver, form) for driver, form, _ in seen}):
        tried = {case for d, f, case in seen if (d, f) == (driver, form)}
        assert tried == names, f"{driver} was not asked everything of {form}: {names - tried}"
        left_out = skipped.get((driver, form), [])
        limits = [LIMITS[d, part] for d, part in LIMITS if d == driver]
        good = len(names) - len(left_out) - len({c for d, f, c in bad if (d, f) == (driver, form)})
        print(f"{driver:16} {form:11} {good:11} {right[driver, form]:6}  {'; '.join(left_out + limits)}")
    total = len(seen)
    skips = sum(map(len, skipped.values()))
    print(f"{total - skips - len(bad)} passed, {len(bad)} failed, {skips} skipped")
    return 1 if bad or not seen else 0


sys.exit(main(*sys.argv[1:]))
