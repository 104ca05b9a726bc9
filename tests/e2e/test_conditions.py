"""What is wrong is a condition with the field and the remedy; a pooler that was running keeps
running as it was; and once it is mended, nobody has to do anything more."""

import statistics
import time

import pytest

from harness.pooler import Pooler, database_secret, manifest
from harness.wait import wait_for

TYPES = {"Ready", "ConfigurationValid", "DatabaseReachable", "PoolerAvailable", "ConfigurationLoaded",
         "SecretPublished", "ScalingActive"}


class Case:
    """One mistake: how it is made, what must be told about it."""

    def __init__(self, name, condition, reason, words, break_it, stalled=False):
        self.name, self.condition, self.reason = name, condition, reason
        self.words, self.break_it, self.stalled = words, break_it, stalled


def secret_of(change):
    """A mistake in the database's Secret: `change` gets the database and returns the data."""
    def break_it(cluster, pooler):
        cluster.delete("Secret", pooler.namespace, f"{pooler.name}-db")
        data = change(pooler.database)
        if data is not None:
            database_secret(cluster, pooler.namespace, f"{pooler.name}-db", data)
        return {}
    return break_it


def without(data, key):
    return {k: v for k, v in data.items() if k != key}


CASES = [
    Case("missing Secret", "ConfigurationValid", "SecretNotFound", ["spec.database.secretRef", "orders-db"],
         secret_of(lambda db: None)),
    Case("missing key", "ConfigurationValid", "SecretKeyMissing", ["orders-db", "password"],
         secret_of(lambda db: without(db.single_keys(), "password"))),
    Case("no URI", "ConfigurationValid", "SecretInvalid", ["orders-db", "uri"],
         secret_of(lambda db: {"uri": "mysql:/not a uri"})),
    Case("wrong password", "DatabaseReachable", "AuthenticationFailed", ["password"],
         secret_of(lambda db: {**db.single_keys(), "password": "wrong"})),
    # The pod's own address: what a Service answers on a port that it does not have is the network's.
    Case("refused", "DatabaseReachable", "ConnectionRefused", [":1"],
         secret_of(lambda db: {**db.single_keys(), "host": db.postgres.address, "port": "1"})),
    Case("unreachable host", "DatabaseReachable", "OperatorCannotReachDatabase", ["192.0.2.1"],
         secret_of(lambda db: {**db.single_keys(), "host": "192.0.2.1"})),
    Case("unknown host", "DatabaseReachable", "DNSFailure", ["nowhere.invalid"],
         secret_of(lambda db: {**db.single_keys(), "host": "nowhere.invalid"})),
    Case("unknown database", "DatabaseReachable", "DatabaseNotFound", ["no-such-db"],
         secret_of(lambda db: {**db.single_keys(), "dbname": "no-such-db"})),
    Case("budget too small", "ConfigurationValid", "BudgetTooSmall", ["spec.budget.serverConnections"],
         lambda cluster, pooler: {"budget": {"serverConnections": 4}}, stalled=True),
]


def repair(cluster, pooler):
    data = {"uri": pooler.database.url()}
    cluster.delete("Secret", pooler.namespace, f"{pooler.name}-db")
    database_secret(cluster, pooler.namespace, f"{pooler.name}-db", data)
    pooler.patch(budget={"serverConnections": 20})


def check_told(pooler, case):
    found = pooler.wait_condition(case.condition, "False", case.reason)
    for word in case.words:
        assert word in found["message"], found
    assert pooler.database.password not in found["message"]
    stalled = bool(pooler.condition("Stalled"))
    assert stalled == case.stalled, "Stalled is for what waiting can't mend"
    return found


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_from_the_start(cluster, namespace, postgres, runner, case):
    """It is told, nothing is published, and mending it is enough."""
    pooler = Pooler(cluster, namespace, "orders")
    pooler.database = postgres.database()
    database_secret(cluster, namespace, "orders-db", {"uri": pooler.database.url()})
    changes = case.break_it(cluster, pooler)
    cluster.create(manifest(namespace, "orders", "orders-db", **changes))
    check_told(pooler, case)
    ready = pooler.wait_condition("Ready", "False")
    if case.condition == "ConfigurationValid":
        assert ready["reason"] == case.reason
    assert pooler.secret() is None and not pooler.object("StatefulSet")
    repair(cluster, pooler)
    pooler.wait_ready()
    assert runner.sql(pooler.secret()["DATABASE_POOLED_URL"], "select 1") == [[1]]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_while_running(cluster, make_pooler, runner, case):
    """The pooler keeps running as it was."""
    pooler = make_pooler(replicas=2).wait_settled()
    data = pooler.secret()
    before = snapshot(pooler)
    holding = runner.load("connect", "--clients", "10", "--stdin", "--repeat", "0.2", "--hold", "600",
                          url=data["DATABASE_POOLED_URL"])
    holding.event("settled", "10 clients have an answer")
    changes = case.break_it(cluster, pooler)
    if changes:
        pooler.patch(**changes)
    check_told(pooler, case)
    assert snapshot(pooler) == before
    # As it was: old clients go on, new ones are served.
    assert runner.sql(data["DATABASE_POOLED_URL"], "select 1") == [[1]]
    holding.write("stop\n")
    held = holding.result()
    assert held["lost"] == 0 and held["answers"] >= 10, held
    repair(cluster, pooler)
    pooler.wait_ready()
    pooler.wait_condition(case.condition, "True")
    assert snapshot(pooler) == before


