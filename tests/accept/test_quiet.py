"""What the operator does when nothing has to be done: nothing; and what it costs then."""

import os
import subprocess
import time

import pytest

from harness.audit import Audit
from harness.pooler import Pooler, database_secret
from harness.wait import stays, wait_for

pytestmark = pytest.mark.operator
COUNT = 20


@pytest.fixture
def twenty(cluster, operator, namespace, own_postgres):
    """20 PoolerConfigs of one replica, converged, on a server of their own."""
    postgres = own_postgres(max_connections=200)
    database = postgres.database()
    database_secret(cluster, namespace, "db", {"uri": database.url()})
    made = [Pooler(cluster, namespace, f"quiet-{n}").create("db", budget={"serverConnections": 9})
            for n in range(COUNT)]
    for pooler in made:
        pooler.wait_settled(timeout=300)
    made[0].postgres = postgres
    return made


def state(poolers):
    """What an operator that changes nothing leaves as it is."""
    return {p.name: (p.pod_uids(), p.restarts(), p.object("StatefulSet")["metadata"]["generation"])
            for p in poolers}


def reconciled(operator):
    metrics = operator.metrics()
    return sum(v for k, v in metrics.items()
               if k.startswith("controller_runtime_reconcile_total") and 'result="error"' not in k)


def wait_reconciled(operator, count):
    """The running operator has gone through so many keys, and has none left to do."""
    def look():
        try:
            metrics = operator.metrics()
        except Exception as error:  # it is starting
            raise AssertionError(str(error)) from None
        depth = sum(v for k, v in metrics.items() if k.startswith("workqueue_depth"))
        assert reconciled(operator) >= count and depth == 0, (reconciled(operator), depth)
        return True
    wait_for(f"{count} reconciles and an empty queue", look, 120)


@pytest.mark.node
def test_no_writes(cluster, operator, node, twenty):
    """Three forced resyncs and one restart of the operator within 60 s: 0 writes, Events and
    status included, by the API server's audit log."""
    user = operator.user()
    # The last Events of the creation may come late.
    audit = Audit()
    wait_for("nothing is written any more", lambda: quiet_for(user, 5), 120)
    audit = Audit()
    began = time.monotonic()
    for _ in range(3):
        before = reconciled(operator)
        node.signal("HUP", operator.pod())
        wait_for("all keys again", lambda: reconciled(operator) >= before + COUNT, 30)
    old = operator.pod()["metadata"]["uid"]
    cluster.delete("Pod", operator.namespace, operator.pod()["metadata"]["name"])
    wait_for("another operator", lambda: [p for p in operator.pods() if p["metadata"]["uid"] != old])
    wait_for("it is ready", operator.pod, 60)
    wait_reconciled(operator, COUNT)
    stays("no write", lambda: not audit.count(user), max(1.0, 60 - (time.monotonic() - began)), 1)
    writes = audit.count(user)
    print(f"\n{COUNT} PoolerConfigs, 3 resyncs, 1 restart, {time.monotonic() - began:.0f} s: "
          f"{sum(writes.values())} writes by {user}")
    assert not writes


def quiet_for(user, seconds):
    audit = Audit()
    try:
        stays("quiet", lambda: not audit.count(user), seconds, 0.5)
        return True
    except AssertionError:
        return False


def install(cluster, operator, *more):
    context = ["--kube-context", cluster.context] if cluster.context else []
    done = subprocess.run(
        ["helm", *context, "-n", operator.namespace, "upgrade", "--install",
         os.environ["POOLER_OPERATOR_RELEASE"], os.environ["POOLER_CHART"], "--reuse-values", "--wait",
         "--timeout", "2m", *more], capture_output=True, text=True, timeout=180)
    assert done.returncode == 0, done.stderr


def digest(operator):
    return operator.pod()["status"]["containerStatuses"][0]["imageID"]


def test_another_image_leaves_pods_alone(cluster, operator, twenty):
    """Another digest of the operator, with the database up and once more with it down: pod UIDs,
    restart counts and the StatefulSets' generations are the same after every key was reconciled."""
    other = os.environ.get("POOLER_OTHER_TAG")
    assert other, "POOLER_OTHER_TAG names no second image of the operator: see tests/accept/run.sh"
    before, first = state(twenty), digest(operator)
    try:
        install(cluster, operator, "--set", f"image.tag={other}")
        wait_for("the other image", lambda: digest(operator) != first, 60)
        wait_reconciled(operator, COUNT)
        print(f"\n{first} -> {digest(operator)}: unchanged: {state(twenty) == before}")
        assert state(twenty) == before
        twenty[0].postgres.scale(0)
        for pooler in twenty:
            pooler.wait_condition("DatabaseReachable", "False", timeout=120)
        install(cluster, operator, "--set", "image.tag=dev")
        wait_for("the first image again", lambda: digest(operator) == first, 60)
        wait_reconciled(operator, COUNT)
        # It has asked the database in vain by now, so it knows that it knows nothing.
        for pooler in twenty:
            pooler.wait_condition("DatabaseReachable", "False", timeout=120)
        print(f"with the database down: unchanged: {state(twenty) == before}")
        assert state(twenty) == before
    finally:
        install(cluster, operator, "--set", "image.tag=dev")


def test_cost_at_rest(operator, twenty):
    """Resident memory and CPU of the operator with 20 PoolerConfigs, over a minute of rest."""
    user = operator.user()
    wait_for("nothing is written any more", lambda: quiet_for(user, 5), 120)
    first, at = operator.metrics(), time.monotonic()
    stays("the operator is there", lambda: operator.pod(), 60, 5)
    last, seconds = operator.metrics(), time.monotonic() - at
    memory = last["process_resident_memory_bytes"] / 1e6
    cpu = (last["process_cpu_seconds_total"] - first["process_cpu_seconds_total"]) / seconds * 1000
    print(f"\n{COUNT} PoolerConfigs at rest: {memory:.1f} MB resident, {cpu:.1f} millicores")
    assert memory < 25 and cpu < 10
