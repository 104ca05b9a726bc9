"""The Secret is written once, complete, and only after a query through the pooler has worked; an
application that starts before waits."""

import json

from harness.cluster import is_ready
from harness.pooler import Pooler, database_secret
from harness.runner import IMAGE
from harness.wait import wait_for

KEYS = {"type", "provider", "host", "port", "username", "password", "database", "uri", "pooled-uri",
        "direct-uri", "direct-host", "direct-port", "pooled-jdbc-uri", "direct-jdbc-uri", "pgpass",
        "DATABASE_URL", "DATABASE_POOLED_URL"}


def application(cluster, namespace, secret):
    """A pod that takes its environment from the Secret and asks one question by the pooled URL."""
    cluster.create({
        "kind": "Pod", "metadata": {"name": "application", "namespace": namespace},
        "spec": {"restartPolicy": "Never", "enableServiceLinks": False, "containers": [{
            "name": "application", "image": IMAGE, "imagePullPolicy": "IfNotPresent",
            "envFrom": [{"secretRef": {"name": secret}}],
            "command": ["sh", "-c", "exec psql -XAt -c 'select 41 + 1' -d \"$DATABASE_POOLED_URL\""]}]}})


def waiting_reason(cluster, namespace):
    pod = cluster.get("Pod", namespace, "application")
    states = [s["state"] for s in pod["status"].get("containerStatuses", [])]
    return states and states[0].get("waiting", {}).get("reason")


def test_waits_for_the_database_and_appears(cluster, namespace, make_pooler, own_postgres):
    """From nothing: the database is down when everything else is there."""
    postgres = own_postgres(max_connections=60)
    database = postgres.database()
    # A container's files go with it: the database has to be made again when the server is back.
    postgres.scale(0)
    pooler = make_pooler(db=database, replicas=2)
    pooler.wait_condition("DatabaseReachable", "False")
    pooler.wait_condition("Ready", "False")
    application(cluster, namespace, "orders-pooler")
    wait_for("the application waits for the Secret",
             lambda: waiting_reason(cluster, namespace) == "CreateContainerConfigError")
    assert pooler.secret() is None
    assert "binding" not in pooler.status()
    postgres.scale(1)
    postgres.wait_ready()
    postgres.admin_sql(f"create role {database.user} login password '{database.password}'",
                       f"create database {database.name} owner {database.user}")
    pooler.wait_ready()
    wait_for("the application has its answer", lambda: cluster.get(
        "Pod", namespace, "application")["status"]["phase"] == "Succeeded", 120)
    assert cluster.kubectl("logs", "-n", namespace, "application").stdout.strip() == "42"


def test_only_after_a_query_worked(cluster, namespace, make_pooler, runner):
    """Pods that can't start: no Secret. Mended: the Secret, complete in its first version."""
    pooler = make_pooler(pgbouncer={"image": "localhost/no-such-image:1"})
    pooler.wait_condition("PoolerAvailable", "False", "ImagePullFailed")
    message = pooler.condition("Ready")["message"]
    assert "no-such-image" in message
    assert pooler.secret() is None and "binding" not in pooler.status()
    watch = cluster.kubectl("get", "secret", "-n", namespace, "-o", "name").stdout
    assert "secret/orders-pooler\n" not in watch
    pooler.patch(pgbouncer={"image": "localhost/pgbouncer:1.26.1"})
    first = wait_for("the Secret", lambda: pooler.object("Secret"), 90, interval=0.02)
    assert KEYS <= set(first["data"]), "published in part"
    pooler.wait_ready()
    assert runner.sql(pooler.secret()["DATABASE_POOLED_URL"], "select 1") == [[1]]
    assert pooler.object("Secret")["data"] == first["data"]
    assert [e for e in pooler.events("SecretPublished")]


def test_no_route_through_the_service(cluster, namespace, postgres, make_pooler):
    """A pooler that is empty can't be verified: the Secret waits and says so."""
    pooler = make_pooler(replicas=0)
    pooler.wait_condition("PoolerAvailable", "False", "ScaledToZero")
    wait_for("what the Secret waits for",
             lambda: "no replicas" in pooler.condition("SecretPublished")["message"])
    assert pooler.secret() is None
    cluster.kubectl("scale", "-n", namespace, "plc/orders", "--replicas=1")
    pooler.wait_ready()
    assert KEYS <= set(pooler.secret())
    # Once published it stays, also while nobody serves.
    before = pooler.secret()
    cluster.kubectl("scale", "-n", namespace, "plc/orders", "--replicas=0")
    pooler.wait_condition("PoolerAvailable", "False", "ScaledToZero")
    wait_for("the pods are gone", lambda: not pooler.pods())
    assert pooler.secret() == before


def test_nothing_secret_is_told(cluster, namespace, operator, postgres, make_pooler):
    """No password in status, Events, the operator's log or any argument of a container."""
    database = postgres.database(password="very-Secret-Password-4711")
    pooler = make_pooler(db=database, replicas=2).wait_ready()
    admin = cluster.get("Secret", namespace, "orders-pooler-admin")
    from harness.pooler import decoded
    hidden = [database.password, decoded(admin)["password"]]
    # Once more with a wrong password, since errors are what talks most.
    database_secret(cluster, namespace, "orders-db", {"uri": database.url().replace("4711", "4712")})
    pooler.wait_condition("DatabaseReachable", "False", "AuthenticationFailed")
    hidden.append("very-Secret-Password-4712")
    told = json.dumps([pooler.config(), cluster.list("Event", namespace), cluster.list("Pod", namespace),
                       pooler.object("StatefulSet")]) + operator.logs()
    for text in hidden:
        assert text not in told


def test_two_poolers_of_one_namespace(cluster, namespace, make_pooler, runner):
    """Each has its own pods, URLs and database."""
    one, two = make_pooler("one"), make_pooler("two")
    for pooler in (one, two):
        pooler.wait_ready()
        row = runner.sql(pooler.secret()["DATABASE_POOLED_URL"],
                         "select current_database(), host(inet_client_addr())")[0]
        assert row == [pooler.database.name, pooler.pods()[0]["status"]["podIP"]]
    assert all(is_ready(pod) for pod in one.pods() + two.pods())
    assert isinstance(one, Pooler)
