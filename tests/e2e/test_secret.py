"""Database Secrets as others write them, and the published one as applications want it."""

import pytest

from harness.pooler import Pooler
from harness.shapes import PRESETS, SHAPES, spec_of
from harness.wait import wait_for


@pytest.mark.parametrize("shape", SHAPES)
def test_secret_of_somebody_else(make_pooler, runner, postgres, shape):
    database = postgres.database(password="p@:/?#%& \"'\\")
    pooler = make_pooler(db=database, secret=SHAPES[shape](database, postgres),
                         database=spec_of(shape, postgres, database)).wait_ready()
    data = pooler.secret()
    for key in ("DATABASE_POOLED_URL", "DATABASE_URL"):
        assert runner.sql(data[key], "select current_user, current_database()") == [
            [database.user, database.name]]


def test_presets_and_keys(make_pooler, runner, postgres):
    """Each preset in turn on one PoolerConfig: its variables lead where they should, and those of the
    last one are gone."""
    pooler = make_pooler().wait_ready()
    for preset, (pooled, direct) in PRESETS.items():
        pooler.patch(connectionSecret={"preset": preset, "keys": [
            {"name": "OWN", "url": "Pooled", "format": "Libpq"},
            {"name": "PGHOST", "url": "Direct", "format": "Host"}]})
        data = wait_for(f"the variables of {preset}", lambda: (
            (found := pooler.secret()) and pooled in found and direct in found and "OWN" in found and found))
        others = {name for pair in PRESETS.values() for name in pair} - {pooled, direct}
        assert not others & set(data)
        assert ":6432/" in data[pooled] and ":6432/" not in data[direct]
        for key in (pooled, direct, "OWN"):
            assert runner.sql(data[key], "select 1") == [[1]]
        assert data["PGHOST"] == postgres.host
    pooler.patch(connectionSecret={"preset": "None", "keys": None})
    wait_for("no variables", lambda: not any(key.isupper() for key in pooler.secret()))
    assert runner.sql(pooler.secret()["uri"], "select 1") == [[1]]


def test_parameters_labels_annotations(make_pooler, runner):
    """As asked for; taken back without a new pod."""
    pooler = make_pooler(connectionSecret={
        "parameters": {"pooled": {"application_name": "shop & co"}},
        "labels": {"team": "shop"}, "annotations": {"example.com/note": "a b"}}).wait_settled()
    ask = "select current_setting('application_name'), host(inet_client_addr())"
    assert runner.sql(pooler.secret()["DATABASE_POOLED_URL"], ask) == [
        ["shop & co", pooler.pods()[0]["status"]["podIP"]]]
    meta = pooler.object("Secret")["metadata"]
    assert meta["labels"]["team"] == "shop" and meta["annotations"]["example.com/note"] == "a b"
    pods = pooler.pod_uids()
    pooler.patch(connectionSecret={"parameters": None, "labels": None})
    wait_for("no label any more", lambda: "team" not in pooler.object("Secret")["metadata"]["labels"])
    wait_for("no parameter", lambda: "application_name" not in pooler.secret()["DATABASE_POOLED_URL"])
    assert pooler.wait_settled().pod_uids() == pods


def test_immediate_waits_for_nothing(make_pooler):
    """Published though no pod can start; Ready says that nobody could use it."""
    pooler = make_pooler(pgbouncer={"image": "localhost/no-such-image:1"},
                         connectionSecret={"publishPolicy": "Immediate"})
    wait_for("the Secret", pooler.secret)
    pooler.wait_condition("SecretPublished", "True")
    pooler.wait_condition("Ready", "False", "ImagePullFailed")


def test_retained(cluster, namespace, make_pooler, runner):
    """The Secret outlives its PoolerConfig, and a new one of that name takes it over."""
    pooler = make_pooler(connectionSecret={"deletionPolicy": "Retain", "labels": {"team": "shop"}})
    pooler.wait_ready()
    before = pooler.object("Secret")
    assert before["metadata"]["labels"]["team"] == "shop"
    pooler.delete()
    pooler.wait_deleted()
    left = pooler.object("Secret")
    assert left and left["data"] == before["data"]
    other = make_pooler("other", connectionSecret={"name": "orders-pooler"})
    found = other.wait_condition("SecretPublished", "False", "NotOwned")
    assert "PoolerConfig orders" in found["message"], found
    assert pooler.object("Secret") == left
    again = Pooler(cluster, namespace, "orders").create("orders-db")
    again.wait_ready()
    taken = again.object("Secret")
    assert taken["metadata"]["uid"] == before["metadata"]["uid"]
    assert taken["metadata"]["ownerReferences"], "the new one says Delete, by default"
    assert runner.sql(again.secret()["DATABASE_POOLED_URL"], "select 1") == [[1]]
    again.delete()
    wait_for("the Secret goes with it, and who waited for the name has one of its own", lambda: (
        lambda now: now and now["metadata"]["uid"] != taken["metadata"]["uid"])(again.object("Secret")))
    other.wait_ready()
