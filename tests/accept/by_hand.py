#!/usr/bin/env python3
"""What was measured by hand before code depended on it: poolers without any operator.

    ./x cluster run -- /usr/bin/python3 tests/accept/by_hand.py [drain|backends|ondelete|ownership]...

Prints one line per figure. docs/adr/0001-what-was-measured-first.md has the results."""

import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))

from harness.cluster import cluster_of_environment, is_ready  # noqa: E402
from harness.node import Node  # noqa: E402
from harness.pooler import IMAGES  # noqa: E402
from harness.postgres import Postgres, url_of  # noqa: E402
from harness.runner import Runner  # noqa: E402
from harness.wait import wait_for  # noqa: E402

NAMESPACE = "by-hand"
HASH = "0123456789abcdef"


def show(*words):
    print(*words, flush=True)


def files(name, replicas, database, pool):
    """The Secret's files as design/engines.md has them."""
    rev = f"rev-{HASH}"
    peers = "\n".join(f"{i + 1} = host={name}-{i}.{name}-peers port=6432" for i in range(replicas))
    data = {
        f"{rev}.databases.ini": f"[databases]\n{database.name} = host='{database.postgres.host}' "
                                f"port=5432 user='{database.user}'\n[peers]\n{peers}\n",
        f"{rev}.pgbouncer.ini": "\n".join([
            "listen_addr = *", "listen_port = 6432", "unix_socket_dir =",
            "auth_type = scram-sha-256", f"auth_file = /etc/pgbouncer/{rev}.userlist.txt",
            "admin_users = adm", "pool_mode = transaction", "max_client_conn = 1000",
            f"default_pool_size = {pool}", f"max_db_connections = {pool}", "server_login_retry = 1",
            "server_tls_ca_file = /etc/ssl/certs/ca-certificates.crt", "log_connections = 0",
            "log_disconnections = 0", f"syslog_ident = {HASH}"]) + "\n",
        f"{rev}.userlist.txt": f'"{database.user}" "{database.password}"\n"adm" "adm"\n'}
    for i in range(replicas):
        data[f"{name}-{i}.ini"] = (f"%include /etc/pgbouncer/{rev}.databases.ini\n[pgbouncer]\n"
                                   f"peer_id = {i + 1}\n%include /etc/pgbouncer/{rev}.pgbouncer.ini\n")
    return data


