"""spec.service: another port and host are published once the way works."""

from harness.wait import wait_for


def test_another_port_is_published_and_leads_there(cluster, make_pooler, runner):
    pooler = make_pooler(replicas=1).wait_settled()
    before = pooler.pod_uids()
    pooler.patch(service={"port": 5433, "type": "LoadBalancer",
                          "annotations": {"example.com/lb": "internal"}})
    wait_for("the new port is published", lambda: pooler.secret()["port"] == "5433")
    pooler.wait_settled()
    assert runner.sql(pooler.secret()["DATABASE_POOLED_URL"], "select 1")
    service = pooler.object("Service")
    assert service["spec"]["type"] == "LoadBalancer"
    assert service["metadata"]["annotations"]["example.com/lb"] == "internal"
    assert pooler.status()["endpoints"]["pooled"].endswith(":5433")

    pooler.patch(service=None)
    wait_for("the old port is back", lambda: pooler.secret()["port"] == "6432")
    pooler.wait_settled()
    service = pooler.object("Service")
    assert service["spec"]["type"] == "ClusterIP" and "nodePort" not in service["spec"]["ports"][0]
    assert "example.com/lb" not in service["metadata"]["annotations"]
    assert runner.sql(pooler.secret()["DATABASE_POOLED_URL"], "select 1")
    assert pooler.pod_uids() == before


def test_an_external_host_is_in_the_urls(cluster, make_pooler):
    pooler = make_pooler(service={"externalHost": "pooler.example.com"}).wait_ready()
    assert "@pooler.example.com:6432/" in pooler.secret()["DATABASE_POOLED_URL"]
    assert pooler.secret()["host"] == "pooler.example.com"
