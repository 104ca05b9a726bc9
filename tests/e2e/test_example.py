"""examples/nextjs, built for production, with nothing but the published Secret as its environment."""

import json
import os
import subprocess

from harness.runner import IMAGE
from harness.wait import wait_for

START = """
until [ -e /tmp/app/.unpacked ]; do sleep 0.1; done
cd /tmp/app && node scripts/migrate.js && exec node server.js
"""


def test_nextjs_on_both_urls(cluster, namespace, make_pooler, runner, postgres):
    """Requests go through the pooler, migrations and LISTEN go direct."""
    archive = os.environ["POOLER_EXAMPLE"]
    assert os.path.exists(archive), "the example is not built: tests/e2e/build-example.sh"
    pooler = make_pooler(replicas=2)
    labels = {"app": "shop"}
    cluster.create({
        "kind": "Pod", "metadata": {"name": "shop", "namespace": namespace, "labels": labels},
        "spec": {"restartPolicy": "Never", "enableServiceLinks": False,
                 "terminationGracePeriodSeconds": 1, "containers": [{
                     "name": "shop", "image": IMAGE, "imagePullPolicy": "IfNotPresent",
                     "command": ["sh", "-c", START],
                     "env": [{"name": "NODE_ENV", "value": "production"},
                             {"name": "HOSTNAME", "value": "0.0.0.0"}, {"name": "PORT", "value": "3000"}],
                     "envFrom": [{"secretRef": {"name": "orders-pooler"}}],
                     "readinessProbe": {"httpGet": {"path": "/api/health", "port": 3000},
                                        "periodSeconds": 1, "timeoutSeconds": 5}}]}})
    wait_for("its container runs", lambda: [
        s for s in cluster.get("Pod", namespace, "shop")["status"].get("containerStatuses", [])
        if "running" in s["state"]], 120)
    with open(archive, "rb") as file:
        subprocess.run(cluster.command("exec", "-i", "-n", namespace, "shop", "--", "sh", "-c",
                                       "mkdir -p /tmp/app && tar -xf - -C /tmp/app && touch /tmp/app/.unpacked"),
                       stdin=file, check=True, timeout=120)
    wait_for("the shop is ready", lambda: all(
        s["ready"] for s in cluster.get("Pod", namespace, "shop")["status"]["containerStatuses"]), 90)
    address = cluster.get("Pod", namespace, "shop")["status"]["podIP"]
    done = cluster.exec(namespace, "shop", "sh", "-c",
                        "cd /tmp/app && node scripts/smoke.js http://localhost:3000 20", timeout=120)
    told = json.loads(done.stdout.splitlines()[-1])
    print("smoke:", told)
    assert told["placed"] == told["told"] == told["listed"] == 20 and told["onPage"]
    poolers = [pod["status"]["podIP"] for pod in pooler.pods()]
    assert told["client"] in poolers, "a request did not go through the pooler"
    sessions = postgres.admin_sql(
        "select host(client_addr), query from pg_stat_activity where datname = "
        f"'{pooler.database.name}' and backend_type = 'client backend'")
    assert [query for client, query in sessions if client == address] == ["LISTEN orders"], sessions
    assert {client for client, _ in sessions} <= {address, *poolers}
    migrations = runner.sql(pooler.secret()["DATABASE_URL"], "select name from migrations order by 1")
    assert migrations
