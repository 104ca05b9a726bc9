"""spec.pod: what the user adds to the pods is there and stays; what the API server refuses is said
before any pod is touched."""

from harness.wait import stays


def generation(pooler):
    return pooler.object("StatefulSet")["metadata"]["generation"]


def test_pods_get_what_is_asked_for_and_then_there_is_quiet(cluster, make_pooler):
    pooler = make_pooler(replicas=2).wait_settled()
    before = set(pooler.pod_uids().values())
    pooler.patch(pod={
        "metadata": {"labels": {"team": "shop", "pooler.dev/poolerconfig": "another"},
                     "annotations": {"example.com/mesh": "no"}},
        "resources": {"requests": {"cpu": "0.05"}, "limits": {"memory": "1024Mi"}},
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "tolerations": [{"key": "poolers", "operator": "Exists", "tolerationSeconds": 0,
                         "effect": "NoExecute"}],
        "affinity": {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [
            {"weight": 1, "podAffinityTerm": {"topologyKey": "kubernetes.io/hostname",
                                              "labelSelector": {"matchLabels": {"team": "shop"}}}}]}},
        "topologySpreadConstraints": [{"topologyKey": "kubernetes.io/hostname", "maxSkew": 2,
                                       "whenUnsatisfiable": "ScheduleAnyway"}],
        "securityContext": {"supplementalGroups": [1234]},
        "containerSecurityContext": {"runAsUser": 65531}})
    pooler.wait_settled()
    pods = pooler.pods()
    assert not before & {pod["metadata"]["uid"] for pod in pods}
    for pod in pods:
        assert pod["metadata"]["labels"]["team"] == "shop"
        assert pod["metadata"]["labels"]["pooler.dev/poolerconfig"] == "orders"
        assert pod["spec"]["containers"][0]["resources"] == {
            "requests": {"cpu": "50m", "memory": "1Gi"}, "limits": {"memory": "1Gi"}}
        assert pod["spec"]["containers"][0]["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    settled = generation(pooler)
    stays("nothing is written any more", lambda: generation(pooler) == settled, 5)


def test_a_pod_that_would_be_refused_is_found_before_any_goes(cluster, make_pooler):
    pooler = make_pooler(replicas=2).wait_settled()
    before, template = pooler.pod_uids(), generation(pooler)
    pooler.patch(poolMode="session", pod={"priorityClassName": "not-there"})
    told = pooler.wait_condition("Stalled", "True", "InvalidPodTemplate")
    assert "not-there" in told["message"] and "Pod " in told["message"]
    stays("everything is as it was", lambda: pooler.pod_uids() == before
          and generation(pooler) == template
          and pooler.condition("PoolerAvailable")["status"] == "True", 5)
    pooler.patch(pod=None)
    pooler.wait_settled()
    assert pooler.pod_uids() == before, "the mode was loaded by what runs"
