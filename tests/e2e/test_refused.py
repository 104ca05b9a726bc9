"""What the API server itself refuses: with the field, and words that say what to do."""

import pytest

from harness.cluster import ApiError
from harness.pooler import manifest, merged


def refused(cluster, namespace, name="orders", changes=None):
    """The answer to a PoolerConfig with these changes; fails if it is accepted."""
    body = merged(manifest(namespace, name, "orders-db"), changes or {})
    with pytest.raises(ApiError) as caught:
        cluster.create(body, dry_run=True)
    return caught.value


def fields(error):
    return [cause.get("field") for cause in error.causes]


@pytest.mark.parametrize("changes, status, field, words", [
    ({"spec": {"replica": 3}}, 400, "spec.replica", "unknown field"),
    ({"spec": {"scaling": {"maxReplica": 3}}}, 400, "spec.scaling.maxReplica", "unknown field"),
    ({"spec": {"replicas": "three"}}, 422, "spec.replicas", "must be of type integer"),
    ({"spec": {"poolMode": "transactional"}}, 422, "spec.poolMode",
     '"transaction", "session", "statement"'),
    ({"spec": {"replicas": 4}}, 422, "spec.replicas", "must not be above spec.scaling.maxReplicas"),
    ({"spec": {"replicas": None}}, 422, "spec.replicas", "say how many pooler pods should run"),
    ({"spec": {"replicas": -1}}, 422, "spec.replicas", "greater than or equal to 0"),
    ({"spec": {"budget": {"serverConnections": 0}}}, 422, "spec.budget.serverConnections",
     "greater than or equal to 1"),
    ({"spec": {"database": {"port": 65536}}}, 422, "spec.database.port", "less than or equal to 65535"),
    ({"spec": {"database": {"host": "db:5432/app"}}}, 422, "spec.database.host", "host name"),
    ({"spec": {"database": {"name": "a\nb"}}}, 422, "spec.database.name", "control characters"),
    ({"spec": {"database": {"tls": {"mode": "Require", "caSecretRef": {"name": "db-ca"}}}}}, 422,
     "spec.database.tls.mode", "use VerifyCA or VerifyFull"),
    ({"spec": {"database": {"tls": {"mode": "Disable", "clientCertSecretRef": {"name": "c"}}}}}, 422,
     "spec.database.tls.clientCertSecretRef", "another mode than Disable"),
    ({"spec": {"clientTLS": {"mode": "Optional"}}}, 422, "spec.clientTLS.secretRef",
     "name a Secret of type kubernetes.io/tls"),
    ({"spec": {"clientTLS": {"secretRef": {"name": "orders-pooler"}}}}, 422, "spec",
     "can't be one that the operator writes"),
    ({"spec": {"database": {"tls": {"caSecretRef": {"name": "orders-pooler-config"}}}}}, 422, "spec",
     "can't be one that the operator writes"),
    ({"spec": {"pgbouncer": {"parameters": {"client_tls_sslmode": "allow"}}}}, 422,
     "spec.pgbouncer.parameters", "spec.clientTLS and spec.database.tls decide them"),
    ({"spec": {"engine": "Odyssey"}}, 422, "spec.engine", '"PgBouncer"'),
    ({"spec": {"engine": "Supabase", "replicas": None}}, 422, "spec.supabase", "projectRef"),
    ({"spec": {"supabase": {"projectRef": "abcdefghijklmnopqrst"}}}, 422, "spec.supabase",
     "only for engine Supabase"),
    ({"spec": {"engine": "Supabase", "replicas": None,
               "supabase": {"projectRef": "abcdefghijklmnopqrst"},
               "clientTLS": {"secretRef": {"name": "orders-tls"}}}}, 422, "spec.clientTLS",
     "means nothing with engine Supabase"),
    ({"spec": {"scaling": {"mode": "Auto"}}}, 422, "spec.scaling.mode", '"Manual"'),
    ({"spec": {"connectionSecret": {"name": "orders-db"}}}, 422, "spec.connectionSecret",
     "must not be the database's own Secret"),
    ({"spec": {"connectionSecret": {"name": "orders-pooler-config"}}}, 422,
     "spec.connectionSecret.name", "choose another one"),
    ({"spec": {"connectionSecret": {"keys": [{"name": "uri"}]}}}, 422,
     "spec.connectionSecret.keys[0].name", "belongs to the service binding"),
    ({"spec": {"connectionSecret": {"keys": [{"name": "A"}, {"name": "A"}]}}}, 422,
     "spec.connectionSecret.keys[1]", "Duplicate value"),
    ({"spec": {"connectionSecret": {"parameters": {"pooled": {"host": "db.example.com"}}}}}, 422,
     "spec.connectionSecret.parameters.pooled", "come from spec.database"),
    ({"spec": {"pgbouncer": {"parameters": {"pool_mode": "session"}}}}, 422,
     "spec.pgbouncer.parameters", "spec.poolMode decides it"),
    ({"spec": {"pgbouncer": {"parameters": {"default_pool_size": "50"}}}}, 422,
     "spec.pgbouncer.parameters", "spec.budget.serverConnections decides them"),
    ({"spec": {"pgbouncer": {"parameters": {"verbose": "9"}}}}, 422,
     "spec.pgbouncer.parameters", "the operator's own"),
    ({"spec": {"pgbouncer": {"parameters": {"log_stats": "1\nverbose = 9"}}}}, 422,
     "spec.pgbouncer.parameters[log_stats]", "line break"),
    ({"spec": {"pgbouncer": {"parameters": {"log_stats": 1}}}}, 422,
     "spec.pgbouncer.parameters.log_stats", "must be of type string"),
], ids=lambda value: value if isinstance(value, str) and value.startswith("spec") else "")
def test_field(cluster, namespace, changes, status, field, words):
    error = refused(cluster, namespace, changes=changes)
    assert error.status == status, error.text
    assert words in error.text
    # An unknown field is named in the text alone: that check comes before the schema's.
    assert field in error.text if status == 400 else field in fields(error)


