"""Objects of our names that belong to somebody else: told, never touched, also not when the
PoolerConfig is deleted; and everything of ours goes with it."""

import pytest

from harness.pooler import Pooler
from harness.wait import wait_for

FOREIGN = {
    "StatefulSet": ("orders-pooler", "PoolerAvailable", {
        "serviceName": "x", "replicas": 0, "selector": {"matchLabels": {"app": "foreign"}},
        "template": {"metadata": {"labels": {"app": "foreign"}},
                     "spec": {"containers": [{"name": "x", "image": "localhost/test-runner:dev"}]}}}),
    "Service": ("orders-pooler", "PoolerAvailable", {
        "selector": {"app": "foreign"}, "ports": [{"port": 80}]}),
    "Service peers": ("orders-pooler-peers", "PoolerAvailable", {
        "selector": {"app": "foreign"}, "ports": [{"port": 80}]}),
    "Secret published": ("orders-pooler", "SecretPublished", {"DATABASE_URL": "Zm9yZWlnbg=="}),
    "Secret config": ("orders-pooler-config", "PoolerAvailable", {"mine": "Zm9yZWlnbg=="}),
    "Secret admin": ("orders-pooler-admin", "PoolerAvailable", {"mine": "Zm9yZWlnbg=="}),
    "PodDisruptionBudget": ("orders-pooler", "PoolerAvailable", {
        "maxUnavailable": 1, "selector": {"matchLabels": {"app": "foreign"}}}),
}


def make_foreign(cluster, namespace, what, labels=None):
    kind = what.split()[0]
    name, _, content = FOREIGN[what]
    body = {"kind": kind, "metadata": {"name": name, "namespace": namespace, "labels": labels or {}}}
    body["data" if kind == "Secret" else "spec"] = content
    return cluster.create(body)


@pytest.mark.parametrize("labelled", [False, True], ids=["plain", "with our labels"])
@pytest.mark.parametrize("what", FOREIGN)
def test_foreign_object(cluster, namespace, make_pooler, what, labelled):
    """Even one that carries our labels: an owner reference is what makes an object ours."""
    labels = {"app.kubernetes.io/managed-by": "pooler-operator", "pooler.dev/poolerconfig": "orders",
              "app.kubernetes.io/instance": "orders"} if labelled else {}
    name, condition, _ = FOREIGN[what]
    kind = what.split()[0]
    before = make_foreign(cluster, namespace, what, labels)

    def untouched():
        now = cluster.get(kind, namespace, name)
        assert now, "it was deleted"
        # Its own controllers may write its status.
        return (now["metadata"]["uid"] == before["metadata"]["uid"]
                and now["metadata"].get("generation") == before["metadata"].get("generation")
                and now.get("spec") == before.get("spec") and now.get("data") == before.get("data")
                and now["metadata"].get("labels") == before["metadata"].get("labels")
                and "ownerReferences" not in now["metadata"]
                and not any(m["manager"] == "pooler-operator"
                            for m in now["metadata"]["managedFields"]))

    pooler = make_pooler(replicas=2)
    found = pooler.wait_condition(condition, "False", "NotOwned")
    assert name in found["message"] and kind in found["message"], found
    pooler.wait_condition("Ready", "False", "NotOwned")
    pooler.wait_condition("Stalled", "True", "NotOwned")
    wait_for("an Event", lambda: pooler.events("NotOwned"))
    if what != "Secret published":
        assert cluster.get("Secret", namespace, "orders-pooler") is None
    assert untouched()
    pooler.delete()
    wait_for("the PoolerConfig is gone",
             lambda: cluster.get("PoolerConfig", namespace, "orders") is None)
    wait_for("what was ours is gone", lambda: not [
        each for other in ("StatefulSet", "Service", "Secret", "PodDisruptionBudget")
        for each in cluster.list(other, namespace)
        if any(owner["kind"] == "PoolerConfig"
               for owner in each["metadata"].get("ownerReferences", []))])
    assert untouched()


@pytest.mark.parametrize("what", ["StatefulSet", "Secret published"])
def test_goes_on_when_it_is_gone(cluster, namespace, make_pooler, what):
    make_foreign(cluster, namespace, what)
    pooler = make_pooler()
    pooler.wait_condition("Ready", "False", "NotOwned")
    cluster.delete(what.split()[0], namespace, FOREIGN[what][0])
    pooler.wait_ready()
    assert not pooler.condition("Stalled")


def test_two_poolers_with_one_secret(cluster, namespace, make_pooler):
    """The first has it; the second is told whose it is, and changes nothing."""
    first = make_pooler("first", connectionSecret={"name": "urls"}).wait_ready()
    before = cluster.get("Secret", namespace, "urls")
    second = make_pooler("second", connectionSecret={"name": "urls"})
    found = second.wait_condition("SecretPublished", "False", "NotOwned")
    assert "urls" in found["message"] and "first" in found["message"], found
    second.wait_condition("Ready", "False", "NotOwned")
    assert cluster.get("Secret", namespace, "urls") == before
    second.delete()
    second.wait_deleted()
    assert cluster.get("Secret", namespace, "urls") == before
    assert first.condition("Ready")["status"] == "True"


def test_names_that_end_in_those_of_another(cluster, namespace, make_pooler):
    """PoolerConfig `a-pooler`'s pods and Services must not be mixed up with those of `a`."""
    one, two = make_pooler("a"), make_pooler("a-pooler", replicas=2)
    one.wait_settled()
    two.wait_settled()
    assert len(one.pods()) == 1 and len(two.pods()) == 2
    two.delete()
    two.wait_deleted()
    assert len(one.wait_settled().pods()) == 1


def test_deletion_leaves_nothing(cluster, namespace, make_pooler):
    pooler = make_pooler(replicas=2).wait_settled()
    pooler.delete()
    pooler.wait_deleted()
    wait_for("all of it is gone", lambda: not (
        cluster.list("Pod", namespace) or cluster.list("Service", namespace)
        or cluster.list("StatefulSet", namespace) or cluster.list("PodDisruptionBudget", namespace)
        or [s for s in cluster.list("Secret", namespace) if s["metadata"]["name"] != "orders-db"]))


def test_made_again_under_its_name(cluster, namespace, make_pooler, runner):
    """Deleted and created at once: what the first one left must not be taken for the second's."""
    pooler = make_pooler().wait_ready()
    old = pooler.config()["metadata"]["uid"]
    pooler.delete()
    pooler = Pooler(cluster, namespace, "orders").create("orders-db")
    new = pooler.config()["metadata"]["uid"]
    assert new != old
    wait_for("everything belongs to the new one", lambda: all(
        found and found["metadata"]["ownerReferences"][0]["uid"] == new
        and "deletionTimestamp" not in found["metadata"]
        for found in (pooler.object("StatefulSet"), pooler.object("Service"),
                      pooler.object("Secret"))), 90)
    pooler.wait_settled()
    assert runner.sql(pooler.secret()["DATABASE_POOLED_URL"], "select 1") == [[1]]
