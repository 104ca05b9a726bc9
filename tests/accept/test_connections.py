"""500 clients at once through the pooled URL, and fresh poolers that answer when they say Ready."""

import json
import time

from harness.pooler import Pooler, decoded

BUDGET, REPLICAS, MAX_REPLICAS = 49, 3, 3
# What client_addr Postgres sees and with which backend, after some work, so that many of the clients
# need a server connection at the same time.
QUESTION = ("select host, pid from (select host(inet_client_addr()) as host, pg_backend_pid() as pid, "
            "pg_sleep(0.2)) as asked")


def clients_of(runner, cluster, pooler):
    """Clients that all pods together count in SHOW LISTS, without the console's own."""
    admin = decoded(cluster.get("Secret", pooler.namespace, pooler.workload + "-admin"))
    total = 0
    for pod in pooler.pods():
        program = runner.start(["psql", "-XAtq", "-F", "|", "-c", "SHOW LISTS"], {
            "PGHOST": pod["status"]["podIP"], "PGPORT": "6432", "PGDATABASE": "pgbouncer",
            "PGUSER": admin["username"], "PGPASSWORD": admin["password"]})
        program.result()
        lists = dict(e["text"].split("|")[:2] for e in program.events if "text" in e)
        total += int(lists["used_clients"])
    return total


def test_500_clients_at_once(cluster, make_pooler, runner):
    """SHOW LISTS says 500; everyone has an answer, through a pooler; the server never sees more
    than the budget, and sees that it is used."""
    pooler = make_pooler(replicas=REPLICAS, scaling={"maxReplicas": MAX_REPLICAS},
                         budget={"serverConnections": BUDGET}).wait_settled()
    pooler.wait_reached(runner)
    floor = (BUDGET - 1) // (MAX_REPLICAS + 1)
    data = pooler.secret()
    watch = runner.start(["pooler-load", "watch-server", "--url-env", "DATABASE_URL",
                          "--all-databases", "--user", pooler.database.user, "--bound", BUDGET,
                          "--interval-ms", "10", "--duration", "600", "--events"],
                         {"DATABASE_URL": pooler.database.postgres.admin_url()})
    watch.event("watching", "the watch on the server")
    load = runner.load("connect", "--clients", "500", "--stdin", "--hold", "600", "--repeat", "1",
                       "--query-timeout", "60", "--query", QUESTION, url=data["DATABASE_POOLED_URL"])
    load.event("settled", "500 clients have tried", timeout=120)
    listed = clients_of(runner, cluster, pooler)
    load.write("stop\n")
    clients = load.result()
    watch.signal("TERM")
    server = watch.result()
    addresses = {pod["status"]["podIP"]: pod["metadata"]["name"] for pod in pooler.pods()}
    print(f"\nSHOW LISTS: {listed} clients (each pod's console counts the operator's and this one's too); "
          f"connected at once {clients['peak_connected']}, answered {clients['answered']}, "
          f"failed {clients['failed']}, cut {clients['lost']}")
    print("by pooler:", {addresses.get(a, a): n for a, n in clients["by_pooler"].items()})
    print(f"server connections: most {server['max']} of budget {BUDGET} in {server['samples']} samples "
          f"every 10 ms (interval {server['interval']}), floor {floor} x {REPLICAS} replicas")
    assert listed >= 500 and clients["peak_connected"] == 500
    assert clients["answered"] == 500 and clients["failed"] == 0 and clients["lost"] == 0
    assert set(clients["by_pooler"]) <= set(addresses)
    assert server["max"] <= BUDGET and server["samples_over_bound"] == 0
    assert server["max"] >= 0.9 * REPLICAS * floor


# Waits for a connection string on standard input, so that nothing is between it and the clients.
READY_TO_GO = """
import json, os, sys
url = b""
while not url.endswith(b"\\n"):
    url += os.read(0, 1)
os.environ["URL"] = json.loads(url)
os.execvp("pooler-load", ["pooler-load", "reconnect", "--url-env", "URL", "--connections", "200",
                          "--concurrency", "20", "--quiet"])
"""


def test_ready_means_ready(cluster, namespace, make_pooler, runner, postgres):
    """kubectl wait returns; within 100 ms the first of 200 new connections; 200 of 200 answer."""
    rows = []
    for number in range(10):
        pooler = make_pooler(f"fresh-{number}", replicas=3)
        began = time.time()
        program = runner.start(["python3", "-c", READY_TO_GO])
        cluster.kubectl("wait", "-n", namespace, "--for=condition=Ready", f"plc/fresh-{number}",
                        "--timeout=120s", timeout=150)
        returned = time.time()
        data = decoded(cluster.get("Secret", namespace, pooler.workload))
        program.write(json.dumps(data["DATABASE_POOLED_URL"]) + "\n")
        result = program.result()
        rows.append((returned - began, result["started_t"] - returned, result["first_answer_ms"],
                     result["answered"], result["errors"]))
        print(f"\nfresh-{number}: Ready after {rows[-1][0]:.1f} s, first connection "
              f"{rows[-1][1] * 1000:.0f} ms later, first answer {rows[-1][2]:.0f} ms after that, "
              f"{rows[-1][3]} of 200 answered {rows[-1][4] or ''}")
        pooler.delete()
    assert all(row[3] == 200 for row in rows)
    # The clocks of the tests' machine and of the node are one clock in our own cluster.
    assert all(row[1] < 0.1 for row in rows), [f"{row[1]:.3f}" for row in rows]


def test_without_a_database_secret(cluster, namespace, operator):
    """It times out, and describe says what is missing."""
    Pooler(cluster, namespace, "lonely").create("lonely-db")
    done = cluster.kubectl("wait", "-n", namespace, "--for=condition=Ready", "plc/lonely",
                           "--timeout=10s", check=False)
    told = cluster.kubectl("describe", "-n", namespace, "plc/lonely").stdout
    print("\n" + done.stderr.strip())
    print("\n".join(line for line in told.splitlines() if "lonely-db" in line))
    assert done.returncode != 0 and "timed out" in done.stderr
    assert "SecretNotFound" in told and "lonely-db" in told
