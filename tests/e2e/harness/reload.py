"""Changes that running poolers load, while a transaction is open through one of them."""

import time

# Prints its backend's number whenever it is asked.
HOLDER = """
import json, os, sys, psycopg
with psycopg.connect(os.environ["URL"]) as connection:
    for line in iter(sys.stdin.readline, "commit\\n"):
        backend = connection.execute("select pg_backend_pid()").fetchone()[0]
        print(json.dumps({"event": "backend", "number": backend}), flush=True)
print(json.dumps({"event": "result", "committed": True}), flush=True)
"""


def reload_times(pooler, runner, changes):
    """Seconds from each change's acknowledgement until all replicas have shown that they loaded it.
    The transaction has the same backend all the time, and commits."""
    holder = runner.start(["python3", "-u", "-c", HOLDER],
                          {"URL": pooler.secret()["DATABASE_POOLED_URL"]})
    backends, times = set(), []
    for change in [None, *changes]:
        if change is not None:
            pooler.patch(**change)
            began = time.monotonic()
            pooler.wait_condition("ConfigurationLoaded", "True", timeout=30)
            times.append(time.monotonic() - began)
        holder.write("\n")
        backends.add(holder.event("backend", "the transaction's backend")["number"])
    holder.write("commit\n")
    assert holder.result()["committed"]
    assert len(backends) == 1, backends
    return times
