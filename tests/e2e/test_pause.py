"""spec.pgbouncer.paused: clients wait and none is cut, on replicas that start later, too; the database
is switched meanwhile."""

from harness.pooler import database_secret
from harness.wait import stays, wait_for


def ask(runner, url):
    """A program that asks one question by `url`, and waits for the answer."""
    return runner.start(["sh", "-c", "exec psql -XAtq -c 'select 42' -d \"$URL\""], {"URL": url})


def answer(program):
    result = program.result(60)
    assert result["exit_code"] == 0, program.told()
    return result["text"]


def test_clients_wait_and_are_served_after(cluster, make_pooler, runner):
    pooler = make_pooler(replicas=2).wait_settled()
    before, url = pooler.pod_uids(), pooler.secret()["DATABASE_POOLED_URL"]
    pooler.patch(pgbouncer={"paused": True})
    pooler.wait_condition("PoolerAvailable", "False", "Paused")
    pooler.wait_condition("Ready", "False", "Paused")
    held = runner.sql(pooler.database.url(), "select count(*) from pg_stat_activity where "
                      "usename = current_user and pid <> pg_backend_pid()")
    assert held[0][0] <= 1, "the operator's own login at most"
    clients = [ask(runner, url) for _ in range(6)]
    # Longer than query_wait_timeout, which would cut them.
    stays("they wait", lambda: all(client.exit_code is None for client in clients), 33, 1)

    pooler.patch(replicas=3)
    wait_for("one that starts later is paused as well", lambda: (
        pooler.status()["readyReplicas"] == 3
        and pooler.condition("PoolerAvailable")["reason"] == "Paused"))
    pooler.patch(pgbouncer={"paused": False})
    assert [answer(client) for client in clients] == ["42"] * 6
    pooler.wait_settled(3)
    assert before.items() <= pooler.pod_uids().items()


def test_a_transaction_ends_before_it_is_paused(cluster, make_pooler, runner):
    pooler = make_pooler(replicas=1).wait_settled()
    slow = runner.start(["sh", "-c", "exec psql -XAtq -d \"$URL\" -c 'begin' -c 'select pg_sleep(8)' "
                         "-c 'commit' -c 'select 42'"],
                        {"URL": pooler.secret()["DATABASE_POOLED_URL"]})
    wait_for("a transaction is open", lambda: runner.sql(
        pooler.database.url(), "select count(*) from pg_stat_activity where query like '%pg_sleep(8)%' "
        "and pid <> pg_backend_pid()")[0][0])
    pooler.patch(pgbouncer={"paused": True})
    told = pooler.wait_condition("PoolerAvailable", "False", "Progressing")
    assert "pausing: 0/1" in told["message"]
    pooler.wait_condition("PoolerAvailable", "False", "Paused")
    pooler.patch(pgbouncer={"paused": False})
    assert answer(slow) == "42"


def test_a_switch_of_the_database_while_paused(cluster, make_pooler, runner, postgres):
    pooler = make_pooler(replicas=2).wait_settled()
    before, url = pooler.pod_uids(), pooler.secret()["DATABASE_POOLED_URL"]
    pooler.patch(pgbouncer={"paused": True})
    pooler.wait_condition("PoolerAvailable", "False", "Paused")
    database_secret(cluster, pooler.namespace, "orders-db",
                    {"uri": pooler.database.url(host=postgres.address)})
    client = ask(runner, url)
    wait_for("the new way is loaded while it is paused", lambda: (
        postgres.address in pooler.status()["endpoints"]["direct"]
        and pooler.condition("ConfigurationLoaded")["status"] == "True"))
    assert client.exit_code is None
    pooler.patch(pgbouncer={"paused": False})
    assert answer(client) == "42"
    pooler.wait_settled()
    assert postgres.address in pooler.secret()["DATABASE_URL"]
    assert pooler.pod_uids() == before
