#!/usr/bin/env python3
"""Says in words what the programs of the demo have measured; exits 1 if it is not as it should be.

    report.py direct  < RESULTS          two lines of JSON, as measure.sh prints them
    report.py pooled BUDGET < RESULTS    the same; BUDGET: server connections that are allowed
    report.py secret  < SECRET           a Secret as JSON; its values are shown masked
"""
import base64
import json
import os
import re
import sys
import urllib.parse


def results():
    connect, watch = (json.loads(line) for line in sys.stdin.read().splitlines()[-2:])
    return connect, watch


COLOURS = sys.stdout.isatty() and "NO_COLOR" not in os.environ


def coloured(text, code):
    return f"\x1b[1;{code}m{text}\x1b[0m" if COLOURS else text


def counts(connect, watch, of=""):
    refused = connect["clients"] - connect["answered"]
    served = coloured(f"{connect['answered']:5}", 32)
    lost = coloured(f"{refused:5}", 31 if refused else 32)
    print(f"  {served}  served")
    print(f"  {lost}  refused")
    reasons = sorted(connect["errors"]["connect"].items(), key=lambda pair: -pair[1])
    for text, count in reasons:
        # Postgres' own words come after its five-character code.
        print(f"         {count:5}  {re.sub('^[0-9A-Z]{5} ', 'FATAL: ', text)}")
    print(f"  {watch['max']:5}  connections to the database at most{of}")
    return refused


def direct():
    connect, watch = results()
    print(f"{connect['clients']} clients, straight to the database:")
    return counts(connect, watch) > 0


def pooled(budget):
    connect, watch = results()
    print(f"{connect['clients']} clients, through the pooler:")
    of = f" (allowed: {budget}; counted {watch['samples']} times)"
    refused = counts(connect, watch, of)
    print(f"  {connect['peak_connected']:5}  connected at the same time, with "
          f"{connect['answers']} answers")
    for address, count in sorted(connect["by_pooler"].items()):
        print(f"  {count:5}  of them at pooler pod {address}")
    return (refused == 0 and connect["peak_connected"] == connect["clients"]
            and watch["max"] <= budget)


def secret():
    data = {key: base64.b64decode(value).decode()
            for key, value in json.load(sys.stdin)["data"].items()}
    password = data["password"]
    hidden = {form for form in (password, urllib.parse.quote(password, safe=""),
                                urllib.parse.quote_plus(password)) if form}
    width = max(map(len, data))
    for key, value in sorted(data.items()):
        for form in hidden:
            value = value.replace(form, "****")
        print(f"  {key:{width}}  {value.strip().splitlines()[0] if value.strip() else ''}")
    return True


def main():
    what, *rest = sys.argv[1:]
    good = {"direct": direct, "secret": secret}[what]() if not rest else pooled(int(rest[0]))
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
