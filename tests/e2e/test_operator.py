"""The operator goes away, in the middle of something or in peace."""

import pytest

from harness.pooler import Pooler
from harness.wait import wait_for

pytestmark = pytest.mark.operator

KINDS = ("StatefulSet", "Service", "Secret", "PodDisruptionBudget")


def made(cluster, pooler):
    """Objects of this PoolerConfig: kind and name."""
    uid = pooler.config()["metadata"]["uid"]
    return {(kind, body["metadata"]["name"]) for kind in KINDS
            for body in cluster.list(kind, pooler.namespace)
            if any(o["uid"] == uid for o in body["metadata"].get("ownerReferences", []))}


@pytest.fixture
def back(operator):
    yield operator
    operator.scale(1)


@pytest.mark.node
def test_killed_during_creation(cluster, namespace, back, node, make_pooler, runner):
    """kill -9 after the first object of each PoolerConfig is there, three times; nothing is
    missing, nothing is double, and the operator's own restart is what heals it."""
    whole = make_pooler("whole", replicas=2).wait_settled()
    expected = {(kind, name.replace("whole", "NAME")) for kind, name in made(cluster, whole)}
    for number in range(3):
        back.pod()  # said to be ready before it is needed at once
        pooler = make_pooler(f"killed-{number}", replicas=2)
        wait_for("the first object", lambda: made(cluster, pooler), 30, interval=0.005)
        node.signal("KILL", back.pod())
        then = made(cluster, pooler)
        print(f"killed with {len(then)} of {len(expected)} objects there")
        pooler.wait_settled()
        assert {(kind, name.replace(pooler.name, "NAME"))
                for kind, name in made(cluster, pooler)} == expected
        assert pooler.restarts() == 0
        assert runner.sql(pooler.secret()["DATABASE_POOLED_URL"], "select 1") == [[1]]


@pytest.mark.node
def test_killed_during_a_reload(back, node, make_pooler, runner):
    """Whoever comes next goes on where the last one stopped: no pod is replaced."""
    pooler = make_pooler(replicas=3).wait_settled()
    before = (pooler.pod_uids(), pooler.restarts())
    for mode in ("session", "transaction", "session"):
        back.pod()  # said to be ready before it is needed at once
        files = pooler.object("Secret", "-config")["data"]
        pooler.patch(poolMode=mode)
        wait_for("it has begun", lambda: pooler.object("Secret", "-config")["data"] != files, 30,
                 interval=0.005)
        node.signal("KILL", back.pod())
        pooler.wait_settled()
    assert (pooler.pod_uids(), pooler.restarts()) == before
    assert runner.sql(pooler.secret()["DATABASE_POOLED_URL"], "select 1") == [[1]]


def test_restart_leaves_pods_alone(cluster, make_pooler, operator, runner):
    pooler = make_pooler(replicas=2).wait_settled()
    held = runner.load("connect", "--clients", "20", "--stdin", "--repeat", "0.2", "--hold", "600",
                       url=pooler.secret()["DATABASE_POOLED_URL"])
    held.event("settled", "20 clients")
    before = (pooler.pod_uids(), pooler.restarts(), pooler.secret(),
              pooler.object("StatefulSet")["metadata"]["generation"])
    old = operator.pod()["metadata"]["uid"]
    operator.kill_pod(operator.pod()["metadata"]["name"])
    wait_for("another operator", lambda: [p for p in operator.pods() if p["metadata"]["uid"] != old])
    wait_for("it is ready", lambda: operator.pod())
    # It has looked at this object: a change made now is followed.
    pooler.patch(replicas=3)
    pooler.wait_settled(3)
    after = (pooler.pod_uids(), pooler.restarts(), pooler.secret(),
             pooler.object("StatefulSet")["metadata"]["generation"])
    assert {k: v for k, v in after[0].items() if k in before[0]} == before[0]
    assert after[1:3] == before[1:3]
    held.write("stop\n")
    assert held.result()["lost"] == 0


def test_dead_operator_serves_on(cluster, make_pooler, back, runner):
    """Nobody needs it to connect; what was asked for meanwhile is done when it is back."""
    pooler = make_pooler(replicas=2).wait_settled()
    back.scale(0)
    data = pooler.secret()
    result = runner.load("reconnect", "--connections", "100", "--concurrency", "10",
                         url=data["DATABASE_POOLED_URL"]).result()
    assert result["answered"] == 100
    pooler.patch(replicas=3)
    cluster.delete("Service", pooler.namespace, "orders-pooler-peers")
    other = Pooler(cluster, pooler.namespace, "later").create("orders-db")
    # Gone while nobody looked: the garbage collector needs no operator.
    back.scale(1)
    pooler.wait_settled(3)
    other.wait_ready()
    assert pooler.object("Service", "-peers")


def test_metrics_and_health(cluster, operator, make_pooler):
    make_pooler().wait_settled()
    pod = operator.pod()["metadata"]["name"]
    for path in ("healthz", "readyz"):
        cluster.request("GET", f"/api/v1/namespaces/{operator.namespace}/pods/{pod}:8081/proxy/{path}")
    metrics = operator.metrics()
    names = {name.split("{")[0] for name in metrics}
    for name in ("controller_runtime_reconcile_total", "workqueue_depth", "workqueue_adds_total",
                 "process_resident_memory_bytes", "process_cpu_seconds_total"):
        assert name in names, sorted(names)
    total = sum(v for k, v in metrics.items() if k.startswith("controller_runtime_reconcile_total"))
    assert total > 0
