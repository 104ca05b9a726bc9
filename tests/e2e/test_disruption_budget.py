"""spec.podDisruptionBudget and the number of replicas: it comes and goes with both."""

from harness.wait import wait_for


def test_budget_comes_and_goes(cluster, make_pooler):
    pooler = make_pooler(replicas=2).wait_settled()
    assert pooler.object("PodDisruptionBudget")["spec"]["maxUnavailable"] == 1
    for changes, there in (({"podDisruptionBudget": {"enabled": False}}, False),
                           ({"podDisruptionBudget": {"enabled": True}}, True),
                           ({"replicas": 1}, False), ({"replicas": 2}, True)):
        pooler.patch(**changes)
        wait_for(f"{changes}: {there}",
                 lambda there=there: (pooler.object("PodDisruptionBudget") is not None) == there)
