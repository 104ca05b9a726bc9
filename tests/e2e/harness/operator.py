"""The operator as its chart installed it."""

import os
import re

from harness.cluster import is_ready
from harness.wait import wait_for

SELECTOR = "app.kubernetes.io/name=pooler-operator"


class Operator:
    def __init__(self, cluster):
        self.cluster = cluster
        self.namespace = os.environ.get("POOLER_OPERATOR_NAMESPACE", "pooler-e2e")

    def deployment(self):
        found = self.cluster.list("Deployment", self.namespace, SELECTOR)
        assert len(found) == 1, f"{len(found)} Deployments of the operator in {self.namespace}"
        return found[0]

    def pods(self):
        return self.cluster.list("Pod", self.namespace, SELECTOR)

    def pod(self):
        """The one pod that works; after a restart the kubelet takes a moment to say so."""
        ready = wait_for("the operator is ready", lambda: [p for p in self.pods() if is_ready(p)])
        assert len(ready) == 1, [pod["metadata"]["name"] for pod in self.pods()]
        return ready[0]

    def user(self):
        """The user of its requests, as the audit log names it."""
        account = self.deployment()["spec"]["template"]["spec"]["serviceAccountName"]
        return f"system:serviceaccount:{self.namespace}:{account}"

    def scale(self, replicas):
        self.cluster.patch("Deployment", self.namespace, self.deployment()["metadata"]["name"],
                           {"spec": {"replicas": replicas}})
        if replicas:
            wait_for("the operator is ready", lambda: [p for p in self.pods() if is_ready(p)])
        else:
            wait_for("the operator is gone", lambda: not self.pods())

    def kill(self):
        """kill -9 of its process; the kubelet starts the container again."""
        pod = self.pod()
        self.kill_pod(pod["metadata"]["name"])

    def kill_pod(self, name):
        # The image has no shell and its only process can't be killed from inside its own pid
        # namespace, so the pod goes without any grace.
        self.cluster.delete("Pod", self.namespace, name, gracePeriodSeconds=0)

    def logs(self):
        return "".join(self.cluster.logs(self.namespace, pod["metadata"]["name"])
                       for pod in self.pods())

    def metrics(self):
        """Metric name with labels -> value, from /metrics."""
        name = self.pod()["metadata"]["name"]
        text = self.cluster.request(
            "GET", f"/api/v1/namespaces/{self.namespace}/pods/{name}:8081/proxy/metrics")
        return {key: float(value) for key, value in re.findall(r"^([^#\s]\S*(?:\{.*\})?) (\S+)$",
                                                                text, re.M)}
