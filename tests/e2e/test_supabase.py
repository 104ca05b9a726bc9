"""Engine Supabase: nothing runs in the cluster, and the published Secret leads to the hosted project.
No test reaches Supabase: the names that the operator connects to can't be resolved, which holds
nothing back."""

import json
import secrets
import string

import pytest

from harness.management_api import ManagementApi
from harness.pooler import Pooler, database_secret
from harness.wait import stays, wait_for

HOST = "aws-1-eu-central-1.pooler.supabase.com"
# Where the operator itself logs in to the pooler (direct SessionPooler).
NO_HOST = "no-such-host.pooler.supabase.com"
# As it stands in a URI.
PASSWORD, ENCODED = "p@:/?#%& \"'\\", "p%40%3A%2F%3F%23%25%26%20%22%27%5C"


@pytest.fixture(scope="session")
def management(cluster, operator):
    return ManagementApi(cluster, operator.namespace).create()


@pytest.fixture
def project():
    """A reference that no other test has, and hopefully nobody else."""
    return "endtoendtest" + "".join(secrets.choice(string.ascii_lowercase) for _ in range(8))


@pytest.fixture
def make_project(cluster, operator, namespace, project):
    def make(password=PASSWORD, token=None, supabase=None, **spec):
        database_secret(cluster, namespace, "orders-db", {"password": password})
        wanted = {"projectRef": project, **(supabase or {})}
        if token:
            database_secret(cluster, namespace, "supabase", {"token": token})
            wanted["managementTokenSecretRef"] = {"name": "supabase"}
        cluster.create({
            "apiVersion": "pooler.dev/v1alpha1", "kind": "PoolerConfig",
            "metadata": {"name": "orders", "namespace": namespace},
            "spec": {"database": {"secretRef": {"name": "orders-db"}}, "engine": "Supabase",
                     "supabase": wanted, **spec}})
        return Pooler(cluster, namespace, "orders")
    return make


def urls(project, host=HOST, password=ENCODED, port=6543, flag="?pgbouncer=true"):
    return {"DATABASE_URL": f"postgresql://postgres:{password}@db.{project}.supabase.co:5432/postgres",
            "DATABASE_POOLED_URL":
                f"postgresql://postgres.{project}:{password}@{host}:{port}/postgres{flag}"}


def published(pooler):
    """The two URLs of the Secret; empty where there is none."""
    data = pooler.secret() or {}
    return {key: data[key] for key in ("DATABASE_URL", "DATABASE_POOLED_URL") if key in data}


def test_a_host_that_is_given(cluster, namespace, project, make_project):
    """Both URLs byte for byte, two Secrets, and nothing else."""
    pooler = make_project(supabase={"poolerHost": HOST})
    cluster.kubectl("wait", "-n", namespace, "--for=condition=Ready", "plc/orders", "--timeout=60s")
    assert published(pooler) == urls(project)
    data = pooler.secret()
    assert data["uri"] == data["pooled-uri"] == urls(project, flag="")["DATABASE_POOLED_URL"]
    assert data["password"] == PASSWORD
    assert {item["metadata"]["name"] for item in cluster.list("Secret", namespace)} == {
        "orders-db", "orders-pooler", "orders-pooler-admin"}
    for kind in ("StatefulSet", "Service", "Pod", "PodDisruptionBudget", "NetworkPolicy"):
        assert not cluster.list(kind, namespace), kind
    status = pooler.status()
    assert status["engine"] == "Supabase" and status["replicas"] == 0
    assert status["endpoints"] == {"pooled": f"{HOST}:6543",
                                   "direct": f"db.{project}.supabase.co:5432"}
    assert pooler.condition("ScalingActive")["reason"] == "ManagedByProvider"
    # Probed, and no gate.
    pooler.wait_condition("DatabaseReachable", "False")
    assert pooler.condition("Ready")["status"] == "True"


def test_modes_ways_and_rotation(cluster, namespace, project, make_project):
    """Changes are published once a login was tried, which tells nothing here."""
    pooler = make_project(password="pw", supabase={"poolerHost": NO_HOST})
    pooler.wait_ready()
    pooler.patch(poolMode="session")
    wait_for("the URL of the session mode", lambda: published(pooler) == urls(
        project, NO_HOST, password="pw", port=5432, flag=""))
    pooler.patch(supabase={"direct": "SessionPooler"})
    wait_for("the direct way by the session pooler", lambda: published(pooler)["DATABASE_URL"] == (
        f"postgresql://postgres.{project}:pw@{NO_HOST}:5432/postgres"))
    database_secret(cluster, namespace, "orders-db", {"password": "another"})
    wait_for("the new password", lambda: ":another@" in published(pooler)["DATABASE_URL"])
    pooler.delete()
    wait_for("its Secrets are gone", lambda: {
        item["metadata"]["name"] for item in cluster.list("Secret", namespace)} == {"orders-db"})


