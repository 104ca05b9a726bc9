"""Signals to processes of other pods, which no kubectl command can send: from a privileged pod that
sees the node's processes. Each process is found by its container's id, never by its name."""

from harness.agent import Agent, Program
from harness.cluster import is_ready
from harness.runner import IMAGE
from harness.wait import wait_for

FIND = """
import glob, os, signal, sys
name, wanted = sys.argv[1], sys.argv[2]
sent = []
for path in glob.glob("/proc/[0-9]*/cgroup"):
    pid = int(path.split("/")[2])
    try:
        if wanted in open(path).read():
            os.kill(pid, getattr(signal, "SIG" + name))
            sent.append(pid)
    except (OSError, ProcessLookupError):
        pass
print(len(sent))
"""


class Node:
    def __init__(self, cluster, namespace, name="node-access"):
        self.cluster = cluster
        self.namespace = namespace
        self.pod = name
        self.agent = Agent(cluster, namespace, name)

    def start(self, argv):
        return Program(self.agent, argv, {})

    def create(self):
        self.cluster.create({
            "kind": "Pod", "metadata": {"name": self.pod, "namespace": self.namespace},
            "spec": {
                "hostPID": True, "terminationGracePeriodSeconds": 1, "enableServiceLinks": False,
                "containers": [{
                    "name": "node-access", "image": IMAGE, "imagePullPolicy": "IfNotPresent",
                    "command": ["sleep", "infinity"],
                    "securityContext": {"privileged": True, "runAsUser": 0}}]}})
        wait_for("the pod with access to the node is ready", lambda: is_ready(
            self.cluster.get("Pod", self.namespace, self.pod) or {"metadata": {}}))
        return self

    def signal(self, name, pod):
        """Sends SIG<name> to every process of every container of `pod`."""
        for status in pod["status"]["containerStatuses"]:
            container = status["containerID"].split("://")[1]
            done = self.start(["python3", "-c", FIND, name, container]).result()
            assert int(done["text"]) > 0, f"no process of {pod['metadata']['name']} was found"
