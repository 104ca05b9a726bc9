"""The cluster: kubectl as a program, and the API server through one `kubectl proxy`, so that a look
at an object costs a request and not a process."""

import http.client
import json
import os
import re
import subprocess
import threading
import urllib.parse

FIELD_MANAGER = "e2e"

# kind -> (group and version, plural)
KINDS = {
    "Pod": ("v1", "pods"),
    "Service": ("v1", "services"),
    "Secret": ("v1", "secrets"),
    "ConfigMap": ("v1", "configmaps"),
    "Namespace": ("v1", "namespaces"),
    "ServiceAccount": ("v1", "serviceaccounts"),
    "Event": ("events.k8s.io/v1", "events"),
    "Deployment": ("apps/v1", "deployments"),
    "StatefulSet": ("apps/v1", "statefulsets"),
    "ReplicaSet": ("apps/v1", "replicasets"),
    "Job": ("batch/v1", "jobs"),
    "PodDisruptionBudget": ("policy/v1", "poddisruptionbudgets"),
    "NetworkPolicy": ("networking.k8s.io/v1", "networkpolicies"),
    "EndpointSlice": ("discovery.k8s.io/v1", "endpointslices"),
    "CustomResourceDefinition": ("apiextensions.k8s.io/v1", "customresourcedefinitions"),
    "PoolerConfig": ("pooler.dev/v1alpha1", "poolerconfigs"),
}
CLUSTER_WIDE = {"Namespace", "CustomResourceDefinition"}


class ApiError(Exception):
    """An answer of the API server that is no success. `text` is its message, `causes` the fields."""

    def __init__(self, status, body):
        self.status = status
        self.body = body
        self.text = body.get("message", "") if isinstance(body, dict) else str(body)
        details = (body.get("details") or {}) if isinstance(body, dict) else {}
        self.causes = details.get("causes") or []
        super().__init__(f"{status}: {self.text}")


class Cluster:
    def __init__(self, context=None):
        self.context = context
        self._proxy = None
        self._local = threading.local()

    # --- kubectl ---------------------------------------------------------------------------

    def command(self, *args):
        return ["kubectl"] + ([f"--context={self.context}"] if self.context else []) + list(args)

    def kubectl(self, *args, stdin=None, timeout=120, check=True):
        """Runs kubectl and returns its CompletedProcess, text mode."""
        done = subprocess.run(self.command(*args), input=stdin, capture_output=True, text=True,
                              timeout=timeout)
        if check and done.returncode != 0:
            raise AssertionError(f"kubectl {' '.join(args)}: exit {done.returncode}\n{done.stderr}")
        return done

    # --- the API ---------------------------------------------------------------------------

    def start(self):
        self._proxy = subprocess.Popen(
            self.command("proxy", "--port=0", "--keepalive=30s", "--append-server-path"),
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        line = self._proxy.stdout.readline()
        found = re.search(r"127\.0\.0\.1:(\d+)", line)
        assert found, f"kubectl proxy did not start: {line}{self._proxy.stdout.read()}"
        self._port = int(found.group(1))

    def stop(self):
        if self._proxy:
            self._proxy.terminate()
            self._proxy.wait(10)

    def request(self, method, path, body=None, content_type="application/json", timeout=60):
        """One request. Returns the decoded body; raises ApiError for anything but a success."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": content_type, "Accept": "application/json"}
        for attempt in (1, 2):
            connection = getattr(self._local, "connection", None)
            if connection is None:
                connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=timeout)
                self._local.connection = connection
            try:
                connection.request(method, path, data, headers)
                response = connection.getresponse()
                text = response.read()
                break
            except (http.client.HTTPException, OSError):
                connection.close()
                self._local.connection = None
                # A connection that was kept alive may have been closed; only reads are repeated.
                if attempt == 2 or method != "GET":
                    raise
        try:
            answer = json.loads(text) if text else {}
        except ValueError:
            answer = text.decode(errors="replace")
        if response.status >= 300:
            raise ApiError(response.status, answer)
        return answer

    @staticmethod
    def path(kind, namespace=None, name=None, subresource=None, **query):
        version, plural = KINDS[kind]
        path = f"/api/{version}" if "/" not in version else f"/apis/{version}"
        if namespace and kind not in CLUSTER_WIDE:
            path += f"/namespaces/{namespace}"
        path += f"/{plural}"
        if name:
            path += f"/{name}"
        if subresource:
            path += f"/{subresource}"
        query = {key: value for key, value in query.items() if value is not None}
        return path + ("?" + urllib.parse.urlencode(query) if query else "")

    def get(self, kind, namespace, name):
        """The object, or None where there is none."""
        try:
            return self.request("GET", self.path(kind, namespace, name))
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    def list(self, kind, namespace=None, selector=None):
        return self.request("GET", self.path(kind, namespace, labelSelector=selector))["items"]

    def create(self, body, dry_run=False):
        """POST; unknown fields are refused, as kubectl has it."""
        return self.request("POST", self.path(
            body["kind"], body["metadata"].get("namespace"), fieldManager=FIELD_MANAGER,
            fieldValidation="Strict", dryRun="All" if dry_run else None), self._full(body))

    def apply(self, body, manager=FIELD_MANAGER, force=True):
        """Server-side apply."""
        meta = body["metadata"]
        return self.request("PATCH", self.path(
            body["kind"], meta.get("namespace"), meta["name"], fieldManager=manager,
            fieldValidation="Strict", force=str(force).lower()), self._full(body),
            "application/apply-patch+yaml")

    def patch(self, kind, namespace, name, body, subresource=None):
        """JSON merge patch: null removes a field."""
        return self.request("PATCH", self.path(
            kind, namespace, name, subresource, fieldManager=FIELD_MANAGER,
            fieldValidation="Strict"), body, "application/merge-patch+json")

    def delete(self, kind, namespace, name, **options):
        try:
            return self.request("DELETE", self.path(kind, namespace, name), options or None)
        except ApiError as error:
            if error.status != 404:
                raise

    def evict(self, namespace, pod):
        """The Eviction API: asks the PodDisruptionBudget (429 when it says no)."""
        return self.request("POST", self.path("Pod", namespace, pod, "eviction"), {
            "apiVersion": "policy/v1", "kind": "Eviction",
            "metadata": {"name": pod, "namespace": namespace}})

    @staticmethod
    def _full(body):
        return {"apiVersion": KINDS[body["kind"]][0], **body}

    def logs(self, namespace, pod, previous=False):
        done = self.kubectl("logs", "-n", namespace, pod, "--timestamps",
                            *(["--previous"] if previous else []), check=False)
        return done.stdout if done.returncode == 0 else ""

    def exec(self, namespace, pod, *argv, stdin=None, timeout=60):
        return self.kubectl("exec", "-i", "-n", namespace, pod, "--", *argv, stdin=stdin,
                            timeout=timeout)


def is_ready(pod):
    return condition(pod, "Ready") == "True" and "deletionTimestamp" not in pod["metadata"]


def condition(body, kind):
    """Status of a condition, or None."""
    for item in (body.get("status") or {}).get("conditions") or []:
        if item["type"] == kind:
            return item["status"]
    return None


def cluster_of_environment():
    return Cluster(os.environ.get("POOLER_CONTEXT") or None)
