"""spec.pgbouncer.auth.mode Query: each role logs in as itself, all of them within one budget."""

import re
import secrets
import threading
from pathlib import Path

import pytest

from harness.cluster import ApiError
from harness.load import Load
from harness.pooler import IMAGES, database_secret
from harness.postgres import ident, literal, url_of
from harness.wait import wait_for

PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "many-users.md").read_text()
# What the page gives to copy: the role with its function, and the query that calls it.
SQL = re.search(r"```sql\n(.*?)```", PAGE, re.S)[1]
QUERY = re.search(r"query: (.*)\n", PAGE)[1]


class Lookup:
    """The role that looks the others up, as the page makes it, under a name of its own: roles are
    of the whole server, which other tests use, too."""

    def __init__(self, cluster, namespace, db):
        self.cluster, self.namespace, self.db = cluster, namespace, db
        self.user = f"lookup_{secrets.token_hex(4)}"
        self.password = secrets.token_urlsafe(12)
        sql = SQL.replace("pooler_lookup", self.user).replace("CHANGE-ME", self.password)
        db.postgres.admin_sql(sql, database=db.name)

    def write_secret(self):
        database_secret(self.cluster, self.namespace, "lookup",
                        {"username": self.user, "password": self.password})

    def set_password(self, password):
        self.password = password
        self.db.postgres.admin_sql(f"alter role {ident(self.user)} password {literal(password)}")


def auth(query=QUERY):
    return {"mode": "Query", "userSecretRef": {"name": "lookup"}, "query": query}


def make_role(postgres, options=""):
    """Name and password of a new role that may log in."""
    name, password = f"per'son {secrets.token_hex(4)}", secrets.token_urlsafe(6) + "@:/'\"\\"
    postgres.admin_sql(f"create role {ident(name)} login password {literal(password)} {options}")
    return name, password


def url_for(pooler, role, host=None):
    data = pooler.secret()
    return url_of(*role, host or data["host"], data["port"], data["database"])


def who(runner, pooler, role, host=None):
    return runner.sql(url_for(pooler, role, host), "select current_user::text, session_user::text")[0]


def who_at_each(runner, pooler, role):
    """Of each pod, whichever the Service leads to."""
    return all(who(runner, pooler, role, pod["status"]["podIP"]) == [role[0], role[0]]
               for pod in pooler.pods())


@pytest.mark.parametrize("version", IMAGES)
def test_each_as_itself(cluster, namespace, make_pooler, runner, postgres, version):
    db = postgres.database()
    lookup = Lookup(cluster, namespace, db)
    lookup.write_secret()
    pooler = make_pooler(db=db, replicas=2, pgbouncer={"image": IMAGES[version], "auth": auth()})
    pooler.wait_settled()
    data = pooler.secret()
    assert [data["username"], data["password"]] == [db.user, db.password]
    assert runner.sql(data["DATABASE_POOLED_URL"], "select current_user::text") == [[db.user]]
    for role in [make_role(postgres) for _ in range(3)]:
        assert who(runner, pooler, role) == [role[0], role[0]]
    for options in ("superuser", "replication", "valid until '2020-01-01'", "nologin"):
        with pytest.raises(AssertionError):
            who(runner, pooler, make_role(postgres, options))

    # Another password counts at once.
    name, password = make_role(postgres)
    assert who(runner, pooler, (name, password)) == [name, name]
    postgres.admin_sql(f"alter role {ident(name)} password 'another'")
    assert who(runner, pooler, (name, "another")) == [name, name]
    with pytest.raises(AssertionError):
        who(runner, pooler, (name, password))


def test_the_budget_is_for_all_of_them(cluster, namespace, make_pooler, runner, postgres):
    """Four roles of which each wants more than there is: never more than the budget."""
    budget = 18  # less two of the operator's, for 4 ordinals: 4 each, one of which looks users up
    db = postgres.database()
    Lookup(cluster, namespace, db).write_secret()
    pooler = make_pooler(db=db, replicas=2, budget={"serverConnections": budget},
                         pgbouncer={"auth": auth()}).wait_settled()
    roles = [make_role(postgres) for _ in range(4)]
    urls = [url_for(pooler, role) for role in roles for _ in range(5)]
    clients = [threading.Thread(target=runner.sql, args=(url, *["select pg_sleep(0.2)"] * 10))
               for url in urls]
    for client in clients:
        client.start()
    most = 0
    while any(client.is_alive() for client in clients):
        most = max(most, postgres.connections(database=db.name))
    print(f"{len(urls)} clients of {len(roles)} roles: at most {most} connections of {budget}")
    assert 4 < most <= budget


