"""Eviction, roll-out, deletion and scale-down under load lose no transaction, whether the operator
lives or not."""

import pytest

from harness.cluster import ApiError, is_ready
from harness.load import Load, wait_gone
from harness.pooler import IMAGES
from harness.wait import wait_for

# 30 server connections for each of maxReplicas + 1 ordinals, and one for the operator.
SPEC = {"replicas": 3, "scaling": {"maxReplicas": 3}, "budget": {"serverConnections": 121},
        "drain": {"endpointPropagationSeconds": 3, "maxTransactionSeconds": 30}}


def loaded(make_pooler, runner, version="1.26.1", **changes):
    pooler = make_pooler(**{**SPEC, "pgbouncer": {"image": IMAGES[version]}, **changes})
    pooler.wait_settled()
    load = Load(runner, pooler)
    load.wait_busy()
    return pooler, load


def evict(cluster, pooler):
    victim = pooler.pods()[1]
    cluster.evict(pooler.namespace, victim["metadata"]["name"])
    # The second one is refused while the first is away: the PodDisruptionBudget holds.
    with pytest.raises(ApiError) as caught:
        cluster.evict(pooler.namespace, pooler.pods()[0]["metadata"]["name"])
    assert caught.value.status == 429, caught.value
    print(f"evicted; gone after {wait_gone(cluster, victim):.1f} s")


def delete(cluster, pooler, ordinal):
    victim = pooler.pods()[ordinal]
    cluster.delete("Pod", pooler.namespace, victim["metadata"]["name"])
    print(f"deleted; gone after {wait_gone(cluster, victim):.1f} s")


def back(pooler, replicas):
    wait_for(f"{replicas} ready pods", lambda: (
        lambda pods: len(pods) == replicas and all(map(is_ready, pods)))(pooler.pods()), 90)


@pytest.mark.parametrize("version", IMAGES)
def test_eviction(cluster, make_pooler, runner, version):
    pooler, load = loaded(make_pooler, runner, version)
    evict(cluster, pooler)
    back(pooler, 3)
    load.check_served()
    pooler.wait_settled()


@pytest.mark.parametrize("version", IMAGES)
def test_rollout(cluster, make_pooler, runner, version):
    """A change of what a pod runs: every pod is replaced, one after the other."""
    pooler, load = loaded(make_pooler, runner, version)
    before = pooler.pod_uids()
    pooler.roll_out()
    load.wait_replaced(before)
    pooler.wait_settled()
    load.check_served(victims=3)


def test_pod_deleted(cluster, make_pooler, runner):
    pooler, load = loaded(make_pooler, runner)
    delete(cluster, pooler, 2)
    back(pooler, 3)
    load.check_served()


@pytest.mark.parametrize("version", IMAGES)
def test_scale_down(cluster, make_pooler, runner, version):
    pooler, load = loaded(make_pooler, runner, version)
    victims = pooler.pods()[1:]
    cluster.kubectl("scale", "-n", pooler.namespace, "plc/orders", "--replicas=1")
    for victim in victims:
        wait_gone(cluster, victim)
    pooler.wait_settled(1)
    load.check_served(victims=2)


def test_pooler_deleted(cluster, make_pooler, runner):
    """The whole PoolerConfig under load: open transactions are finished before the pods leave."""
    pooler, load = loaded(make_pooler, runner)
    pods = pooler.pods()
    pooler.delete()
    for pod in pods:
        wait_gone(cluster, pod)
    load.end()
    load.check_nothing_lost(victims=3)


@pytest.fixture
def dead_operator(operator):
    """Taken away by the test when it likes, put back at its end."""
    yield operator
    operator.scale(1)


@pytest.mark.operator
@pytest.mark.parametrize("version", IMAGES)
def test_without_operator(cluster, make_pooler, runner, dead_operator, version):
    """Eviction, deletion and scale-down again, one after the other, with nobody who could help."""
    pooler, load = loaded(make_pooler, runner, version)
    dead_operator.scale(0)
    victim = pooler.pods()[2]
    cluster.kubectl("scale", "-n", pooler.namespace, "statefulset/orders-pooler", "--replicas=2")
    print(f"scaled down; gone after {wait_gone(cluster, victim):.1f} s")
    # Its clients are on the other two now; each victim is a pod that was never replaced.
    evict(cluster, pooler)
    back(pooler, 2)
    delete(cluster, pooler, 0)
    back(pooler, 2)
    load.check_served(victims=3)
    dead_operator.scale(1)
    pooler.wait_settled(3)
