"""Roll-outs by the operator: one drained pod at a time; new credentials followed without a restart
of anything by hand."""

import time

import pytest

from harness.cluster import is_ready
from harness.load import Load
from harness.pooler import IMAGES, database_secret
from harness.wait import wait_for


@pytest.mark.parametrize("version", IMAGES)
def test_one_replica_without_a_refused_connection(cluster, make_pooler, runner, version):
    """A second one first: short connections all the time, none is refused or fails."""
    pooler = make_pooler(replicas=1, drain={"endpointPropagationSeconds": 3},
                         pgbouncer={"image": IMAGES[version]}).wait_settled()
    before = pooler.pod_uids()
    load = runner.load("reconnect", "--connections", "100000", "--concurrency", "4", "--rate", "40",
                       "--time-limit", "300", url=pooler.secret()["DATABASE_POOLED_URL"])
    load.event(lambda e: e.get("answered", 0) > 50, "connections are answered")
    pooler.roll_out()
    most = []

    def replaced():
        now = pooler.pod_uids()
        most.append(len(now))
        return len(now) == 1 and not set(now.values()) & set(before.values())
    wait_for("another pod, and only that", replaced, 120)
    pooler.wait_settled(1)
    load.signal("TERM")
    result = load.result()
    print(f"{version}: answered {result['answered']} of {result['begun']}, failed "
          f"{result['failed_by_cause']}, most pods {max(most)}")
    assert result["failed_by_cause"].get("refused", 0) == 0, result
    assert result["failed"] == 0, result["errors"]
    assert max(most) == 2


@pytest.mark.parametrize("version", IMAGES)
def test_rotated_password_is_followed(cluster, make_pooler, runner, postgres, version):
    """The role gets another password, then the Secret, under 50 clients that come and go: the pods
    load it, then the published Secret follows, and from then on no login fails; nobody's open
    transaction is lost on the way."""
    pooler = make_pooler(replicas=3, budget={"serverConnections": 81},
                         pgbouncer={"image": IMAGES[version]}).wait_settled()
    database, old, pods = pooler.database, pooler.secret(), pooler.pod_uids()
    ledger = f"/tmp/{pooler.namespace}.ledger"
    load = Load(runner, pooler, clients=20, think=0.15, sleep=0.15, verify=False, extra=["--ledger", ledger])
    load.wait_busy(least=3)
    visitors = reconnecting(runner, old["DATABASE_POOLED_URL"], connections=100000)
    before = visitors.event(lambda e: e.get("answered", 0) > 100, "100 logins with the old password")
    assert before["errors"] == 0, before
    postgres.set_password(database, "n€w p@ss:/?")
    database_secret(cluster, pooler.namespace, "orders-db", {"uri": database.url()})
    began = time.monotonic()
    wait_for("the published Secret has the new password",
             lambda: pooler.secret()["password"] == database.password, 120)
    seconds = time.monotonic() - began
    new = pooler.secret()
    assert new != old
    for key in ("DATABASE_POOLED_URL", "DATABASE_URL"):
        result = reconnecting(runner, new[key], connections=500).result()
        assert result["answered"] == 500 and result["failed"] == 0, result
    pooler.wait_settled()
    assert pooler.pod_uids() == pods, "loaded by the running processes"
    visitors.signal("TERM")
    refused = visitors.result()["failed_by_cause"]
    assert set(refused) == {"rejected"}, "with the old password: a clear answer, and no other failure"
    # The load's own logins are with the old password; what was open was finished all the same.
    load.end()
    print(f"{version}: published {seconds:.1f} s after the database Secret's change; with the new "
          f"password 0 of 1000 logins failed, {load.result['lost']} transactions lost; with the old "
          f"one {refused['rejected']} logins were refused since")
    assert load.result["lost"] == 0, load.result["errors"]
    verified = runner.load("verify", "--ledger", ledger, url=new["DATABASE_URL"]).result()
    assert verified["ok"] and verified["rows"] == load.result["acknowledged"] > 0, verified