PROJECT = {"projectRef": "abcdefghijklmnopqrst"}
HOSTED = {"database": {"secretRef": {"name": "orders-db"}}, "engine": "Supabase", "supabase": PROJECT}


@pytest.mark.parametrize("changes, field, words", [
    ({"supabase": {"projectRef": "orders"}}, "spec.supabase.projectRef", "at least 20"),
    ({"supabase": {"projectRef": "ABCDEFGHIJKLMNOPQRST"}}, "spec.supabase.projectRef",
     "20 lower-case letters"),
    ({"supabase": {"poolerHost": "pooler.example.com"}}, "spec.supabase.poolerHost",
     "under pooler.supabase.com"),
    ({"supabase": {"direct": "IPv4"}}, "spec.supabase.direct", '"Direct", "SessionPooler"'),
    ({"supabase": {"managementTokenSecretRef": {"key": "token"}}},
     "spec.supabase.managementTokenSecretRef.name", "Required"),
    ({"poolMode": "statement"}, "spec.poolMode", "transaction and session"),
    ({"database": {"host": "db.example.com"}}, "spec.database", "spec.supabase.projectRef"),
    ({"replicas": 1}, "spec.replicas", "means nothing"),
    ({"pgbouncer": {}}, "spec.pgbouncer", "means nothing"),
    ({"pod": {}}, "spec.pod", "means nothing"),
    ({"scaling": {"maxReplicas": 3}}, "spec.scaling", "means nothing"),
    ({"budget": {"serverConnections": 20}}, "spec.budget", "means nothing"),
    ({"drain": {"maxTransactionSeconds": 20}}, "spec.drain", "means nothing"),
    ({"service": {"port": 5432}}, "spec.service", "means nothing"),
    ({"networkPolicy": {"enabled": True}}, "spec.networkPolicy", "means nothing"),
    ({"podDisruptionBudget": {"enabled": False}}, "spec.podDisruptionBudget", "means nothing"),
], ids=lambda value: value if isinstance(value, str) and value.startswith("spec") else "")
def test_supabase(cluster, namespace, changes, field, words):
    """What only means something where the operator runs the pooler is refused."""
    body = {"apiVersion": "pooler.dev/v1alpha1", "kind": "PoolerConfig",
            "metadata": {"name": "orders", "namespace": namespace}, "spec": HOSTED}
    cluster.create(body, dry_run=True)
    with pytest.raises(ApiError) as caught:
        cluster.create(merged(body, {"spec": changes}), dry_run=True)
    assert caught.value.status == 422, caught.value.text
    assert words in caught.value.text and field in fields(caught.value)


