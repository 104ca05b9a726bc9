"""The database is restarted, moves or can't be written: the pooler follows, and says so."""

import time

import pytest

from harness.load import Load
from harness.pooler import IMAGES
from harness.session import Session
from harness.wait import wait_for


def told(pooler):
    return [event["note"] for event in pooler.events("Failover")]


@pytest.mark.parametrize("version", IMAGES)
def test_restarted(runner, own_postgres, make_pooler, version):
    """A fast shutdown under load: what was committed stays, at most the transactions that were open
    at the server end with it, and everybody else is told between two and goes on when it is back."""
    budget = 61
    server = own_postgres(max_connections=100)
    pooler = make_pooler(db=server.database(), replicas=3, budget={"serverConnections": budget},
                         pgbouncer={"image": IMAGES[version]}).wait_settled()
    load = Load(runner, pooler, clients=60)
    load.wait_busy(least=10)
    pods = pooler.pod_uids()
    server.restart()
    server.wait_ready()
    began = time.monotonic()
    load.wait_more()
    seconds = time.monotonic() - began
    result = load.end()
    cut, rows = result["lost"] + result["aborted"], result["verify"]["rows"]
    print(f"{version}: 200 more transactions {seconds:.1f} s after Postgres was ready; {cut} ended "
          f"with it, {result['boundary']} cut between two, acknowledged {result['acknowledged']} = "
          f"rows {rows}; {result['errors']}")
    assert result["verify"]["ok"] and rows == result["acknowledged"], result["verify"]
    assert cut < budget, "each was open at the server"
    assert result["unfinished"] == 0, result
    pooler.wait_settled()
    assert pooler.pod_uids() == pods and pooler.restarts() == 0, "the pooler is not what failed"


def test_moved_behind_its_service(cluster, runner, namespace, own_postgres, make_pooler):
    """The Service leads to another server while the old one lives on: no connection breaks, so
    nothing but a new login shows it. An open transaction ends where it began."""
    old = own_postgres(name="pg-a", max_connections=60)
    new = own_postgres(name="pg-b", max_connections=60)
    db = old.database()
    new.database(db.name, db.user, db.password)
    cluster.create({"kind": "Service", "metadata": {"name": "db", "namespace": namespace},
                    "spec": {"selector": {"app": "pg-a"}, "ports": [{"port": 5432}]}})
    pooler = make_pooler(db=db, secret={"uri": db.url(host=f"db.{namespace}.svc")}, replicas=2)
    pooler.wait_settled()
    url = pooler.secret()["DATABASE_POOLED_URL"]
    where = "select host(inet_server_addr())"
    assert runner.sql(url, where) == [[old.address]]
    session = Session(runner, url)
    session.sql("begin")
    assert session.sql(where) == [[old.address]]
    visitors = runner.load("reconnect", "--connections", "100000", "--concurrency", "20", "--rate", "50",
                           "--time-limit", "300", url=url)
    visitors.event(lambda e: e.get("answered", 0) > 50, "answers by the old server")
    cluster.patch("Service", namespace, "db", {"spec": {"selector": {"app": "pg-b"}}})
    began = time.monotonic()
    for pod in pooler.pods():
        direct = url.replace(f"{pooler.workload}.{namespace}.svc", pod["status"]["podIP"])
        wait_for("the pod's new transactions are at the new server",
                 lambda at=direct: runner.sql(at, where) == [[new.address]], 120)
    seconds = time.monotonic() - began
    visitors.signal("TERM")
    result = visitors.result()
    print(f"followed after {seconds:.1f} s; {result['answered']} queries answered meanwhile, "
          f"{result['failed']} failed")
    assert result["failed"] == 0, result
    assert session.sql(where) == [[old.address]]
    session.sql("commit")
    # On the connection that it had: until the operator has logged in anew, once a minute.
    wait_for("this client is there, too", lambda: session.sql(where) == [[new.address]], 120)
    notes = wait_for("an Event tells of it", lambda: told(pooler))
    assert f"{old.address}:5432 -> {new.address}:5432" in notes[0], notes


def test_read_only(own_postgres, make_pooler):
    server = own_postgres(max_connections=60)
    pooler = make_pooler(db=server.database(), replicas=1)
    pooler.wait_settled()
    server.admin_sql("alter system set default_transaction_read_only = on", "select pg_reload_conf()")
    found = pooler.wait_condition("DatabaseReachable", "False", "ReadOnly")
    assert "default_transaction_read_only" in found["message"], found
    assert pooler.condition("Ready")["status"] == "True", "reads go on"
    server.admin_sql("set default_transaction_read_only = off",
                     "alter system reset default_transaction_read_only", "select pg_reload_conf()")
    pooler.wait_condition("DatabaseReachable", "True", "Connected")
    wait_for("both are told by Events", lambda: [
        any(words in note for note in told(pooler))
        for words in ("is read-only now", "can be written again")] == [True, True])
