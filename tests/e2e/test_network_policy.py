"""spec.networkPolicy: made, followed and taken away. Whether it is enforced is the network's."""

from harness.wait import wait_for


def test_policy_is_made_and_goes(cluster, make_pooler, runner):
    pooler = make_pooler(networkPolicy={"enabled": True}).wait_settled()
    ingress = pooler.object("NetworkPolicy")["spec"]["ingress"]
    assert len(ingress) == 1 and ingress[0]["ports"] == [{"port": 6432, "protocol": "TCP"}]
    operator = [peer for peer in ingress[0]["from"]
                if peer.get("podSelector", {}).get("matchLabels") == {"pooler.dev/component": "operator"}]
    assert len(operator) == 1
    space = operator[0]["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"]
    assert cluster.list("Pod", space, "pooler.dev/component=operator")

    # The runner is a client of another namespace.
    pooler.patch(networkPolicy={"from": [{"namespaceSelector": {}}]})
    wait_for("all namespaces are let in", lambda: {"namespaceSelector": {}} in
             pooler.object("NetworkPolicy")["spec"]["ingress"][0]["from"])
    assert runner.sql(pooler.secret()["DATABASE_POOLED_URL"], "select 1")
    pooler.patch(networkPolicy={"enabled": False})
    wait_for("the policy is gone", lambda: pooler.object("NetworkPolicy") is None)
    pooler.wait_settled()