def test_immutable_engine(cluster, namespace):
    cluster.create(manifest(namespace, "orders", "none"))
    with pytest.raises(ApiError) as caught:
        cluster.patch("PoolerConfig", namespace, "orders", {"spec": {
            **{key: None for key in ("replicas", "scaling", "budget", "drain")},
            "engine": "Supabase", "supabase": PROJECT}})
    assert caught.value.status == 422
    assert "spec.engine" in fields(caught.value) and "can't be changed" in caught.value.text


@pytest.mark.parametrize("name, words", [
    ("a" * 46, "at most 45 characters"),
    ("1orders", "a letter first"),
    ("orders.v2", "DNS label"),
], ids=["46 characters", "digit first", "dot"])
def test_name(cluster, namespace, name, words):
    error = refused(cluster, namespace, name=name)
    assert error.status == 422, error.text
    assert words in error.text and "metadata.name" in fields(error)


@pytest.mark.parametrize("changes, field", [
    ({"connectionSecret": {"name": "other"}}, "spec.connectionSecret"),
    ({"connectionSecret": None}, "spec.connectionSecret"),
], ids=["changed", "removed"])
def test_immutable_secret_name(cluster, namespace, changes, field):
    cluster.create(manifest(namespace, "orders", "none", connectionSecret={"name": "urls"}))
    with pytest.raises(ApiError) as caught:
        cluster.patch("PoolerConfig", namespace, "orders", {"spec": changes})
    assert caught.value.status == 422
    assert field in fields(caught.value) and "can't be changed" in caught.value.text


def test_immutable_secret_name_added(cluster, namespace):
    cluster.create(manifest(namespace, "orders", "none"))
    with pytest.raises(ApiError) as caught:
        cluster.patch("PoolerConfig", namespace, "orders",
                      {"spec": {"connectionSecret": {"name": "urls"}}})
    assert "spec.connectionSecret" in fields(caught.value)


def test_scale_above_the_maximum(cluster, namespace):
    """Also through the scale subresource, as an autoscaler would do it."""
    cluster.create(manifest(namespace, "orders", "none"))
    done = cluster.kubectl("scale", "-n", namespace, "plc/orders", "--replicas=4", check=False)
    assert done.returncode != 0 and "must not be above spec.scaling.maxReplicas" in done.stderr


def test_kubectl_says_the_field(cluster, namespace):
    """What a person sees who applies a file."""
    import json
    body = merged(manifest(namespace, "orders", "orders-db"), {"spec": {"replicas": 11}})
    done = cluster.kubectl("apply", "-f", "-", stdin=json.dumps(body), check=False)
    assert done.returncode != 0
    assert "spec.replicas" in done.stderr and "maxReplicas" in done.stderr


def test_explain_reads_well(cluster):
    """Every field of the spec has words of its own."""
    text = cluster.kubectl("explain", "poolerconfig.spec", "--recursive=false").stdout
    for field in ("database", "replicas", "budget", "scaling", "connectionSecret", "drain",
                  "pgbouncer", "supabase", "clientTLS", "poolMode", "engine"):
        assert f"  {field}\t" in text
    assert "<no description>" not in text
