"""kill -9 of the operator ten times, each between the first and the last create of its round."""

import json
import re
from collections import Counter

import pytest

from harness.audit import Audit
from harness.load import unix_time
from harness.wait import wait_for

pytestmark = [pytest.mark.operator, pytest.mark.node]
KINDS = ("StatefulSet", "Service", "Secret", "PodDisruptionBudget")

# Kills the processes of the container whose id comes on standard input, at once.
KILLER = """
import glob, json, os, signal, sys, time
print(json.dumps({"event": "ready"}), flush=True)
for line in sys.stdin:
    wanted, pids = line.strip(), []
    for path in glob.glob("/proc/[0-9]*/cgroup"):
        try:
            if wanted in open(path).read():
                pids.append(int(path.split("/")[2]))
        except OSError:
            pass
    print(json.dumps({"event": "found", "pids": pids}), flush=True)
    sys.stdin.readline()
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    print(json.dumps({"event": "killed", "t": time.time()}), flush=True)
"""


@pytest.fixture
def killer(node):
    """kill() ends the operator within milliseconds: its process was found beforehand."""
    program = node.start(["python3", "-u", "-c", KILLER])
    program.event("ready", "the killer")
    yield program
    program.abandon()


def objects(cluster, pooler):
    uid = pooler.config()["metadata"]["uid"]
    return {(kind, body["metadata"]["name"]) for kind in KINDS
            for body in cluster.list(kind, pooler.namespace)
            if any(o["uid"] == uid for o in body["metadata"].get("ownerReferences", []))}


def end_state(cluster, pooler):
    """Names, owners and contents, without what is random or counted by the server."""
    found = {}
    for kind, name in objects(cluster, pooler):
        body = cluster.get(kind, pooler.namespace, name)
        spec = dict(body.get("spec", {}))
        for drawn in ("clusterIP", "clusterIPs"):
            if spec.get(drawn) not in ("None", ["None"]):
                spec.pop(drawn, None)
        found[(kind, name)] = {
            "spec": spec, "labels": body["metadata"].get("labels"), "type": body.get("type"),
            "keys": sorted(re.sub("rev-[0-9a-f]{16}", "rev-HASH", key).replace(pooler.name, "NAME")
                           for key in body.get("data", {}))}
    # Sorted by kind, and by name within a kind, whose beginning is the same for all.
    text = json.dumps(sorted((list(key), value) for key, value in found.items()), sort_keys=True)
    return text.replace(pooler.name, "NAME")


def creates_and_deletes(audit, user, pooler):
    """(verb, resource, name) -> how often it was done; only what was really made or deleted."""
    counts = Counter()
    for event in audit.writes(user):
        target = event["objectRef"]
        if (event["verb"] in ("create", "delete") and target.get("namespace") == pooler.namespace
                and target["resource"] not in ("events",) and event["responseStatus"]["code"] < 300
                and str(target.get("name", "")).startswith(pooler.name)):
            counts[(event["verb"], target["resource"], target["name"].replace(pooler.name, "NAME"))] += 1
    return counts


def create_times(audit, user, pooler):
    return sorted(unix_time(e["stageTimestamp"]) for e in audit.writes(user)
                  if e["verb"] == "create" and e["responseStatus"]["code"] < 300
                  and e["objectRef"].get("namespace") == pooler.namespace
                  and e["objectRef"]["resource"] != "events"
                  and str(e["objectRef"].get("name", "")).startswith(pooler.name))


def test_ten_kills(cluster, operator, killer, make_pooler):
    """End state and creates and deletes per object are those of a run without kills."""
    user = operator.user()
    audit = Audit()
    whole = make_pooler("whole", replicas=2).wait_settled()
    expected, counts = end_state(cluster, whole), creates_and_deletes(audit, user, whole)
    total = len(objects(cluster, whole))
    print(f"\nwithout kills: {total} objects, creates and deletes {dict(counts)}")
    assert set(counts.values()) == {1}
    rounds, tries = 0, 0
    while rounds < 10:
        tries += 1
        assert tries <= 20, "too many kills came after the last create"
        wait_for("the operator is ready", operator.pod, 60)
        killer.write(operator.pod()["status"]["containerStatuses"][0]["containerID"].split("://")[1] + "\n")
        killer.event(lambda e: e.get("pids"), "the operator's process")
        audit = Audit()
        pooler = make_pooler(f"killed-{tries}", replicas=2)
        # Once after the first object, once after the second, and so on.
        enough = 1 + rounds % (total - 1)
        wait_for(f"{enough} objects", lambda: len(objects(cluster, pooler)) >= enough, 60, interval=0.002)
        killer.write("now\n")
        killed = killer.event("killed", "the kill")["t"]
        pooler.wait_settled(timeout=180)
        times = create_times(audit, user, pooler)
        inside = times[0] < killed < times[-1]
        print(f"kill {tries}: {sum(t < killed for t in times)} of {len(times)} creates before it"
              + ("" if inside else " (not counted: it came after the last)"))
        assert creates_and_deletes(audit, user, pooler) == counts
        assert end_state(cluster, pooler) == expected
        assert pooler.restarts() == 0
        rounds += inside
        pooler.delete()
