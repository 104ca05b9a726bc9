"""A PoolerConfig and everything that the operator makes for it."""

import base64

from harness.cluster import condition, is_ready
from harness.wait import wait_for

# Small, so that roll-outs take seconds; a test under load gives more.
DRAIN = {"endpointPropagationSeconds": 1, "maxTransactionSeconds": 20}
IMAGES = {"1.26.1": "localhost/pgbouncer:1.26.1", "1.24.1": "localhost/pgbouncer:1.24.1"}


def merged(base, changes):
    """`changes` into `base`, as a merge patch does it."""
    result = dict(base)
    for key, value in changes.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, dict) and isinstance(result.get(key), dict):
            result[key] = merged(result[key], value)
        else:
            result[key] = value
    return result


def manifest(namespace, name, secret, **spec):
    base = {"database": {"secretRef": {"name": secret}}, "replicas": 1,
            "scaling": {"maxReplicas": 3}, "budget": {"serverConnections": 20}, "drain": DRAIN}
    return {"apiVersion": "pooler.dev/v1alpha1", "kind": "PoolerConfig",
            "metadata": {"name": name, "namespace": namespace}, "spec": merged(base, spec)}


class Pooler:
    """One PoolerConfig by name; every property is a fresh look."""

    def __init__(self, cluster, namespace, name):
        self.cluster = cluster
        self.namespace = namespace
        self.name = name
        self.workload = f"{name}-pooler"

    # --- writing ---------------------------------------------------------------------------

    def create(self, secret, **spec):
        self.cluster.create(manifest(self.namespace, self.name, secret, **spec))
        return self

    def patch(self, **spec):
        return self.cluster.patch("PoolerConfig", self.namespace, self.name, {"spec": spec})

    def roll_out(self):
        """A change that no running process can take over: every pod is replaced."""
        grace = self.config()["spec"]["drain"]["maxTransactionSeconds"]
        return self.patch(drain={"maxTransactionSeconds": grace + 1})

    def delete(self):
        self.cluster.delete("PoolerConfig", self.namespace, self.name)

    # --- looking ---------------------------------------------------------------------------

    def config(self):
        found = self.cluster.get("PoolerConfig", self.namespace, self.name)
        assert found, f"PoolerConfig {self.name} is gone"
        return found

    def status(self):
        return self.config().get("status") or {}

    def condition(self, kind):
        """The condition as a dict; empty where there is none."""
        for item in self.status().get("conditions") or []:
            if item["type"] == kind:
                return item
        return {}

    def object(self, kind, suffix=""):
        return self.cluster.get(kind, self.namespace, self.workload + suffix)

    def pods(self):
        found = self.cluster.list("Pod", self.namespace, f"pooler.dev/poolerconfig={self.name}")
        return sorted(found, key=lambda pod: pod["metadata"]["name"])

    def pod_uids(self):
        return {pod["metadata"]["name"]: pod["metadata"]["uid"] for pod in self.pods()}

    def restarts(self):
        return sum(status["restartCount"] for pod in self.pods()
                   for status in pod["status"].get("containerStatuses", []))

    def secret(self):
        """The published Secret's data, decoded; None where it is not published."""
        name = self.config()["spec"].get("connectionSecret", {}).get("name", self.workload)
        found = self.cluster.get("Secret", self.namespace, name)
        return found and decoded(found)

    def events(self, reason=None):
        return [event for event in self.cluster.list("Event", self.namespace)
                if event.get("regarding", {}).get("name") == self.name
                and reason in (None, event.get("reason"))]

    # --- waiting ---------------------------------------------------------------------------

    def wait_condition(self, kind, status, reason=None, timeout=60):
        def look():
            config = self.config()
            found = next((c for c in config.get("status", {}).get("conditions", [])
                          if c["type"] == kind), None)
            assert found, f"no condition {kind}"
            current = found.get("observedGeneration") == config["metadata"]["generation"]
            right = found["status"] == status and reason in (None, found["reason"])
            assert current and right, (
                f"{kind}={found['status']} {found['reason']}: {found['message']}"
                + ("" if current else " (about an older generation)"))
            return found
        return wait_for(f"{self.name}: {kind}={status} {reason or ''}", look, timeout)

    def wait_ready(self, timeout=90):
        self.wait_condition("Ready", "True", timeout=timeout)
        return self

    def wait_settled(self, replicas=None, timeout=120):
        """Ready, nothing under way, as many ready pods as wanted and not one more."""
        def look():
            config = self.config()
            wanted = config["spec"]["replicas"] if replicas is None else replicas
            pods = self.pods()
            assert condition(config, "Ready") == "True", self.condition("Ready")
            assert condition(config, "Reconciling") is None, self.condition("Reconciling")
            assert config["status"]["observedGeneration"] == config["metadata"]["generation"]
            assert len(pods) == wanted and all(map(is_ready, pods)), [
                (pod["metadata"]["name"], is_ready(pod)) for pod in pods]
            return True
        wait_for(f"{self.name} has settled", look, timeout)
        return self

    def wait_reached(self, runner):
        """New connections by the Service arrive at every pod: on a busy node its proxy learns of some
        of them seconds later than the API server."""
        url, seen = self.secret()["DATABASE_POOLED_URL"], set()

        def look():
            seen.add(runner.sql(url, "select host(inet_client_addr())")[0][0])
            return {pod["status"]["podIP"] for pod in self.pods()} <= seen
        wait_for(f"the Service of {self.name} leads to all its pods", look, 60)
        return self

    def wait_deleted(self, timeout=60):
        wait_for(f"{self.name} and all that it owned are gone", lambda: not (
            self.cluster.get("PoolerConfig", self.namespace, self.name) or self.pods()
            or self.object("StatefulSet") or self.object("Service")), timeout)


def decoded(secret):
    return {key: base64.b64decode(value).decode() for key, value in secret.get("data", {}).items()}


def database_secret(cluster, namespace, name, data):
    """Makes or changes the Secret with a database's login."""
    cluster.apply({"kind": "Secret", "metadata": {"name": name, "namespace": namespace},
                   "type": "Opaque", "stringData": data})
    return name