class Hand:
    def __init__(self):
        self.cluster = cluster_of_environment()
        self.cluster.start()
        self.cluster.delete("Namespace", None, NAMESPACE)
        wait_for("the old namespace is gone",
                 lambda: self.cluster.get("Namespace", None, NAMESPACE) is None, 120)
        self.cluster.create({"kind": "Namespace", "metadata": {"name": NAMESPACE}})
        wait_for("a service account", lambda: self.cluster.get("ServiceAccount", NAMESPACE, "default"))
        self.runner = Runner(self.cluster, NAMESPACE)
        self.runner.create()
        self.node = Node(self.cluster, NAMESPACE).create()
        self.runner.wait_ready()
        self.postgres = Postgres(self.cluster, self.runner, NAMESPACE).create().wait_ready()
        self.database = self.postgres.database()

    def stateful_set(self, name, replicas, image, grace=40, label="one"):
        labels = {"app": name}
        return {
            "kind": "StatefulSet", "metadata": {"name": name, "namespace": NAMESPACE},
            "spec": {
                "replicas": replicas, "serviceName": f"{name}-peers",
                "podManagementPolicy": "Parallel", "updateStrategy": {"type": "OnDelete"},
                "selector": {"matchLabels": labels},
                "template": {
                    "metadata": {"labels": labels, "annotations": {"label": label}},
                    "spec": {
                        "terminationGracePeriodSeconds": grace, "enableServiceLinks": False,
                        "automountServiceAccountToken": False,
                        "containers": [{
                            "name": "pgbouncer", "image": image, "imagePullPolicy": "IfNotPresent",
                            "command": ["pgbouncer"], "args": ["/etc/pgbouncer/$(POD_NAME).ini"],
                            "env": [{"name": "POD_NAME",
                                     "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
                            "lifecycle": {"preStop": {"sleep": {"seconds": 3}}},
                            "readinessProbe": {"tcpSocket": {"port": 6432}, "periodSeconds": 1},
                            "securityContext": {"runAsUser": 65532, "runAsNonRoot": True,
                                                "readOnlyRootFilesystem": True,
                                                "allowPrivilegeEscalation": False,
                                                "capabilities": {"drop": ["ALL"]}},
                            "volumeMounts": [{"name": "files", "mountPath": "/etc/pgbouncer"}]}],
                        "volumes": [{"name": "files", "secret": {"secretName": name}}]}}}}

    def pooler(self, name, version, replicas=3, pool=30):
        labels = {"app": name}
        self.cluster.create({"kind": "Secret", "metadata": {"name": name, "namespace": NAMESPACE},
                             "stringData": files(name, replicas, self.database, pool)})
        for suffix, extra in (("", {}), ("-peers", {"clusterIP": "None",
                                                    "publishNotReadyAddresses": True})):
            self.cluster.create({
                "kind": "Service", "metadata": {"name": name + suffix, "namespace": NAMESPACE},
                "spec": {"selector": labels, "ports": [{"port": 6432}], **extra}})
        self.cluster.create(self.stateful_set(name, replicas, IMAGES[version]))
        self.wait_pods(name, replicas)
        return url_of(self.database.user, self.database.password, f"{name}.{NAMESPACE}.svc", 6432,
                      self.database.name)

    def pods(self, name):
        return sorted(self.cluster.list("Pod", NAMESPACE, f"app={name}"),
                      key=lambda pod: pod["metadata"]["name"])

    def wait_pods(self, name, replicas):
        return wait_for(f"{replicas} pods of {name}", lambda: (
            lambda pods: len(pods) == replicas and all(map(is_ready, pods)) and pods)(self.pods(name)))

    def remove(self, name):
        for kind, names in (("StatefulSet", [name]), ("Service", [name, name + "-peers"]),
                            ("Secret", [name])):
            for each in names:
                self.cluster.delete(kind, NAMESPACE, each)
        wait_for("its pods are gone", lambda: not self.pods(name))

    def console(self, pod, question):
        url = url_of("adm", "adm", pod["status"]["podIP"], 6432, "pgbouncer")
        program = self.runner.start(["psql", "-XAtq", "-F", "|", "-c", question],
                                    {"PGHOST": pod["status"]["podIP"], "PGPORT": "6432",
                                     "PGUSER": "adm", "PGPASSWORD": "adm", "PGDATABASE": "pgbouncer"})
        program.result()
        assert url
        return [e["text"].split("|") for e in program.events if "text" in e]


def drain(hand):
    """File order, marker, peer_id, cancels, and a drain with nobody's help."""
    for version in ("1.26.1", "1.24.1"):
        name = "drain-" + version.replace(".", "-")
        url = hand.pooler(name, version)
        for pod in hand.pods(name):
            config = {row[0]: row[1] for row in hand.console(pod, "SHOW CONFIG")}
            show(version, pod["metadata"]["name"], "peer_id", config["peer_id"], "marker",
                 config["syslog_ident"], "admin_users", config["admin_users"], "auth_type",
                 config["auth_type"], "pool_mode", config["pool_mode"])
        addresses = [pod["status"]["podIP"] for pod in hand.pods(name)]
        overrides = [word for address in addresses for word in ("--host-override", address)]
        cancel = hand.runner.load("cancel", "--queries", "27", "--interval-ms", "20", "--via", "pairs",
                                  *overrides, url=url).result()
        show(version, "cancels: sent", cancel["sent"], "ended", cancel["canceled"], "direct",
             cancel["direct"], "forwarded", cancel["forwarded"])
        for think in ("0.3", "0"):
            load = hand.runner.load(
                "transactions", "--clients", "60", "--duration", "12", "--think", think, "--sleep",
                "0.1", "--init", "--verify", "--admin-url-env", "DATABASE_URL", "--status-ms", "50",
                url=url, database_url=hand.database.url())
            victim = hand.pods(name)[2]
            address = victim["status"]["podIP"]
            load.event(lambda e: (e.get("by_pooler") or {}).get(address, {}).get("in_transaction", 0) > 9,
                       "10 clients in a transaction on the victim")
            began = time.time()
            hand.cluster.delete("Pod", NAMESPACE, victim["metadata"]["name"])
            wait_for("the pod is another one", lambda: all(
                pod["metadata"]["uid"] != victim["metadata"]["uid"] for pod in hand.pods(name)))
            gone = time.time() - began
            result = load.result()
            show(version, f"pod deleted, think {think}: gone after {gone:.1f} s, acknowledged",
                 result["acknowledged"], "rows", result["verify"]["rows"], "lost", result["lost"],
                 "boundary", result["boundary"], "failed connects",
                 result["errors"]["connect"], "victim", result["by_pooler"].get(address))
            hand.wait_pods(name, 3)
        hand.remove(name)


def backends(hand):
    """How long Postgres keeps the backends of a PgBouncer that got a signal."""
    for version in ("1.26.1", "1.24.1"):
        for interval in ("0", "1s"):
            hand.postgres.admin_sql(f"alter system set client_connection_check_interval = '{interval}'",
                                    "select pg_reload_conf()")
            for signal in ("INT", "KILL"):
                name = f"b-{version.replace('.', '-')}-{interval}-{signal.lower()}"
                url = hand.pooler(name, version, replicas=1)
                pod = hand.pods(name)[0]
                address = pod["status"]["podIP"]
                watch = hand.runner.start(["python3", "-u", "-c", WATCH], {
                    "URL": hand.postgres.admin_url(), "POOLED": url, "ADDRESS": address})
                watch.event(lambda e: e.get("idle") == 5 and e.get("active") == 5, "5 idle and 5 busy")
                sent = time.time()
                hand.node.signal(signal, pod)
                told = time.time() - sent
                end = watch.result(60)
                changes = [e for e in watch.events if "idle" in e]
                for what in ("idle", "active"):
                    gone = next((e for e in changes if e["t"] >= sent and e[what] == 0), None)
                    show(version, f"client_connection_check_interval={interval} SIG{signal}: {what} "
                         "backends gone", f"{gone['t'] - sent:.2f} s" if gone else "NEVER",
                         f"after the signal was asked for (sending took up to {told:.2f} s)")
                show(version, "  the clients' five statements:", end["statements"])
                hand.remove(name)
    hand.postgres.admin_sql("alter system reset client_connection_check_interval",
                            "select pg_reload_conf()")


# Through the pooler: ten transactions at once make ten backends; then five of them sleep for 12 s and
# five are idle. Prints {"t", "idle", "active"} at every change, at a look each 20 ms.
WATCH = """
import json, os, threading, time, psycopg
clients = [psycopg.connect(os.environ["POOLED"], autocommit=True) for _ in range(10)]
for c in clients: c.execute("begin")
for c in clients: c.execute("rollback")
statements = []
def work(c):
    try:
        c.execute("select pg_sleep(12)")
        statements.append("answered")
    except Exception as error:
        statements.append(str(error).strip().splitlines()[0])
threads = [threading.Thread(target=work, args=(c,)) for c in clients[:5]]
for t in threads: t.start()
end, last, seen = time.time() + 30, None, False
with psycopg.connect(os.environ["URL"], autocommit=True) as connection:
    while time.time() < end:
        now = connection.execute(
            "select count(*) filter (where state = 'idle'), count(*) filter (where state = 'active')"
            " from pg_stat_activity where client_addr = %s", (os.environ["ADDRESS"],)).fetchone()
        if now != last:
            print(json.dumps({"t": time.time(), "idle": now[0], "active": now[1]}))
        seen = seen or now == (5, 5)
        if seen and now == (0, 0):
            break
        last = now
        time.sleep(0.02)
for t in threads: t.join()
print(json.dumps({"event": "result", "statements": statements}))
"""


def ondelete(hand):
    """Which template does a pod get that is recreated, or born by scaling, under OnDelete?"""
    name = "ondelete"
    hand.pooler(name, "1.26.1", replicas=2)
    hand.cluster.patch("StatefulSet", NAMESPACE, name, {"spec": {"template": {
        "metadata": {"annotations": {"label": "two"}}}}})

    def state():
        body = hand.cluster.get("StatefulSet", NAMESPACE, name)
        status = body["status"]
        if status["observedGeneration"] != body["metadata"]["generation"]:
            return None
        return (status["currentRevision"], status["updateRevision"], {
            pod["metadata"]["name"]: (pod["metadata"]["labels"]["controller-revision-hash"],
                                      pod["metadata"]["annotations"]["label"])
            for pod in hand.pods(name)})

    show("template changed:", *wait_for("status", state))
    old = hand.pods(name)[1]["metadata"]["uid"]
    hand.cluster.delete("Pod", NAMESPACE, f"{name}-1")
    wait_for("the pod is another one", lambda: hand.wait_pods(name, 2)[1]["metadata"]["uid"] != old)
    show("pod 1 deleted:", *wait_for("status", state))
    hand.cluster.patch("StatefulSet", NAMESPACE, name, {"spec": {"replicas": 3}})
    # Its file is missing, so it will not run; only its template matters.
    wait_for("a third pod", lambda: len(hand.pods(name)) == 3)
    show("scaled to 3:", *wait_for("status", state))
    # A pod whose process ends is restarted in place, with its old template.
    hand.node.signal("KILL", hand.pods(name)[0])
    wait_for("a restart", lambda: hand.pods(name)[0]["status"]["containerStatuses"][0]["restartCount"])
    show("process of pod 0 killed:", *wait_for("status", state))
    hand.remove(name)


def ownership(hand):
    """POST, then server-side apply: who owns a key that a later apply leaves out?"""
    cluster = hand.cluster
    from harness.cluster import ApiError, Cluster

    def body(name, data, uid=None):
        meta = {"name": name, "namespace": NAMESPACE, **({"uid": uid} if uid else {})}
        return {"kind": "ConfigMap", "metadata": meta, "data": data}

    def owners(name):
        found = cluster.get("ConfigMap", NAMESPACE, name)
        return found.get("data"), [(m["manager"], m["operation"],
                                    sorted(m["fieldsV1"].get("f:data", {})))
                                   for m in found["metadata"].get("managedFields", [])]

    def post(name, data):
        return cluster.request("POST", Cluster.path("ConfigMap", NAMESPACE, fieldManager="one"),
                               Cluster._full(body(name, data)))["metadata"]

    post("posted", {"a": "1", "b": "1"})
    show("POST a, b:", *owners("posted"))
    cluster.apply(body("posted", {"a": "2"}), manager="one")
    show("apply a (same manager name):", *owners("posted"))
    cluster.apply(body("posted", {"a": "2", "c": "1"}), manager="one")
    cluster.apply(body("posted", {"a": "2"}), manager="one")
    show("apply a, c; then apply a:", *owners("posted"))
    # The entry of the POST taken for one of apply, as client-go's csaupgrade does it.
    meta = cluster.get("ConfigMap", NAMESPACE, "posted")["metadata"]
    fields = [{**m, "operation": "Apply"} for m in meta["managedFields"] if m["operation"] == "Update"]
    cluster.request("PATCH", Cluster.path("ConfigMap", NAMESPACE, "posted"), [
        {"op": "replace", "path": "/metadata/managedFields", "value": fields},
        {"op": "replace", "path": "/metadata/resourceVersion", "value": meta["resourceVersion"]}],
        "application/json-patch+json")
    cluster.apply(body("posted", {"a": "3"}), manager="one")
    show("managedFields rewritten to Apply, then apply a:", *owners("posted"))
    post("emptied", {"a": "1", "b": "1"})
    cluster.patch("ConfigMap", NAMESPACE, "emptied", {"metadata": {"managedFields": [{}]}})
    show("POST a, b; managedFields emptied:", *owners("emptied"))
    cluster.apply(body("emptied", {"a": "1", "b": "1"}), manager="one")
    cluster.apply(body("emptied", {"a": "1"}), manager="one")
    show("apply a, b; then apply a:", *owners("emptied"))
    # POST with managedFields that already say Apply.
    declared = body("declared", {"a": "1", "b": "1"})
    declared["metadata"]["managedFields"] = [{
        "manager": "one", "operation": "Apply", "apiVersion": "v1", "fieldsType": "FieldsV1",
        "fieldsV1": {"f:data": {"f:a": {}, "f:b": {}}}}]
    try:
        cluster.request("POST", Cluster.path("ConfigMap", NAMESPACE, fieldManager="one"),
                        Cluster._full(declared))
        show("POST a, b with managedFields:", *owners("declared"))
        cluster.apply(body("declared", {"a": "1"}), manager="one")
        show("then apply a:", *owners("declared"))
    except ApiError as error:
        show("POST with managedFields:", error.status, error.text)
    # An apply that carries a uid: of the object, of none, of another one.
    uid = post("uids", {"a": "1"})["uid"]
    cluster.apply(body("uids", {"a": "2"}, uid), manager="one")
    show("apply with the object's uid: fine")
    for words, name, wrong in (("of another object", "uids", "0" * 8 + uid[8:]),
                               ("of an object that is gone", "nowhere", uid)):
        try:
            cluster.apply(body(name, {"a": "2"}, wrong), manager="one")
            show(f"apply with the uid {words}: TAKEN")
        except ApiError as error:
            show(f"apply with the uid {words}:", error.status, error.text)


def main():
    parts = {"drain": drain, "backends": backends, "ondelete": ondelete, "ownership": ownership}
    hand = Hand()
    try:
        for name in sys.argv[1:] or parts:
            show("---", name)
            parts[name](hand)
    finally:
        hand.runner.abandon_programs()
        hand.cluster.delete("Namespace", None, NAMESPACE)
        hand.cluster.stop()


if __name__ == "__main__":
    main()
