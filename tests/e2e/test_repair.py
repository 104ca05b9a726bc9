"""Children deleted or changed by hand return to what they should be."""

import base64

import pytest

from harness.wait import wait_for

CHILDREN = [("Service", ""), ("Service", "-peers"), ("Secret", ""), ("Secret", "-config"),
            ("Secret", "-admin"), ("PodDisruptionBudget", ""), ("StatefulSet", "")]


@pytest.mark.parametrize("kind, suffix", CHILDREN, ids=[f"{k}{s}" for k, s in CHILDREN])
def test_deleted_child_returns(cluster, make_pooler, runner, kind, suffix):
    pooler = make_pooler(replicas=2).wait_settled()
    before = pooler.object(kind, suffix)
    pods, urls = pooler.pod_uids(), pooler.secret()
    cluster.delete(kind, pooler.namespace, pooler.workload + suffix)
    wait_for(f"{kind} {pooler.workload}{suffix} is back", lambda: (
        pooler.object(kind, suffix) or before)["metadata"]["uid"] != before["metadata"]["uid"], 90)
    pooler.wait_settled()
    after = pooler.object(kind, suffix)
    assert after["metadata"]["ownerReferences"] == before["metadata"]["ownerReferences"]
    if kind in ("PodDisruptionBudget", "StatefulSet"):
        assert after["spec"] == before["spec"]
    if (kind, suffix) not in (("StatefulSet", ""), ("Secret", "-admin")):
        # Those two need other pods; the rest must not cost a connection.
        assert pooler.pod_uids() == pods
    # The applications' Secret is the same: neither URL changed.
    assert pooler.secret() == urls
    # A new Service has a new address, which the cluster's DNS tells a few seconds later.
    wait_for("the pooled URL answers",
             lambda: runner.sql(urls["DATABASE_POOLED_URL"], "select 1") == [[1]])


def test_drift_is_repaired(cluster, make_pooler, runner):
    """What somebody changes in fields of ours is changed back, and nothing else is."""
    pooler = make_pooler(replicas=2).wait_settled()
    namespace, name = pooler.namespace, pooler.workload
    pods = pooler.pod_uids()
    before = {kind: pooler.object(kind)["spec"] for kind in ("Service", "StatefulSet",
                                                             "PodDisruptionBudget")}
    published = pooler.object("Secret")["data"]
    cluster.patch("Service", namespace, name, {
        "metadata": {"annotations": {"mine": "stays"}},
        "spec": {"selector": {"pooler.dev/poolerconfig": "nobody"}}})
    cluster.patch("PodDisruptionBudget", namespace, name, {"spec": {"maxUnavailable": 2}})
    cluster.patch("Secret", namespace, name, {"data": {
        "DATABASE_POOLED_URL": base64.b64encode(b"postgresql://elsewhere/").decode()}})
    for kind, spec in before.items():
        wait_for(f"the {kind} is as it was", lambda: pooler.object(kind)["spec"] == spec)
    wait_for("the Secret is as it was", lambda: pooler.object("Secret")["data"] == published)
    assert pooler.object("Service")["metadata"]["annotations"]["mine"] == "stays"
    pooler.wait_settled()
    assert pooler.pod_uids() == pods
    assert runner.sql(pooler.secret()["DATABASE_POOLED_URL"], "select 1") == [[1]]


def test_replicas_changed_behind_our_back(cluster, make_pooler):
    """The StatefulSet's replicas follow spec.replicas, whoever changes them there."""
    pooler = make_pooler(replicas=2).wait_settled()
    cluster.patch("StatefulSet", pooler.namespace, pooler.workload, {"spec": {"replicas": 3}})
    wait_for("two replicas again", lambda: pooler.object("StatefulSet")["spec"]["replicas"] == 2)
    pooler.wait_settled()


def test_template_changed_behind_our_back(cluster, make_pooler):
    """Back before any pod is replaced, or with pods replaced one by one: in the end as it was."""
    pooler = make_pooler(replicas=2).wait_settled()
    before = pooler.object("StatefulSet")["spec"]["template"]
    cluster.patch("StatefulSet", pooler.namespace, pooler.workload, {"spec": {"template": {
        "spec": {"terminationGracePeriodSeconds": 1}}}})
    wait_for("the template is as it was",
             lambda: pooler.object("StatefulSet")["spec"]["template"] == before)
    pooler.wait_settled()


def test_configuration_changed_behind_our_back(cluster, make_pooler, runner):
    """The files in the Secret are ours alone."""
    pooler = make_pooler().wait_settled()
    files = pooler.object("Secret", "-config")["data"]
    victim = next(key for key in files if key.endswith(".pgbouncer.ini"))
    for change in (base64.b64encode(b"pool_mode = session\n").decode(), None):
        cluster.patch("Secret", pooler.namespace, pooler.workload + "-config",
                      {"data": {victim: change}})
        wait_for("the files are as they were",
                 lambda: pooler.object("Secret", "-config")["data"] == files)
    pooler.wait_settled()
    assert runner.sql(pooler.secret()["DATABASE_POOLED_URL"], "select 1") == [[1]]


def test_disruption_budget_comes_and_goes(cluster, make_pooler):
    """Only while there is more than one replica: one alone would make a node undrainable."""
    pooler = make_pooler(replicas=1).wait_settled()
    assert pooler.object("PodDisruptionBudget") is None
    pooler.patch(replicas=2)
    found = wait_for("a PodDisruptionBudget", lambda: pooler.object("PodDisruptionBudget"))
    assert found["spec"]["maxUnavailable"] == 1
    pooler.wait_settled(2)
    pooler.patch(replicas=1)
    wait_for("it is gone", lambda: pooler.object("PodDisruptionBudget") is None)
    pooler.wait_settled(1)


@pytest.mark.parametrize("key", ["password", "verifier", "hash-key", "username"])
def test_edited_login_of_the_operator(cluster, make_pooler, runner, key):
    """An edited value of the operator's own login, or one that is gone: in the end a login works
    again, the URLs are the same, and nobody had to help."""
    pooler = make_pooler(replicas=2).wait_settled()
    urls = pooler.secret()
    for value in (base64.b64encode(b"edited").decode(), None):
        cluster.patch("Secret", pooler.namespace, pooler.workload + "-admin", {"data": {key: value}})
        wait_for("it is what it was, or new as a whole", lambda: pooler.object(
            "Secret", "-admin")["data"].get(key) not in (None, value), 60)
        pooler.wait_settled(timeout=150)
    # A change of the spec goes through the consoles of all pods: the login works.
    pooler.patch(scaling={"clientsPerReplica": 900})
    pooler.wait_settled(timeout=150)
    assert pooler.secret() == urls
    assert runner.sql(urls["DATABASE_POOLED_URL"], "select 1") == [[1]]
