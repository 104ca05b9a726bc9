"""One long-lived process in a pod that runs programs and SQL for the tests: a request costs a line
through one open `kubectl exec`, not a kubectl and a Python of its own. Everything goes through
standard input, so that no connection string is ever an argument of a process."""

import itertools
import json
import queue
import subprocess
import threading
import time

# Runs in the pod. A line in: {"id", "do", ...}; lines out: {"id", ...}.
AGENT = r"""
import json, os, signal, subprocess, sys, threading
lock, running = threading.Lock(), {}

def tell(**line):
    text = json.dumps(line, default=str) + "\n"
    with lock:
        sys.stdout.write(text)
        sys.stdout.flush()

def sql(id, url, statements):
    try:
        import psycopg
        # autocommit and no parameters: the simple protocol, as CREATE DATABASE wants it.
        with psycopg.connect(url, autocommit=True, connect_timeout=10) as connection:
            rows = None
            for statement in statements:
                cursor = connection.execute(statement, prepare=False)
                rows = cursor.fetchall() if cursor.description else None
        tell(id=id, rows=rows)
    except Exception as error:
        tell(id=id, error=f"{type(error).__name__}: {error}".strip())

def relay(id, name, stream):
    for line in stream:
        tell(id=id, **{name: line.rstrip("\n")})

def program(id, argv, env):
    try:
        child = subprocess.Popen(argv, env={**os.environ, **env}, stdin=subprocess.PIPE, text=True,
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE, errors="replace")
    except OSError as error:
        tell(id=id, exit=127, error=str(error))
        return
    running[id] = child
    tell(id=id, pid=child.pid)
    readers = [threading.Thread(target=relay, args=(id, name, stream), daemon=True)
               for name, stream in (("out", child.stdout), ("err", child.stderr))]
    for reader in readers: reader.start()
    for reader in readers: reader.join()
    tell(id=id, exit=child.wait())
    del running[id]

def serve(line):
    request = json.loads(line)
    id, do = request.pop("id"), request.pop("do")
    if do in ("sql", "program"):
        threading.Thread(target=globals()[do], args=(id,), kwargs=request, daemon=True).start()
    elif do == "signal" and id in running:
        running[id].send_signal(getattr(signal, "SIG" + request["name"]))
    elif do == "write" and id in running:
        running[id].stdin.write(request["text"])
        running[id].stdin.flush()

tell(id=0, ready=True)
for line in sys.stdin:
    try:
        serve(line)
    except (OSError, ValueError):  # the program ended meanwhile
        pass
for child in list(running.values()):
    child.kill()
"""


class Agent:
    """Starts with the first request."""

    def __init__(self, cluster, namespace, pod):
        self.cluster, self.namespace, self.pod = cluster, namespace, pod
        self._ids = itertools.count(1)
        self._inboxes = {}
        self._lock = threading.Lock()
        self._process = None

    def _start(self):
        self._process = subprocess.Popen(
            self.cluster.command("exec", "-i", "-n", self.namespace, self.pod, "--", "python3", "-u",
                                 "-c", AGENT),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self._inboxes[0] = queue.Queue()
        threading.Thread(target=self._read, args=(self._process,), daemon=True).start()
        ready = self._inboxes[0].get(timeout=60)
        assert ready, f"no agent in {self.pod}: {self._process.stderr.read()}"

    def _read(self, process):
        for line in process.stdout:
            message = json.loads(line)
            message["seen"] = time.time()
            inbox = self._inboxes.get(message["id"])
            if inbox is not None:
                inbox.put(message)
        for inbox in list(self._inboxes.values()):
            inbox.put(None)

    def send(self, do, id=None, **fields):
        """Sends a request; returns its id and the queue of its answers (None: the agent is gone)."""
        with self._lock:
            if self._process is None:
                self._start()
            assert self._process.poll() is None, f"the agent in {self.pod} has ended"
            if id is None:
                id = next(self._ids)
                self._inboxes[id] = queue.Queue()
            self._process.stdin.write(json.dumps({"id": id, "do": do, **fields}) + "\n")
            self._process.stdin.flush()
        return id, self._inboxes[id]

    def forget(self, id):
        self._inboxes.pop(id, None)

    def sql(self, url, statements, timeout):
        id, inbox = self.send("sql", url=url, statements=statements)
        try:
            answer = inbox.get(timeout=timeout)
        except queue.Empty:
            raise AssertionError(f"SQL: no answer within {timeout} s") from None
        finally:
            self.forget(id)
        assert answer is not None, "SQL: the runner pod is gone"
        assert "error" not in answer, f"SQL failed: {answer['error']}"
        return answer["rows"]

    def stop(self):
        if self._process and self._process.poll() is None:
            self._process.stdin.close()
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.kill()


class Program:
    """A program that the agent runs; its JSON lines arrive as they are printed."""

    def __init__(self, agent, argv, env):
        self.agent = agent
        self.argv = argv
        self.events = []
        self.stderr = []
        self.exit_code = None
        self._lines = queue.Queue()
        self._id, self._inbox = agent.send("program", argv=argv, env=env)
        threading.Thread(target=self._read, daemon=True).start()
        self.pid = self.event(lambda e: "pid" in e, "its process id", timeout=60)["pid"]

    def _read(self):
        while True:
            message = self._inbox.get()
            if message is None or "exit" in message:
                self.exit_code = message["exit"] if message else None
                self.stderr += [message["error"]] if message and "error" in message else []
                break
            if "err" in message:
                self.stderr.append(message["err"])
                continue
            event = self._decoded(message)
            event["seen"] = message["seen"]
            self.events.append(event)
            self._lines.put(event)
        self.agent.forget(self._id)
        self._lines.put(None)

    @staticmethod
    def _decoded(message):
        if "out" not in message:
            return {"pid": message["pid"]}
        try:
            event = json.loads(message["out"])
        except ValueError:
            event = None
        return event if isinstance(event, dict) else {"event": "text", "text": message["out"]}

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
        self.agent.send("signal", self._id, name=name)

    def write(self, text):
        self.agent.send("write", self._id, text=text)

    def result(self, timeout=120):
        """Waits for the end; the event `result`, or the last line, with the exit code."""
        end = time.monotonic() + timeout
        try:
            while self._lines.get(timeout=max(0.0, end - time.monotonic())) is not None:
                pass
        except queue.Empty:
            raise AssertionError(f"{self.argv[:2]} did not end within {timeout} s; {self.told()}") from None
        results = [e for e in self.events if e.get("event") == "result"] or self.events[1:]
        return {**(results[-1] if results else {}), "exit_code": self.exit_code}

    def told(self):
        return f"{self.argv[:2]}, exit code {self.exit_code}, said: {self.events[-3:]} {self.stderr[-10:]}"

    def abandon(self):
        if self.exit_code is None and self._id in self.agent._inboxes:
            self.signal("KILL")