def snapshot(pooler):
    """What must not change when nothing may happen."""
    workload = pooler.object("StatefulSet")
    return {"pods": pooler.pod_uids(), "restarts": pooler.restarts(),
            "generation": workload["metadata"]["generation"], "urls": pooler.secret(),
            "service": pooler.object("Service")["metadata"]["resourceVersion"]}


def test_first_status_within_a_second(cluster, namespace):
    """With all conditions; those that are not known yet are Unknown."""
    times = []
    for number in range(5):
        pooler = Pooler(cluster, namespace, f"first-{number}").create("no-such-secret")
        began = time.monotonic()
        wait_for("all conditions", lambda: TYPES <= {
            c["type"] for c in pooler.status().get("conditions", [])}, 30, interval=0.02)
        times.append(time.monotonic() - began)
        status = pooler.status()
        assert status["observedGeneration"] == 1
        for found in status["conditions"]:
            assert found["reason"] and found["message"] and found["observedGeneration"] == 1, found
    print("first status after", " ".join(f"{t:.2f} s" for t in sorted(times)))
    assert statistics.median(times) < 1


def test_kubectl_wait(cluster, namespace, make_pooler, runner):
    """When it returns, the URL works; without a database Secret it times out, and describe tells."""
    pooler = make_pooler(replicas=3)
    cluster.kubectl("wait", "-n", namespace, "--for=condition=Ready", "plc/orders", "--timeout=90s")
    result = runner.load("reconnect", "--connections", "200", "--concurrency", "20",
                         url=pooler.secret()["DATABASE_POOLED_URL"]).result()
    assert result["answered"] == 200 and result["failed"] == 0, result

    Pooler(cluster, namespace, "lonely").create("no-such-secret")
    done = cluster.kubectl("wait", "-n", namespace, "--for=condition=Ready", "plc/lonely",
                           "--timeout=3s", check=False)
    assert done.returncode != 0 and "timed out" in done.stderr
    told = cluster.kubectl("describe", "-n", namespace, "plc/lonely").stdout
    assert "SecretNotFound" in told and "no-such-secret" in told


def test_kstatus(cluster, make_pooler):
    """Reconciling only while a change of the spec is on its way; generations everywhere."""
    pooler = make_pooler().wait_settled()
    config = pooler.config()
    generation = config["metadata"]["generation"]
    assert config["status"]["observedGeneration"] == generation
    assert {c["observedGeneration"] for c in config["status"]["conditions"]} == {generation}
    assert TYPES == {c["type"] for c in config["status"]["conditions"]}
    transitions = {c["type"]: c["lastTransitionTime"] for c in config["status"]["conditions"]}
    pooler.patch(replicas=2)
    wait_for("Reconciling", lambda: pooler.condition("Reconciling").get("status") == "True", 30,
             interval=0.02)
    pooler.wait_settled(2)
    after = pooler.status()
    assert after["replicas"] == after["readyReplicas"] == after["desiredReplicas"] == 2
    # Serving did not stop, so its condition did not flip.
    assert pooler.condition("PoolerAvailable")["lastTransitionTime"] == transitions["PoolerAvailable"]


def test_columns(cluster, namespace, make_pooler):
    make_pooler(replicas=2).wait_settled()
    wide = cluster.kubectl("get", "-n", namespace, "plc", "-o", "wide").stdout.splitlines()
    assert wide[0].split() == ["NAME", "ENGINE", "MODE", "READY", "REASON", "REPLICAS", "DESIRED",
                               "SECRET", "AGE", "MESSAGE"]
    assert wide[1].split()[:8] == ["orders", "PgBouncer", "transaction", "True", "Ready", "2", "2",
                                   "orders-pooler"]


def test_events_tell_what_changed(make_pooler, cluster):
    pooler = make_pooler().wait_settled()
    pooler.patch(replicas=2)
    pooler.wait_settled(2)
    wait_for("Events", lambda: {"Created", "SecretPublished", "Scaled"} <= {
        event["reason"] for event in pooler.events()})
    scaled = pooler.events("Scaled")[0]
    assert "1 -> 2" in scaled["note"] and scaled["type"] == "Normal"
    database_secret(cluster, pooler.namespace, "orders-db", {
        **pooler.database.single_keys(), "port": "1", "uri": pooler.database.url()})
    wait_for("an Event about the database", lambda: pooler.events("DatabaseUnreachable"))
