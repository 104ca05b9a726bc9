"""Clients of the tests: programs in one long-lived pod of the test runner's image."""

from harness.agent import Agent, Program
from harness.cluster import is_ready
from harness.wait import wait_for

IMAGE = "localhost/test-runner:dev"


class Runner:
    def __init__(self, cluster, namespace, name="runner"):
        self.cluster = cluster
        self.namespace = namespace
        self.pod = name
        self.agent = Agent(cluster, namespace, name)
        self.programs = []

    def create(self):
        self.cluster.create({
            "kind": "Pod",
            "metadata": {"name": self.pod, "namespace": self.namespace, "labels": {"app": "runner"}},
            "spec": {
                "enableServiceLinks": False,
                "terminationGracePeriodSeconds": 1,
                "containers": [{
                    "name": "runner", "image": IMAGE, "imagePullPolicy": "IfNotPresent",
                    "command": ["sleep", "infinity"],
                    "securityContext": {"runAsUser": 65532, "runAsNonRoot": True}}]}})

    def wait_ready(self):
        wait_for("the runner pod is ready", lambda: is_ready(
            self.cluster.get("Pod", self.namespace, self.pod) or {"metadata": {}}))
        return self

    def stop(self):
        self.abandon_programs()
        self.agent.stop()

    @property
    def address(self):
        return self.cluster.get("Pod", self.namespace, self.pod)["status"]["podIP"]

    def start(self, argv, env=None):
        program = Program(self.agent, [str(a) for a in argv], env or {})
        self.programs.append(program)
        return program

    def run(self, argv, env=None, timeout=120):
        """Runs to the end; returns its result, see Program.result."""
        return self.start(argv, env).result(timeout)

    def load(self, command, *args, url, **urls):
        """Starts pooler-load. `url` is DATABASE_POOLED_URL for it, whatever it leads to."""
        env = {"DATABASE_POOLED_URL": url, **{name.upper(): value for name, value in urls.items()}}
        return self.start(["pooler-load", command, "--url-env", "DATABASE_POOLED_URL", "--events",
                           *args], env)

    def sql(self, url, *statements, timeout=60):
        """Rows of the last statement; raises AssertionError with the server's words."""
        return self.agent.sql(url, statements, timeout)

    def abandon_programs(self):
        for program in self.programs:
            program.abandon()
        self.programs.clear()
