"""Load whose losses are counted, and what happened to it at the moment of a signal."""

import datetime
import re
import subprocess
import threading
import time

from harness.cluster import ApiError, is_ready
from harness.wait import wait_for


def unix_time(text):
    """RFC 3339 with nanoseconds, as kubectl logs --timestamps writes it."""
    whole, fraction = re.match(r"(.*?)(\.\d+)?Z$", text).groups()
    seconds = datetime.datetime.fromisoformat(whole).replace(tzinfo=datetime.timezone.utc).timestamp()
    return seconds + float(fraction or 0)


def places(pooler):
    """Arguments of the load tool: its clients begin at the pods, in equal parts."""
    return [word for pod in pooler.pods() for word in ("--host-override", pod["status"]["podIP"])]


def cancel(runner, pooler, via, database_url=None):
    """27 queries, and 27 cancels 20 ms apart over new connections: what became of them.

    PgBouncer itself may let one wait: its loop connects for waiting cancels in the pools of databases
    only, so a cancel that comes to a pod while the pod is just connecting to the same peer for another
    one waits for the next (measured without the second try: 2 of 4320). The second try is late enough
    that a node which is busy for some seconds is not taken for that.
    """
    data = pooler.secret()
    return runner.load(
        "cancel", "--queries", "27", "--interval-ms", "20", "--again-ms", "6000", "--via", via,
        "--control-url-env", "DATABASE_URL", *places(pooler), url=data["DATABASE_POOLED_URL"],
        database_url=database_url or data["DATABASE_URL"]).result()


class FollowedLog:
    """The log of a pod that is about to go: read as it is written."""

    def __init__(self, cluster, pod):
        meta = pod["metadata"]
        self.name = meta["name"]
        self.address = pod["status"]["podIP"]
        self.lines = []
        self._cluster, self._namespace, self._uid = cluster, meta["namespace"], meta["uid"]
        self._process = None
        self._closed = False
        threading.Thread(target=self._follow, daemon=True).start()
        # PgBouncer says something when it starts.
        wait_for(f"the log of pod {self.name} is followed", lambda: self.lines, 60)

    def _follow(self):
        """On a busy machine kubectl may not get through, or be cut: begun again while the pod lives."""
        while self._exists() and not self._closed:
            self._process = subprocess.Popen(
                self._cluster.command("logs", "-f", "--timestamps", "--tail=20", "-n",
                                      self._namespace, self.name),
                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
            for line in self._process.stdout:
                self.lines.append(line.rstrip("\n"))
            if self._process.wait() == 0:
                return

    def _exists(self):
        try:
            pod = self._cluster.get("Pod", self._namespace, self.name)
        except (ApiError, OSError):
            return True
        return pod is not None and pod["metadata"]["uid"] == self._uid

    def time_of(self, text):
        """Unix time of the first line that holds `text`, or None."""
        return next((unix_time(line.split(" ", 1)[0]) for line in self.lines if text in line), None)

    def close(self):
        self._closed = True
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait(10)


class Load:
    """Transactions of numbered rows through the pooler, and the logs of its pods."""

    # 40 clients for each of three pods, three quarters of them in a transaction on an idle machine.
    def __init__(self, runner, pooler, clients=120, think=0.1, sleep=0.3, duration=300, verify=True,
                 extra=()):
        self.cluster = runner.cluster
        self.pooler = pooler
        data = pooler.secret()
        # They come back by the Service, like everybody.
        self.program = runner.load(
            "transactions", "--clients", clients, "--duration", duration, "--think", think, "--sleep",
            sleep, "--init", *(["--verify"] if verify else []), "--admin-url-env", "DATABASE_URL",
            "--status-ms", "20", *places(pooler), *extra,
            url=data["DATABASE_POOLED_URL"], database_url=data["DATABASE_URL"])
        self.logs = {}
        for pod in pooler.pods():
            self.follow(pod)

    def follow(self, pod):
        self.logs.setdefault(pod["metadata"]["uid"], FollowedLog(self.cluster, pod))

    def statuses(self):
        return [event for event in self.program.events if event.get("event") == "status"]

    def in_transaction(self, address, at=None):
        """Clients in a transaction on the pod with that address, at a time or now."""
        seen = [s for s in self.statuses() if at is None or s["t"] <= at]
        return (seen[-1]["by_pooler"].get(address) or {}).get("in_transaction", 0) if seen else 0

    def wait_busy(self, least=20):
        """Until every pod has that many clients in the middle of a transaction."""
        def look():
            counts = {pod["status"]["podIP"]: self.in_transaction(pod["status"]["podIP"])
                      for pod in self.pooler.pods()}
            assert all(count >= least for count in counts.values()), counts
            return True
        wait_for(f"{least} clients in a transaction on every pod", look, 60)

    def acknowledged(self):
        seen = self.statuses()
        return seen[-1]["acknowledged"] if seen else 0

    def wait_more(self, transactions=200):
        """Until so many more transactions were committed: the load goes on after what was done."""
        before = self.acknowledged()
        wait_for(f"{transactions} more transactions",
                 lambda: self.acknowledged() >= before + transactions, 60)

    def end(self):
        self.program.signal("TERM")
        self.result = self.program.result(120)
        for log in self.logs.values():
            log.close()
        return self.result

    def signalled(self):
        """Pods that got SIGINT: name -> how many clients were in a transaction on it then."""
        found = {}
        for log in self.logs.values():
            at = log.time_of("got SIGINT")
            if at is not None:
                found[log.name] = found.get(log.name, []) + [self.in_transaction(log.address, at)]
        return found

    def check_nothing_lost(self, least=20, victims=1):
        """What "loses no transaction" means (the figures are printed)."""
        result, verified = self.result, self.result["verify"]
        signalled = self.signalled()
        print(f"in a transaction when signalled: {signalled}; acknowledged {result['acknowledged']}, "
              f"rows {verified['rows']}, lost {result['lost']}, cut at a boundary {result['boundary']}, "
              f"failed connects {result['errors']['connect']}")
        counts = [count for each in signalled.values() for count in each]
        assert len(counts) >= victims, f"{victims} pods should have been signalled: {signalled}"
        assert min(counts) >= least, signalled
        assert result["lost"] == 0, result["errors"]
        assert result["aborted"] == 0, result["errors"]
        assert result["unfinished"] == 0, result
        assert verified["ok"], verified
        assert verified["rows"] == result["acknowledged"] > 0, verified

    def check_served(self, victims=1):
        """Goes on for a while, then ends: nothing was lost, and nobody was refused."""
        self.wait_more()
        result = self.end()
        self.check_nothing_lost(victims=victims)
        assert result["connects"]["refused"] == 0, result["connects"]

    def wait_replaced(self, before, timeout=120):
        """Until each pod is ready and another than in `before` (name -> uid), one at a time."""
        away = set()

        def replaced():
            pods = [pod for pod in self.pooler.pods() if is_ready(pod)]
            away.add(len(before) - len(pods))
            for pod in pods:
                self.follow(pod)
            uids = {pod["metadata"]["uid"] for pod in pods}
            return len(uids) == len(before) and not uids & set(before.values())
        wait_for(f"{len(before)} other pods", replaced, timeout)
        assert max(away) == 1, f"pods away at once: {away}"


def wait_gone(cluster, pod, timeout=90):
    """Until that very pod exists no more."""
    meta = pod["metadata"]

    def look():
        now = cluster.get("Pod", meta["namespace"], meta["name"])
        return now is None or now["metadata"]["uid"] != meta["uid"]
    began = time.monotonic()
    wait_for(f"pod {meta['name']} is gone", look, timeout)
    return time.monotonic() - began
