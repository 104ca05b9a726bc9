"""TLS on both sides of the pooler: who may connect and how, and certificates that change."""

import time

import pytest

from harness.certificates import Authority, fingerprint, shown_by, tls_secret, trusted_file
from harness.load import cancel
from harness.pooler import IMAGES
from harness.postgres import literal, url_of
from harness.session import Session
from harness.wait import wait_for


@pytest.fixture(scope="module")
def authority():
    return Authority()


@pytest.fixture
def with_client_tls(cluster, namespace, authority, make_pooler):
    """A pooler whose clients must use TLS, with cert-manager's Secret for its Service."""
    def make(**spec):
        certificate = authority.issue(f"orders-pooler.{namespace}.svc")
        tls_secret(cluster, namespace, "orders-tls", certificate)
        pooler = make_pooler(clientTLS={"secretRef": {"name": "orders-tls"}}, **spec)
        pooler.certificate = certificate
        return pooler
    return make


@pytest.fixture
def encrypted_postgres(cluster, namespace, authority, own_postgres):
    """A server with a certificate of `authority`, whose own is in the Secret db-ca."""
    tls_secret(cluster, namespace, "pg-tls", authority.issue(f"pg.{namespace}.svc"))
    tls_secret(cluster, namespace, "db-ca", {"ca.crt": authority.certificate})
    return own_postgres(tls_secret="pg-tls", max_connections=100)


def with_parameters(url, **parameters):
    """The URL with these in place of all that it has."""
    return url.split("?")[0] + "?" + "&".join(f"{key}={value}" for key, value in parameters.items())


def assert_new_server_connections_work(runner, postgres, user, url):
    """What a pod has in its pool was verified when it was made: only a new one shows what holds now."""
    postgres.admin_sql("select pg_terminate_backend(pid) from pg_stat_activity"
                       f" where usename = {literal(user)}")
    wait_for("a new server connection", lambda: runner.sql(url, "select 1") == [[1]], 30)


def refusal(runner, url):
    with pytest.raises(AssertionError) as caught:
        runner.sql(url, "select 1")
    return str(caught.value)


@pytest.mark.parametrize("version", IMAGES)
def test_both_sides(make_pooler, cluster, namespace, runner, encrypted_postgres, authority, version):
    """An application that verifies gets through, one that does not encrypt is refused, and the pooler
    verifies the database."""
    tls_secret(cluster, namespace, "orders-tls", authority.issue(f"orders-pooler.{namespace}.svc"))
    pooler = make_pooler(
        db=encrypted_postgres.database(), replicas=2, pgbouncer={"image": IMAGES[version]},
        clientTLS={"secretRef": {"name": "orders-tls"}},
        database={"tls": {"caSecretRef": {"name": "db-ca"}}}).wait_settled()
    data = pooler.secret()
    assert "sslmode=require" in data["DATABASE_POOLED_URL"], "Required is the default with a Secret"
    assert "sslmode=verify-full" in data["DATABASE_URL"]
    assert data["ca.crt"] == data["direct-ca.crt"] == authority.certificate
    roots = trusted_file(runner, f"{namespace}", data["ca.crt"])
    verified = with_parameters(data["DATABASE_POOLED_URL"], sslmode="verify-full", sslrootcert=roots)
    encrypted = "select ssl from pg_stat_ssl where pid = pg_backend_pid()"
    assert runner.sql(verified, encrypted) == [[True]], "between pooler and database"
    assert runner.sql(data["DATABASE_POOLED_URL"], "select 1") == [[1]]
    direct = with_parameters(data["DATABASE_URL"], sslmode="verify-full", sslrootcert=roots)
    assert runner.sql(direct, encrypted) == [[True]]
    plain = with_parameters(data["DATABASE_POOLED_URL"], sslmode="disable")
    assert "SSL required" in refusal(runner, plain)
    told = pooler.condition("ConfigurationValid")["message"]
    assert "spec.clientTLS.secretRef is valid until 20" in told


@pytest.mark.parametrize("version", IMAGES)
def test_a_renewed_certificate_is_shown_within_ten_seconds(with_client_tls, cluster, namespace, runner,
                                                           authority, version):
    """By all replicas, and a transaction goes on on its backend."""
    pooler = with_client_tls(replicas=3, pgbouncer={"image": IMAGES[version]}).wait_settled()
    pods = pooler.pod_uids()
    addresses = [pod["status"]["podIP"] for pod in pooler.pods()]
    assert {shown_by(runner, each) for each in addresses} == {fingerprint(pooler.certificate)}
    session = Session(runner, pooler.secret()["DATABASE_POOLED_URL"])
    session.sql("begin")
    backend = session.sql("select pg_backend_pid()")
    for _ in range(3):
        renewed = authority.issue(f"orders-pooler.{namespace}.svc")
        tls_secret(cluster, namespace, "orders-tls", renewed)
        began = time.monotonic()
        wait_for("the new certificate on all replicas", lambda: {
            shown_by(runner, each) for each in addresses} == {fingerprint(renewed)}, 30)
        took = time.monotonic() - began
        print(f"{version}: shown by 3 of 3 after {took:.1f} s")
        assert took < 10
        pooler.wait_condition("ConfigurationLoaded", "True")
        assert session.sql("select pg_backend_pid()") == backend
    session.sql("commit")
    assert pooler.pod_uids() == pods and pooler.restarts() == 0
    pooler.wait_settled()


