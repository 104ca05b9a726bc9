"""The chart: installed, upgraded and taken away, while poolers serve."""

import os
import subprocess

import pytest

from harness.cluster import condition
from harness.wait import wait_for

pytestmark = pytest.mark.operator
CRD = "poolerconfigs.pooler.dev"


def helm(cluster, operator, *args, check=True):
    context = ["--kube-context", cluster.context] if cluster.context else []
    done = subprocess.run(["helm", *context, "-n", operator.namespace, *args], capture_output=True,
                          text=True, timeout=240)
    assert not check or done.returncode == 0, done.stderr
    return done


@pytest.fixture
def release(cluster, operator, tmp_path):
    """Name, and how to install it again exactly as it was; it is installed at the end."""
    name = os.environ.get("POOLER_OPERATOR_RELEASE", "pooler-operator")
    values = tmp_path / "values.yaml"
    values.write_text(helm(cluster, operator, "get", "values", name, "-o", "yaml").stdout)

    def install(*more):
        helm(cluster, operator, "upgrade", "--install", name, os.environ["POOLER_CHART"], "-f",
             str(values), "--wait", "--timeout", "2m", *more)
        wait_for("the operator is ready", operator.pod)
    install.name = name
    yield install
    install()


def test_uninstall_keeps_what_people_have(cluster, operator, make_pooler, runner, release):
    """The CRD and with it every PoolerConfig, every pooler and every published Secret stay; a new
    install goes on from there without touching a pod."""
    pooler = make_pooler(replicas=2).wait_settled()
    before = (pooler.pod_uids(), pooler.secret())
    helm(cluster, operator, "uninstall", release.name, "--wait")
    wait_for("the operator is gone", lambda: not operator.pods())
    assert cluster.get("CustomResourceDefinition", None, CRD)
    for kind in ("clusterroles", "clusterrolebindings"):
        left = cluster.request("GET", f"/apis/rbac.authorization.k8s.io/v1/{kind}?"
                               "labelSelector=app.kubernetes.io%2Fname%3Dpooler-operator")["items"]
        assert not left, [each["metadata"]["name"] for each in left]
    assert (pooler.pod_uids(), pooler.secret()) == before
    assert runner.sql(before[1]["DATABASE_POOLED_URL"], "select 1") == [[1]]
    release()
    pooler.patch(replicas=3)
    pooler.wait_settled(3)
    assert before[0].items() <= pooler.pod_uids().items()


def test_upgrade_leaves_poolers_alone(cluster, operator, make_pooler, release):
    pooler = make_pooler(replicas=2).wait_settled()
    before = (pooler.pod_uids(), pooler.object("StatefulSet")["metadata"]["generation"])
    old = operator.pod()["metadata"]["uid"]
    release("--set", "logLevel=debug")
    assert operator.pod()["metadata"]["uid"] != old
    pooler.patch(budget={"serverConnections": 20, "directReservePercent": 30})
    pooler.wait_condition("Ready", "True")
    assert (pooler.pod_uids(), pooler.object("StatefulSet")["metadata"]["generation"]) == before


def test_strict_values(cluster, operator, release):
    done = helm(cluster, operator, "template", "x", os.environ["POOLER_CHART"], "--set",
                "replicaCount=2", check=False)
    assert done.returncode != 0 and "replicaCount" in done.stderr


def test_helm_waits_for_poolers(cluster, namespace, operator, postgres, tmp_path):
    """helm --wait with a PoolerConfig in somebody's chart is done when it is Ready, not before."""
    from harness.pooler import Pooler, database_secret, manifest
    import json
    chart = tmp_path / "shop"
    (chart / "templates").mkdir(parents=True)
    (chart / "Chart.yaml").write_text("apiVersion: v2\nname: shop\nversion: 1.0.0\n")
    database_secret(cluster, namespace, "orders-db", {"uri": postgres.database().url()})
    (chart / "templates" / "pooler.yaml").write_text(
        json.dumps(manifest(namespace, "orders", "orders-db", replicas=2)))
    context = ["--kube-context", cluster.context] if cluster.context else []
    subprocess.run(["helm", *context, "-n", namespace, "install", "shop", str(chart), "--wait",
                    "--timeout", "90s"], check=True, capture_output=True, timeout=120)
    assert condition(Pooler(cluster, namespace, "orders").config(), "Ready") == "True"
