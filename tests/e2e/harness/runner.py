"""Clients of the tests: programs in one long-lived pod of the test runner's image.

What a program needs to know goes through standard input, so that no connection string is ever an
argument of a process."""

import json
import queue
import subprocess
import threading
import time

from harness.cluster import is_ready
from harness.wait import wait_for

IMAGE = "localhost/test-runner:dev"

# Reads {"argv", "env"} from standard input, says its process id, becomes the program.
BECOME = """
import json, os
line = b""
while not line.endswith(b"\\n"):
    line += os.read(0, 1)
spec = json.loads(line)
os.environ.update(spec["env"])
os.write(1, (json.dumps({"pid": os.getpid()}) + "\\n").encode())
os.execvp(spec["argv"][0], spec["argv"])
"""

# Runs statements of one session, each in a transaction of its own, and prints the rows of the last.
SQL = """
import json, os, psycopg
with psycopg.connect(os.environ["URL"], autocommit=True, connect_timeout=10) as connection:
    rows = None
    for statement in json.loads(os.environ["STATEMENTS"]):
        # Without parameters the simple protocol is used, as CREATE DATABASE and SHOW want it.
        cursor = connection.execute(statement, prepare=False)
        rows = cursor.fetchall() if cursor.description else None
print(json.dumps({"rows": rows}, default=str))
"""


class Program:
    """A program that runs in the runner pod; its JSON lines arrive as they are printed."""

    def __init__(self, runner, argv, env):
        self.runner = runner
        self.argv = argv
        self.events = []
        self.stderr = []
        self._lines = queue.Queue()
        self._process = subprocess.Popen(
            runner.cluster.command("exec", "-i", "-n", runner.namespace, runner.pod, "--",
                                   "python3", "-c", BECOME),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self._process.stdin.write(json.dumps({"argv": argv, "env": env}) + "\n")
        self._process.stdin.flush()
        for stream, take in ((self._process.stdout, self._out), (self._process.stderr, self._err)):
            threading.Thread(target=self._read, args=(stream, take), daemon=True).start()
        self.pid = self.event(lambda e: "pid" in e, "its process id", timeout=30)["pid"]

    def _read(self, stream, take):
        for line in stream:
            take(line.rstrip("\n"))
        if take == self._out:
            self._lines.put(None)

    def _out(self, line):
        try:
            event = json.loads(line)
        except ValueError:
            event = {"event": "text", "text": line}
        if not isinstance(event, dict):
            event = {"event": "value", "value": event}
        event["seen"] = time.time()
        self.events.append(event)
        self._lines.put(event)

    def _err(self, line):
        self.stderr.append(line)

    def event(self, wanted, what, timeout=60):
        """The next event that is `wanted` (a name or a function); those before it are passed over."""
        match = wanted if callable(wanted) else lambda e: e.get("event") == wanted
        end = time.monotonic() + timeout
        while True:
            try:
                event = self._lines.get(timeout=max(0.0, end - time.monotonic()))
            except queue.Empty:
                raise AssertionError(f"not within {timeout} s: {what}; {self.told()}") from None
            assert event is not None, f"ended before {what}; {self.told()}"
            if match(event):
                return event

    def signal(self, name):
        self.runner.cluster.exec(self.runner.namespace, self.runner.pod, "kill", f"-{name}",
                                 str(self.pid))

    def write(self, text):
        self._process.stdin.write(text)
        self._process.stdin.flush()

    def result(self, timeout=120):
        """Waits for the end; the event `result`, or the last line as JSON, with the exit code."""
        end = time.monotonic() + timeout
        try:
            while self._lines.get(timeout=max(0.0, end - time.monotonic())) is not None:
                pass
        except queue.Empty:
            raise AssertionError(f"{self.argv[:2]} did not end within {timeout} s; {self.told()}") from None
        code = self._process.wait(30)
        results = [e for e in self.events if e.get("event") == "result"] or self.events[1:]
        assert results, f"no result, exit code {code}; {self.told()}"
        return {**results[-1], "exit_code": code}

    def told(self):
        return f"{self.argv[0]} said: {self.events[-3:]} {self.stderr[-10:]}"

    def abandon(self):
        if self._process.poll() is None:
            try:
                self.signal("KILL")
            except (AssertionError, subprocess.SubprocessError):
                pass
            self._process.kill()
            self._process.wait(10)


class Runner:
    def __init__(self, cluster, namespace, name="runner"):
        self.cluster = cluster
        self.namespace = namespace
        self.pod = name
        self._programs = []

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

    @property
    def address(self):
        return self.cluster.get("Pod", self.namespace, self.pod)["status"]["podIP"]

    def start(self, argv, env=None):
        program = Program(self, [str(a) for a in argv], env or {})
        self._programs.append(program)
        return program

    def run(self, argv, env=None, timeout=120):
        """Runs to the end; returns its last JSON line, with "exit_code"."""
        return self.start(argv, env).result(timeout)

    def load(self, command, *args, url, **urls):
        """Starts pooler-load. `url` is DATABASE_POOLED_URL for it, whatever it leads to."""
        env = {"DATABASE_POOLED_URL": url, **{name.upper(): value for name, value in urls.items()}}
        return self.start(["pooler-load", command, "--url-env", "DATABASE_POOLED_URL", "--events",
                           *args], env)

    def sql(self, url, *statements, timeout=60):
        """Rows of the last statement; raises AssertionError with the server's words."""
        program = self.start(["python3", "-c", SQL],
                             {"URL": url, "STATEMENTS": json.dumps(statements)})
        result = program.result(timeout)
        assert result["exit_code"] == 0, f"SQL failed: {program.stderr[-1:]}"
        return result["rows"]

    def abandon_programs(self):
        for program in self._programs:
            program.abandon()
        self._programs.clear()
