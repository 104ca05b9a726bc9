"""examples/nextjs, built for production, from its own manifest: nothing but the published Secret
tells it where the database is."""

import json
import os

import yaml

from harness.cluster import is_ready
from harness.wait import wait_for

MANIFEST = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "examples", "nextjs",
                        "k8s.yaml")


def deploy(cluster, namespace, image):
    """The manifest as it is, but for the image's name."""
    with open(MANIFEST) as file:
        for body in yaml.safe_load_all(file):
            body["metadata"]["namespace"] = namespace
            if body["kind"] == "Deployment":
                spec = body["spec"]["template"]["spec"]
                for container in spec["initContainers"] + spec["containers"]:
                    container.update(image=image, imagePullPolicy="IfNotPresent")
            cluster.create(body)


def test_nextjs_on_both_urls(cluster, operator, namespace, make_pooler, runner, postgres):
    """Requests go through the pooler, migrations and LISTEN go direct; deployed before the Secret
    is there, it waits."""
    image = os.environ.get("POOLER_EXAMPLE_IMAGE")
    assert image, "POOLER_EXAMPLE_IMAGE names no image: see tests/e2e/build-example.sh"
    deploy(cluster, namespace, image)
    shops = lambda: cluster.list("Pod", namespace, "app.kubernetes.io/name=shop")  # noqa: E731
    wait_for("the shop waits for its Secret", lambda: [
        status for pod in shops() for status in pod["status"].get("initContainerStatuses", [])
        if status["state"].get("waiting", {}).get("reason") == "CreateContainerConfigError"])
    pooler = make_pooler(replicas=2)
    wait_for("two shops are ready", lambda: len([p for p in shops() if is_ready(p)]) == 2, 180)
    name = shops()[0]["metadata"]["name"]
    done = cluster.exec(namespace, name, "node", "scripts/smoke.js", "http://shop", "40", timeout=120)
    told = json.loads(done.stdout.splitlines()[-1])
    print("smoke:", told)
    assert told["placed"] == told["told"] == 40 and told["onPage"]
    poolers = {pod["status"]["podIP"] for pod in pooler.pods()}
    assert told["client"] in poolers, "a request did not go through the pooler"
    addresses = {pod["status"]["podIP"] for pod in shops()}
    sessions = postgres.admin_sql(
        "select host(client_addr), query from pg_stat_activity where backend_type = 'client backend' "
        f"and datname = '{pooler.database.name}'")
    direct = [query for client, query in sessions if client in addresses]
    assert direct and set(direct) == {"LISTEN orders"}, sessions
    # The operator has one connection of its own, which the budget counts.
    assert {client for client, _ in sessions} <= addresses | poolers | {operator.pod()["status"]["podIP"]}
    rows = runner.sql(pooler.secret()["DATABASE_URL"], "select count(*) from orders")
    assert rows == [[40]]
    assert runner.sql(pooler.secret()["DATABASE_URL"], "select count(*) from migrations")[0][0] > 0