def test_neither_host_nor_token(make_project):
    """Waiting can't help, and the message names both ways; one of them is enough."""
    pooler = make_project()
    found = pooler.wait_condition("Stalled", "True", "PoolerHostUnknown")
    assert "spec.supabase.poolerHost" in found["message"]
    assert "spec.supabase.managementTokenSecretRef" in found["message"]
    assert pooler.secret() is None
    pooler.patch(supabase={"poolerHost": HOST})
    pooler.wait_ready()
    assert not pooler.condition("Stalled")


def test_the_management_api_tells(cluster, namespace, operator, management, project, make_project):
    """The host is read with the token, which is told nowhere; a refusal is told, and what was read
    stays; another token is tried at once."""
    token = "sbp_" + secrets.token_hex(20)
    management.tells(project, HOST, default_pool_size=30, max_client_conn=321)
    pooler = make_project(token=token)
    pooler.wait_ready()
    assert published(pooler) == urls(project)
    assert management.asked(project) == [f"Bearer {token}"]
    wait_for("what the API told", lambda: "pool size 30, at most 321 clients" in pooler.condition(
        "ConfigurationLoaded")["message"])

    management.answers(project, 401, {"message": "Unauthorized"})
    pooler.patch(connectionSecret={"labels": {"team": "shop"}})  # any change asks again
    found = pooler.wait_condition("ConfigurationLoaded", "Unknown", "ManagementAPIRefused")
    assert "managementTokenSecretRef" in found["message"]
    pooler.wait_ready()
    assert published(pooler) == urls(project)
    told = json.dumps([pooler.config(), cluster.list("Event", namespace)]) + operator.logs()
    assert token not in told and PASSWORD not in told

    other = "aws-0-eu-west-1.pooler.supabase.com"
    management.tells(project, other)
    database_secret(cluster, namespace, "supabase", {"token": "sbp_another"})
    wait_for("the host that the API tells now", lambda: published(pooler) == urls(project, other))
    assert management.asked(project)[-1] == "Bearer sbp_another"


@pytest.mark.parametrize("status, body, stalls, words", [
    (403, {"message": "Forbidden"}, True, "database_pooling_config_read"),
    (404, {"message": "Project not found"}, True, "spec.supabase.projectRef"),
    (503, {"message": "upstream"}, False, "fails (503)"),
    (200, [{"database_type": "PRIMARY", "db_host": "pooler.example.com"}], True,
     "not under pooler.supabase.com"),
], ids=["forbidden", "no such project", "fails", "a host elsewhere"])
def test_the_management_api_does_not_tell(management, project, make_project, status, body, stalls,
                                          words):
    """Nothing is published, the reason is told, and it comes by itself once the API tells."""
    management.answers(project, status, body)
    pooler = make_project(token="sbp_0123456789")
    reason = "PoolerHostUnknown" if stalls else "ManagementAPIUnavailable"
    found = pooler.wait_condition("Ready", "False", reason)
    assert words in found["message"]
    assert bool(pooler.condition("Stalled")) == stalls
    stays("nothing is published", lambda: pooler.secret() is None, 2)
    management.tells(project, HOST)
    pooler.patch(connectionSecret={"labels": {"team": "shop"}})
    pooler.wait_ready()
    assert published(pooler) == urls(project)


def test_the_management_api_was_asked_too_often(cluster, namespace, management, project,
                                                make_project):
    """Nothing is asked before the time that it has named, not for a change either; another token,
    which may be another account's, is tried at once."""
    management.answers(project, 429, {"message": "slow down"}, headers={"Retry-After": "3600"})
    pooler = make_project(token="sbp_" + secrets.token_hex(20))
    found = pooler.wait_condition("Ready", "False", "ManagementAPIUnavailable")
    assert "too often (429)" in found["message"]
    management.tells(project, HOST)
    pooler.patch(connectionSecret={"labels": {"team": "shop"}})
    stays("it is not asked again", lambda: len(management.asked(project)) == 1, 7)
    database_secret(cluster, namespace, "supabase", {"token": "sbp_" + secrets.token_hex(20)})
    pooler.wait_ready()
    assert published(pooler) == urls(project)


def test_the_management_api_is_slow(management, project, make_project):
    """A question is given up, and asked again: it does not hold up the rest."""
    management.answers(project, 200, [], delay=60)
    pooler = make_project(token="sbp_" + secrets.token_hex(20))
    found = pooler.wait_condition("Ready", "False", "ManagementAPIUnavailable")
    assert "does not answer in time" in found["message"]
    management.tells(project, HOST)
    pooler.wait_ready()
    assert published(pooler) == urls(project)
