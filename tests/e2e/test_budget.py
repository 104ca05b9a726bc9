"""Never more server connections than the budget, over all replicas, at any instant."""

import pytest

from harness.wait import wait_for


@pytest.fixture
def watch(runner):
    def start(database, bound):
        program = runner.start(
            ["pooler-load", "watch-server", "--url-env", "DATABASE_URL", "--all-databases", "--user",
             database.user, "--bound", bound, "--interval-ms", "10", "--duration", "300", "--events"],
            {"DATABASE_URL": database.postgres.admin_url()})
        program.event("watching", "the watch on the server")
        return program

    def end(program):
        program.signal("TERM")
        return program.result()
    start.end = end
    return start


def test_500_clients(make_pooler, runner, watch):
    """Replicas 3, 500 clients at once that all work, one roll-out in the middle."""
    budget = 49
    pooler = make_pooler(replicas=3, budget={"serverConnections": budget}).wait_settled()
    pooler.wait_reached(runner)
    floor = (budget - 1) // 4
    server = watch(pooler.database, budget)
    load = runner.load("transactions", "--clients", "500", "--duration", "300", "--sleep", "0.05",
                       "--init", "--verify", "--admin-url-env", "DATABASE_URL", "--query-timeout", "60",
                       url=pooler.secret()["DATABASE_POOLED_URL"],
                       database_url=pooler.secret()["DATABASE_URL"])
    load.event(lambda e: e.get("connected", 0) >= 500 and e.get("acknowledged", 0) > 500,
               "500 clients connected and at work", 60)
    before = pooler.pod_uids()
    pooler.roll_out()
    wait_for("three other pods", lambda: not set(pooler.pod_uids().values()) & set(before.values()), 180)
    pooler.wait_settled(timeout=180)
    load.signal("TERM")
    result = load.result()
    seen = watch.end(server)
    print(f"budget {budget}, floor {floor}, most connections {seen['max']} in {seen['samples']} samples, "
          f"acknowledged {result['acknowledged']}, lost {result['lost']}")
    assert seen["max"] <= budget and seen["samples_over_bound"] == 0
    assert seen["max"] >= 0.9 * 3 * floor, "the budget was not used"
    assert result["lost"] == 0 and result["verify"]["ok"], result
    assert result["verify"]["rows"] == result["acknowledged"]


def test_derived_from_the_server(make_pooler, own_postgres):
    """max_connections, less what is reserved, 5 for people, and directReservePercent."""
    postgres = own_postgres(max_connections=100)
    pooler = make_pooler(db=postgres.database(), budget={"serverConnections": None}).wait_ready()
    effective = pooler.status()["effective"]
    # floor((100 - 3 - 5) * 0.8)
    assert (effective["budget"], effective["budgetSource"]) == (73, "Server")
    pooler.patch(budget={"directReservePercent": 50})
    wait_for("the other share", lambda: pooler.status()["effective"]["budget"] == 46)
    pooler.wait_settled()
    pooler.patch(budget={"serverConnections": 30})
    wait_for("the given one", lambda: (
        pooler.status()["effective"]["budget"], pooler.status()["effective"]["budgetSource"]
    ) == (30, "Spec"))
    pooler.wait_settled()


def test_limit_of_the_role(make_pooler, own_postgres):
    """A role or a database with a CONNECTION LIMIT of its own gets no more than that."""
    postgres = own_postgres(max_connections=100)
    database = postgres.database()
    postgres.admin_sql(f"alter role {database.user} connection limit 25")
    pooler = make_pooler(db=database, budget={"serverConnections": None}).wait_ready()
    assert pooler.status()["effective"]["budget"] <= 25


def test_two_share_one_server(cluster, make_pooler, own_postgres, runner, watch):
    """Equal parts, whoever came first; under load both together stay within the server's share."""
    postgres = own_postgres(max_connections=100)
    database = postgres.database()
    spec = {"budget": {"serverConnections": None}, "replicas": 2, "scaling": {"maxReplicas": 2}}
    one = make_pooler("one", db=database, **spec).wait_ready()
    assert one.status()["effective"]["budget"] == 73
    server = watch(database, 73)
    urls = [one.secret()["DATABASE_POOLED_URL"]]
    loads = [runner.load("transactions", "--clients", "150", "--duration", "300", "--sleep", "0.05",
                         "--init", "--admin-url-env", "DATABASE_URL", url=urls[0],
                         database_url=database.url())]
    loads[0].event(lambda e: e.get("connected", 0) >= 150, "150 clients connected")
    # By another name of the server, so that only what it says of itself can tell.
    two = make_pooler("two", db=database, secret={"uri": database.url(host=postgres.address)}, **spec)
    two.wait_settled(timeout=180)
    one.wait_settled(timeout=180)
    loads.append(runner.load("transactions", "--clients", "150", "--duration", "300", "--sleep", "0.05",
                             url=two.secret()["DATABASE_POOLED_URL"]))
    loads[1].event(lambda e: e.get("acknowledged", 0) > 500, "both at work")
    budgets = [p.status()["effective"]["budget"] for p in (one, two)]
    assert budgets in ([36, 36], [37, 36], [36, 37]), budgets
    for load in loads:
        load.signal("TERM")
        assert load.result()["lost"] == 0
    seen = watch.end(server)
    print(f"two poolers, budget 73 together, most connections {seen['max']}")
    assert seen["max"] <= 73
    two.delete()
    two.wait_deleted()
    wait_for("all of it for the one that is left",
             lambda: one.status()["effective"]["budget"] == 73, 60)
    one.wait_settled(timeout=120)


def test_too_small_for_the_server(make_pooler, own_postgres):
    """The server has not enough: told with what to change, and mended by a given budget."""
    postgres = own_postgres(max_connections=12)
    pooler = make_pooler(db=postgres.database(), budget={"serverConnections": None})
    found = pooler.wait_condition("ConfigurationValid", "False", "BudgetTooSmall")
    assert "maxReplicas" in found["message"], found
    pooler.patch(scaling={"maxReplicas": 1}, replicas=1)
    pooler.wait_ready()


def test_a_neighbour_that_never_answers(make_pooler, own_postgres, runner):
    """A PoolerConfig whose database can't be reached may be one of the same server or not: nobody
    knows, and nobody waits for it without end."""
    lost = make_pooler("lost", secret={"uri": "postgresql://u:p@192.0.2.1/app"},
                       budget={"serverConnections": None})
    lost.wait_condition("DatabaseReachable", "False")
    postgres = own_postgres(max_connections=60)
    pooler = make_pooler(db=postgres.database(), budget={"serverConnections": None}).wait_ready()
    assert runner.sql(pooler.secret()["DATABASE_POOLED_URL"], "select 1") == [[1]]
