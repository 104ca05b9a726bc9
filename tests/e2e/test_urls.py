"""Both URLs connect: whatever the password, the host and the names look like."""

import pytest

from harness.pooler import IMAGES
from harness.postgres import encode, ident, url_of

WHERE = "select current_user, current_database(), host(inet_client_addr())"
HOSTILE = {
    "ascii": "p@:/?#%& \"'\\",
    "umlaut": "pässwörd",
    "long": "long-" + "0123456789" * 89 + "tail!",
}
assert len(HOSTILE["long"]) == 900


def check_both(pooler, runner, database):
    """Connects by both URLs, and by each key of the Secret that is a way to connect."""
    data = pooler.secret()
    addresses = [pod["status"]["podIP"] for pod in pooler.pods()]
    pooled = runner.sql(data["DATABASE_POOLED_URL"], WHERE)[0]
    direct = runner.sql(data["DATABASE_URL"], WHERE)[0]
    assert pooled[:2] == direct[:2] == [database.user, database.name]
    assert pooled[2] in addresses, "the pooled URL does not lead through a pooler"
    assert direct[2] == runner.address, "the direct URL does not lead directly"
    return data


def psql(runner, url):
    """What psql, an application of libpq, answers to the question where it is."""
    program = runner.start(["sh", "-c", 'exec psql -XAt -d "$URL" -c "$QUESTION"'],
                           {"URL": url, "QUESTION": WHERE})
    program.result()
    assert not program.stderr, program.stderr
    return next(event["text"] for event in program.events if "text" in event)


def test_secret_has_every_key(make_pooler, runner, postgres):
    pooler = make_pooler().wait_ready()
    database = pooler.database
    data = check_both(pooler, runner, database)
    host = f"orders-pooler.{pooler.namespace}.svc"
    expected = {
        "type": "postgresql", "provider": "pooler-operator", "host": host, "port": "6432",
        "username": database.user, "password": database.password, "database": database.name,
        "direct-host": postgres.host, "direct-port": "5432"}
    assert {key: data.get(key) for key in expected} == expected
    assert data["uri"] == data["pooled-uri"] == data["DATABASE_POOLED_URL"]
    assert data["direct-uri"] == data["DATABASE_URL"]
    assert data["DATABASE_URL"].startswith("postgresql://")
    user, password = encode(database.user), encode(database.password)
    for key, where in (("pooled-jdbc-uri", f"{host}:6432"), ("direct-jdbc-uri", f"{postgres.host}:5432")):
        assert data[key].startswith(f"jdbc:postgresql://{where}/{database.name}?")
        assert f"user={user}" in data[key] and f"password={password}" in data[key]
    secret = pooler.object("Secret")
    assert secret["type"] == "servicebinding.io/postgresql"
    assert secret["metadata"]["annotations"]["pooler.dev/content-hash"]
    assert secret["metadata"]["labels"]["app.kubernetes.io/managed-by"] == "pooler-operator"
    owner = secret["metadata"]["ownerReferences"][0]
    assert owner["kind"] == "PoolerConfig" and owner["uid"] == pooler.config()["metadata"]["uid"]
    assert pooler.status()["binding"] == {"name": "orders-pooler"}
    assert pooler.status()["endpoints"]["pooled"] == f"{host}:6432"
    # pgpass has a line for both ways: psql needs nothing else.
    write = "umask 77; printf '%s\\n' \"$PGPASS_TEXT\" > $PGPASSFILE; exec psql -XAt -c 'select 1'"
    for at, port in ((host, "6432"), (postgres.host, "5432")):
        program = runner.start(["sh", "-c", write], {
            "PGPASS_TEXT": data["pgpass"], "PGPASSFILE": f"/tmp/pgpass-{pooler.namespace}",
            "PGHOST": at, "PGPORT": port, "PGUSER": database.user, "PGDATABASE": database.name})
        program.result()
        assert not program.stderr, f"{at}: {program.stderr}"


@pytest.mark.parametrize("version", IMAGES)
@pytest.mark.parametrize("password", HOSTILE)
def test_hostile_password(make_pooler, runner, postgres, version, password):
    database = postgres.database(password=HOSTILE[password])
    pooler = make_pooler(db=database, pgbouncer={"image": IMAGES[version]}).wait_ready()
    data = check_both(pooler, runner, database)
    assert data["password"] == HOSTILE[password]
    # And by an application of libpq, which decodes the URL in its own way.
    for key in ("DATABASE_POOLED_URL", "DATABASE_URL"):
        assert psql(runner, data[key]).startswith(database.user)
    assert pooler.status()["version"] == version


@pytest.mark.parametrize("form", ["uri", "single keys"])
def test_hostile_names(make_pooler, runner, postgres, form):
    """Names of the user and the database outside of [A-Za-z0-9_.-], given in both forms."""
    database = postgres.database(name="we'ird db/ü?#%", user='us"er@:/ ö', password=HOSTILE["ascii"])
    secret = {"uri": database.url()} if form == "uri" else database.single_keys()
    pooler = make_pooler(db=database, secret=secret).wait_ready()
    check_both(pooler, runner, database)
    postgres.admin_sql(f"drop database {ident(database.name)} with (force)",
                       f"drop role {ident(database.user)}")


@pytest.mark.parametrize("name", ["pgbouncer", "app", "a=b;c", "*"])
def test_database_name(make_pooler, runner, own_postgres, name):
    """A database may even have the name of PgBouncer's console."""
    postgres = own_postgres(max_connections=60)
    database = postgres.database(name=name)
    pooler = make_pooler(db=database).wait_ready()
    check_both(pooler, runner, database)


@pytest.mark.parametrize("form", ["uri", "single keys"])
def test_ipv6_host(make_pooler, runner, postgres, form):
    """An IPv6 address that works in a cluster of IPv4, too: the mapped form of an IPv4 address."""
    address = f"::ffff:{postgres.address}"
    database = postgres.database()
    secret = ({"uri": database.url(host=address)} if form == "uri"
              else {**database.single_keys(), "host": address})
    pooler = make_pooler(db=database, secret=secret).wait_ready()
    data = check_both(pooler, runner, database)
    assert f"@[{address}]:5432/" in data["DATABASE_URL"]
    assert data["direct-host"] == address


def test_inline_values_win(make_pooler, runner, postgres):
    """spec.database over the Secret's single keys over its URI."""
    database, other = postgres.database(), postgres.database()
    secret = {"uri": url_of("nobody", "wrong", "nowhere.invalid", 1, other.name),
              "host": postgres.host, "username": database.user, "password": database.password,
              "dbname": other.name, "port": "5432"}
    pooler = make_pooler(db=database, secret=secret, database={"name": database.name}).wait_ready()
    check_both(pooler, runner, database)


def test_renamed_keys(make_pooler, runner, postgres):
    database = postgres.database()
    secret = {"server": postgres.host, "login": database.user, "pw": database.password,
              "schema": database.name}
    keys = {"host": "server", "user": "login", "password": "pw", "dbname": "schema"}
    pooler = make_pooler(db=database, secret=secret, database={"secretRef": {"keys": keys}})
    check_both(pooler.wait_ready(), runner, database)


def test_name_of_45_characters(make_pooler, runner):
    pooler = make_pooler(name="a" + "b" * 43 + "c", replicas=2).wait_ready()
    check_both(pooler, runner, pooler.database)