def test_tls_comes_and_goes(with_client_tls, runner):
    """Without a restart; the URLs say it once it works."""
    pooler = with_client_tls(replicas=2).wait_settled()
    pods = pooler.pod_uids()
    for mode, word in (("Disabled", "sslmode=disable"), ("Required", "sslmode=require"),
                       ("Optional", None)):
        pooler.patch(clientTLS={"mode": mode})
        pooler.wait_settled()
        url = pooler.secret()["DATABASE_POOLED_URL"]
        assert word in url if word else "sslmode" not in url, url
        assert runner.sql(url, "select 1") == [[1]]
        assert ("ca.crt" in pooler.secret()) == (mode != "Disabled")
    assert runner.sql(with_parameters(url, sslmode="disable"), "select 1") == [[1]]
    assert pooler.pod_uids() == pods and pooler.restarts() == 0


def mismatched(authority, namespace):
    data = authority.issue(f"orders-pooler.{namespace}.svc")
    return {**data, "tls.key": authority.issue("other")["tls.key"]}


@pytest.mark.parametrize("change, reason, words", [
    (None, "SecretNotFound", "spec.clientTLS.secretRef.name: Secret"),
    (mismatched, "SecretInvalid", "key tls.key of Secret orders-tls is the key of another certificate"),
], ids=["missing", "another key"])
def test_a_certificate_that_can_not_be_used_changes_nothing(
        with_client_tls, cluster, namespace, runner, authority, change, reason, words):
    pooler = with_client_tls(replicas=2).wait_settled()
    pods, urls = pooler.pod_uids(), pooler.secret()
    if change is None:
        cluster.delete("Secret", namespace, "orders-tls")
    else:
        tls_secret(cluster, namespace, "orders-tls", change(authority, namespace))
    told = pooler.wait_condition("ConfigurationValid", "False", reason)
    assert words in told["message"], told
    assert pooler.pod_uids() == pods and pooler.restarts() == 0 and pooler.secret() == urls
    assert {shown_by(runner, pod["status"]["podIP"]) for pod in pooler.pods()} == {
        fingerprint(pooler.certificate)}
    assert runner.sql(urls["DATABASE_POOLED_URL"], "select 1") == [[1]]
    renewed = authority.issue(f"orders-pooler.{namespace}.svc")
    tls_secret(cluster, namespace, "orders-tls", renewed)
    pooler.wait_ready()
    wait_for("the new certificate", lambda: {
        shown_by(runner, pod["status"]["podIP"]) for pod in pooler.pods()} == {fingerprint(renewed)})
    assert pooler.pod_uids() == pods


def test_what_is_wrong_with_the_databases_certificate(make_pooler, cluster, namespace, runner,
                                                      encrypted_postgres):
    """Is told with the field; the pooler that runs goes on, and what is mended is taken over."""
    database = encrypted_postgres.database()
    pooler = make_pooler(db=database, replicas=2,
                         database={"tls": {"caSecretRef": {"name": "db-ca"}}}).wait_settled()
    pods, urls = pooler.pod_uids(), pooler.secret()
    good = urls["direct-ca.crt"]

    tls_secret(cluster, namespace, "db-ca", {"ca.crt": Authority("a stranger").certificate})
    told = pooler.wait_condition("DatabaseReachable", "False", "TLSFailure")
    assert "spec.database.tls.caSecretRef" in told["message"], told
    assert pooler.secret() == urls and pooler.pod_uids() == pods
    assert_new_server_connections_work(runner, encrypted_postgres, database.user,
                                       urls["DATABASE_POOLED_URL"])

    cluster.delete("Secret", namespace, "db-ca")
    pooler.wait_condition("ConfigurationValid", "False", "SecretNotFound")
    pooler.wait_condition("DatabaseReachable", "True")  # asked as the pods ask it
    assert "last good configuration" in pooler.condition("ConfigurationLoaded")["message"]
    assert_new_server_connections_work(runner, encrypted_postgres, database.user,
                                       urls["DATABASE_POOLED_URL"])

    tls_secret(cluster, namespace, "db-ca", {"ca.crt": good})
    pooler.wait_ready()
    pooler.wait_condition("DatabaseReachable", "True")
    pooler.patch(database={"host": encrypted_postgres.address})
    told = pooler.wait_condition("DatabaseReachable", "False", "TLSFailure")
    assert "spec.database.host" in told["message"], told
    pooler.patch(database={"tls": {"mode": "VerifyCA"}})
    pooler.wait_settled()
    assert "sslmode=verify-ca" in pooler.secret()["DATABASE_URL"]
    assert pooler.pod_uids() == pods and pooler.restarts() == 0


@pytest.mark.parametrize("version", IMAGES)
def test_cancels_are_forwarded_while_the_database_is_verified(make_pooler, runner, encrypted_postgres,
                                                              version):
    """From pod to pod they go without TLS, whatever PgBouncer wants of the database."""
    database = encrypted_postgres.database()
    pooler = make_pooler(db=database, replicas=3, budget={"serverConnections": 61},
                         pgbouncer={"image": IMAGES[version]},
                         database={"tls": {"caSecretRef": {"name": "db-ca"}}}).wait_settled()
    result = cancel(runner, pooler, "pairs", url_of(
        database.user, database.password, encrypted_postgres.host, encrypted_postgres.port, database.name))
    assert result["sent"] == 27 and result["canceled"] == 27, result
    assert result["forwarded"]["canceled"] == result["forwarded"]["sent"] >= 12, result
