"""Holds what the drivers read to what was meant: reads the lines of driver_cases and of the
programs of this folder, and prints a table.

  want  CASE FORM PART VALUE             what was meant
  got   DRIVER CASE FORM PART VALUE      what the driver read
  fail  DRIVER CASE FORM MESSAGE         the driver refuses it

A driver has to say something about every case of a form that it reads. What it is known to read
wrong is in KNOWN; a line there that is no longer needed is a failure too, so that it goes."""

import base64
import collections
import re
import sys


def several(meant):
    return "," in meant["host"]


def ipv6(meant):
    return ":" in meant["host"]


# (driver, form): (what it does not understand, in which cases, in which part or in all of them)
KNOWN = {
    ("node-postgres", "uri"): [
        ("several hosts", several, None),
        ("#$&+,/:;=?@ in a database's name",
         lambda meant: re.search(r"[#$&+,/:;=?@]", meant["database"]), "database")],
    ("postgres.js", "uri"): [
        ("IPv6", ipv6, None),
        ("a database's name that has to be encoded",
         lambda meant: re.search(r"[^A-Za-z0-9._~-]", meant["database"]), "database")],
    ("whatwg", "uri"): [("several hosts", several, None)],
    ("urllib", "uri"): [("several hosts", several, None)],
    ("lib/pq", "uri"): [("several hosts", several, None)],
    ("asyncpg", "uri"): [
        ("IPv6 among several hosts", lambda meant: several(meant) and ipv6(meant), None)],
}


def text(value):
    return base64.b64decode(value).decode()


def shown(value):
    return repr(value if len(value) < 60 else value[:60] + "...")


class Readings:
    """Of one driver and form: what it got wrong, by case and part; None is the part of a refusal."""

    def __init__(self):
        self.wrong = collections.defaultdict(dict)
        self.cases = set()


def read(lines):
    meant = collections.defaultdict(lambda: collections.defaultdict(dict))  # form, case, part
    readings = collections.defaultdict(Readings)
    for line in lines:
        word, *fields = line.rstrip("\n").split("\t")
        if word == "want":
            case, form, part, value = fields
            meant[form][case][part] = text(value)
        if word not in ("got", "fail"):
            continue
        driver, case, form, *rest = fields
        reading = readings[form, driver]
        reading.cases.add(case)
        if word == "fail":
            reading.wrong[case][None] = f"refused: {text(rest[0])}"
        elif text(rest[1]) != meant[form][case][rest[0]]:
            reading.wrong[case][rest[0]] = (
                f"{rest[0]} is {shown(text(rest[1]))}, not {shown(meant[form][case][rest[0]])}")
    return meant, readings


def forgive(known, meant, reading):
    """Takes out of `reading` what is known; returns what of `known` there was."""
    met = []
    for what, applies, part in known:
        cases = [case for case in reading.wrong if applies(meant[case])
                 and (part is None or part in reading.wrong[case])]
        for case in cases:
            gone = [part] if part else list(reading.wrong[case])
            for each in gone:
                del reading.wrong[case][each]
        if cases:
            met.append(what)
    return met


def main():
    meant, readings = read(sys.stdin)
    passed, skipped, complaints = 0, 0, []
    print(f"{'form':<12}{'driver':<16}{'right':>5}  does not understand")
    for (form, driver), reading in sorted(readings.items()):
        for case in meant[form].keys() - reading.cases:
            reading.wrong[case][None] = "nothing was read"
        known = KNOWN.get((driver, form), [])
        right = len(meant[form]) - len(reading.wrong)
        met = forgive(known, meant[form], reading)
        print(f"{form:<12}{driver:<16}{right:>5}  {', '.join(met)}".rstrip())
        bad = {case: found for case, found in reading.wrong.items() if found}
        passed += right
        skipped += len(reading.wrong) - len(bad)
        complaints += [f"{driver}, {form}, case {case}: {'; '.join(found.values())}"
                       for case, found in sorted(bad.items())]
        complaints += [f"{driver}, {form}: understands {what} now: take it out of KNOWN"
                       for what, *_ in known if what not in met]
    for complaint in complaints:
        print(f"FAILED {complaint}")
    print(f"{passed} passed, {len(complaints)} failed, {skipped} skipped")
    sys.exit(0 if passed and not complaints else 1)


main()