def reconnecting(runner, url, connections):
    """50 clients that log in, ask one question and leave, again and again."""
    return runner.load("reconnect", "--connections", connections, "--concurrency", "50", "--rate", "100",
                       "--time-limit", "300", url=url)


def test_wrong_new_password_changes_nothing(cluster, make_pooler, runner):
    """New credentials that don't log in: the old ones stay in use, and it is told."""
    pooler = make_pooler(replicas=2).wait_settled()
    pods, data = pooler.pod_uids(), pooler.secret()
    database_secret(cluster, pooler.namespace, "orders-db", {
        "uri": pooler.database.url().replace(pooler.database.password, "never-set")})
    pooler.wait_condition("DatabaseReachable", "False", "AuthenticationFailed")
    found = pooler.wait_condition("SecretPublished", "False", "CredentialsPending")
    assert found["message"]
    assert pooler.secret() == data and pooler.pod_uids() == pods
    assert runner.sql(data["DATABASE_POOLED_URL"], "select 1") == [[1]]


def test_image_that_does_not_start(cluster, make_pooler, runner):
    """A bad change stops at the first pod; the others serve; taking it back heals."""
    pooler = make_pooler(replicas=3).wait_settled()
    before = pooler.pod_uids()
    pooler.patch(pgbouncer={"image": "localhost/no-such-image:1"})
    wait_for("one pod that can't start",
             lambda: pooler.condition("ConfigurationLoaded").get("status") == "False"
             and "no-such-image" in pooler.condition("ConfigurationLoaded")["message"], 90)
    assert len([pod for pod in pooler.pods() if is_ready(pod)]) == 2
    assert len(set(pooler.pod_uids().values()) & set(before.values())) == 2
    assert runner.sql(pooler.secret()["DATABASE_POOLED_URL"], "select 1") == [[1]]
    pooler.patch(pgbouncer=None)
    pooler.wait_settled()
    assert len(set(pooler.pod_uids().values()) & set(before.values())) == 2


def test_change_of_version(cluster, make_pooler, runner):
    """1.24.1 -> 1.26.1 -> 1.24.1 with clients connected; status tells what really runs."""
    pooler = make_pooler(replicas=2, pgbouncer={"image": IMAGES["1.24.1"]}).wait_settled()
    assert pooler.status()["version"] == "1.24.1"
    for version in ("1.26.1", "1.24.1"):
        pooler.patch(pgbouncer={"image": IMAGES[version]})
        wait_for(f"version {version}", lambda: pooler.status()["version"] == version, 90)
        pooler.wait_settled()
        assert runner.sql(pooler.secret()["DATABASE_POOLED_URL"], "select 1") == [[1]]


def test_scale_up_and_down(cluster, make_pooler, runner):
    pooler = make_pooler(replicas=1).wait_settled()
    for replicas in (3, 1, 2, 0, 1):
        cluster.kubectl("scale", "-n", pooler.namespace, "plc/orders", f"--replicas={replicas}")
        if replicas:
            pooler.wait_settled(replicas)
            assert runner.sql(pooler.secret()["DATABASE_POOLED_URL"], "select 1") == [[1]]
        else:
            wait_for("no pods", lambda: not pooler.pods())


def test_grows_with_the_maximum(make_pooler, runner):
    """Another maxReplicas is another split of the budget, on running pods, and never above it."""
    pooler = make_pooler(replicas=2, scaling={"maxReplicas": 2},
                         budget={"serverConnections": 31}).wait_settled()
    pooler.patch(scaling={"maxReplicas": 5}, replicas=5)
    pooler.wait_settled(5, timeout=150)
    assert pooler.status()["effective"]["maxReplicas"] == 5
    assert runner.sql(pooler.secret()["DATABASE_POOLED_URL"], "select 1") == [[1]]