def test_a_query_that_does_not_work_is_told_and_touches_nothing(
        cluster, namespace, make_pooler, runner, postgres):
    db = postgres.database()
    pooler = make_pooler(db=db, replicas=2).wait_settled()
    pods, url = pooler.pod_uids(), pooler.secret()["DATABASE_POOLED_URL"]

    def told(reason, field, words):
        found = pooler.wait_condition("ConfigurationValid", "False", reason)
        assert found["message"].startswith(field) and words in found["message"], found
        assert pooler.pod_uids() == pods
        assert runner.sql(url, "select 1") == [[1]]

    pooler.patch(pgbouncer={"auth": auth()})
    told("SecretNotFound", "spec.pgbouncer.auth.userSecretRef.name: ", "lookup")
    lookup = Lookup(cluster, namespace, db)
    database_secret(cluster, namespace, "lookup", {"username": lookup.user, "password": "wrong"})
    told("AuthQueryFailed", "spec.pgbouncer.auth.userSecretRef: ", "refuses the login")
    assert "wrong" not in str(pooler.config().get("status"))
    pooler.patch(pgbouncer={"auth": auth("SELECT * FROM pooler.nothing($1)")})
    lookup.write_secret()
    told("AuthQueryFailed", "spec.pgbouncer.auth.query: ", "pooler.nothing")
    pooler.patch(pgbouncer={"auth": auth("SELECT rolname, rolpassword FROM pg_authid WHERE $1 = ''")})
    told("AuthQueryFailed", "spec.pgbouncer.auth.query: ", "permission denied")
    pooler.patch(pgbouncer={"auth": auth("SELECT $1, 'x'; DROP TABLE x")})
    told("InvalidParameter", "spec.pgbouncer.auth.query: ", "one statement")
    postgres.admin_sql(f"alter role {ident(db.user)} superuser")
    pooler.patch(pgbouncer={"auth": auth()})
    told("AuthQueryFailed", "spec.pgbouncer.auth.query: ", "superusers")
    postgres.admin_sql(f"alter role {ident(db.user)} nosuperuser")
    pooler.wait_settled()
    role = make_role(postgres)
    assert who(runner, pooler, role) == [role[0], role[0]]


def test_to_many_users_and_back_without_a_loss(cluster, namespace, make_pooler, runner, postgres):
    """Each time the pods are replaced, drained, one after the other."""
    db = postgres.database()
    Lookup(cluster, namespace, db).write_secret()
    pooler = make_pooler(db=db, replicas=2, budget={"serverConnections": 122},
                         drain={"endpointPropagationSeconds": 3, "maxTransactionSeconds": 30})
    pooler.wait_settled()
    load = Load(runner, pooler, clients=60)
    load.wait_busy(least=10)
    for change in ({"auth": auth()}, {"auth": None}):
        before = pooler.pod_uids()
        pooler.patch(pgbouncer=change)
        load.wait_replaced(before)
        pooler.wait_settled()
    load.check_served(victims=4)


def test_another_password_of_the_role_is_loaded(cluster, namespace, make_pooler, runner, postgres):
    db = postgres.database()
    lookup = Lookup(cluster, namespace, db)
    lookup.write_secret()
    pooler = make_pooler(db=db, replicas=2, pgbouncer={"auth": auth()}).wait_settled()
    pods, role = pooler.pod_uids(), make_role(postgres)
    files = pooler.object("Secret", "-config")["metadata"]["resourceVersion"]
    lookup.set_password("another one")
    lookup.write_secret()
    wait_for("the files are written", lambda: pooler.object("Secret", "-config")["metadata"][
        "resourceVersion"] != files)
    wait_for("each pod looks up with it", lambda: who_at_each(runner, pooler, role))
    pooler.wait_settled()
    assert pooler.pod_uids() == pods and pooler.restarts() == 0
    assert who(runner, pooler, role) == [role[0], role[0]]

    # Gone: it is told, and what runs goes on.
    cluster.delete("Secret", namespace, "lookup")
    pooler.wait_condition("ConfigurationValid", "False", "SecretNotFound")
    assert who(runner, pooler, role) == [role[0], role[0]]
    lookup.write_secret()
    pooler.wait_settled()
    assert pooler.pod_uids() == pods


@pytest.mark.parametrize("wrong, words", [
    ({"query": "SELECT 1, 2"}, "only for mode Query"),
    ({"userSecretRef": {"name": "lookup"}}, "only for mode Query"),
    ({"mode": "Query", "query": "SELECT 1, 2"}, "$1"),
    ({"mode": "Query", "query": "SELECT $1,\n2"}, "line break"),
    ({"mode": "Query", "userSecretRef": {"name": "A_b"}}, "no name that a Secret can have"),
    ({"mode": "Query", "userSecretRef": {"keys": {"user": "u"}}}, "Required value"),
    ({"mode": "Certificate"}, "Unsupported value"),
])
def test_refused_by_the_api_server(make_pooler, wrong, words):
    with pytest.raises(ApiError) as caught:
        make_pooler(pgbouncer={"auth": wrong})
    assert caught.value.status == 422 and words in caught.value.text, caught.value
