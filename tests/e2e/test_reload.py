"""A change of the configuration is loaded by the running processes: nobody is cut, no pod goes."""

import time

import pytest

from harness.pooler import IMAGES
from harness.wait import wait_for

# A transaction that stays open: prints its backend's pid whenever it is asked.
HOLDER = """
import json, os, sys, psycopg
with psycopg.connect(os.environ["URL"]) as connection:
    for line in iter(sys.stdin.readline, "commit\\n"):
        backend = connection.execute("select pg_backend_pid()").fetchone()[0]
        print(json.dumps({"event": "backend", "number": backend}), flush=True)
print(json.dumps({"event": "result", "committed": True}), flush=True)
"""


@pytest.mark.parametrize("version", IMAGES)
def test_live_on_all_replicas(make_pooler, runner, version):
    """Ten changes on three replicas, each loaded by all within seconds, with a transaction open on
    the same backend all the time."""
    pooler = make_pooler(replicas=3, pgbouncer={"image": IMAGES[version]}).wait_settled()
    pods = pooler.pod_uids()
    holder = runner.start(["python3", "-u", "-c", HOLDER],
                          {"URL": pooler.secret()["DATABASE_POOLED_URL"]})
    holder.write("\n")
    before = holder.event("backend", "the transaction's backend")["number"]
    times = []
    for change in range(10):
        began = time.monotonic()
        pooler.patch(scaling={"clientsPerReplica": 900 + change})
        pooler.wait_condition("ConfigurationLoaded", "True", timeout=30)
        times.append(time.monotonic() - began)
        holder.write("\n")
        assert holder.event("backend", "the transaction's backend")["number"] == before
    holder.write("commit\n")
    assert holder.result()["committed"]
    print(f"{version}: loaded by 3 of 3 after {min(times):.1f} to {max(times):.1f} s: "
          f"{[round(t, 1) for t in times]}")
    assert pooler.pod_uids() == pods and pooler.restarts() == 0
    assert wait_for("an Event", lambda: pooler.events("Reloaded"))


def test_one_replica_needs_no_second(make_pooler, runner):
    pooler = make_pooler(replicas=1).wait_settled()
    pods = pooler.pod_uids()
    pooler.patch(poolMode="session")
    pooler.wait_condition("ConfigurationLoaded", "True")
    assert pooler.pod_uids() == pods
    assert runner.sql(pooler.secret()["DATABASE_POOLED_URL"], "select 1") == [[1]]
