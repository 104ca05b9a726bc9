"""spec.pgbouncer.parameters: what is wrong is told and touches nothing; what PgBouncer reads at its
start only replaces the pods, drained. (A change that running pods load: test_reload.)"""

import pytest

from harness.cluster import ApiError
from harness.load import Load
from harness.pooler import IMAGES

# Name, value, what is said of it: by the operator, in the condition ConfigurationValid.
TOLD = [
    ("max_prepared_statement", "100", "is max_prepared_statements meant?"),
    ("statement_timeout", "100", "is no setting of PgBouncer"),
    ("pkt_buf", "1", "must be a whole number from 1024 to 65536"),
    ("query_timeout", "5min", "must be a number of seconds"),
    ("server_reset_query", " DISCARD ALL", "blank"),
    ("transaction_timeout", "60", "needs PgBouncer 1.25, and the pods run 1.24.1"),
]
# By the API server.
REFUSED = [
    ("pool_mode", "session", "spec.poolMode"),
    ("max_db_connections", "500", "spec.budget.serverConnections"),
    ("auth_type", "any", "spec.pgbouncer.auth"),
    ("log_stats", "1\nadmin_users = app", "line break"),
]


def test_a_wrong_one_is_told_and_touches_nothing(make_pooler, runner):
    pooler = make_pooler(replicas=2, pgbouncer={"image": IMAGES["1.24.1"]}).wait_settled()
    pods, files = pooler.pod_uids(), pooler.object("Secret", "-config")
    for name, value, words in TOLD:
        pooler.patch(pgbouncer={"parameters": {name: value}})
        found = pooler.wait_condition("ConfigurationValid", "False", "InvalidParameter")
        assert found["message"].startswith(f"spec.pgbouncer.parameters.{name}: "), found
        assert words in found["message"], found
        assert pooler.condition("Stalled"), "waiting does not mend it"
        pooler.patch(pgbouncer={"parameters": {name: None}})
        pooler.wait_condition("ConfigurationValid", "True")
    for name, value, words in REFUSED:
        with pytest.raises(ApiError) as caught:
            pooler.patch(pgbouncer={"parameters": {name: value}})
        assert caught.value.status == 422 and words in caught.value.text, caught.value
    pooler.wait_settled()
    now = pooler.object("Secret", "-config")
    assert pooler.pod_uids() == pods and pooler.restarts() == 0
    assert now["metadata"]["resourceVersion"] == files["metadata"]["resourceVersion"]
    assert runner.sql(pooler.secret()["DATABASE_POOLED_URL"], "select 1") == [[1]]


def test_one_that_is_read_at_the_start_replaces_the_pods(make_pooler, runner):
    """One after the other, and no transaction is lost."""
    pooler = make_pooler(replicas=3, budget={"serverConnections": 121},
                         drain={"endpointPropagationSeconds": 3, "maxTransactionSeconds": 30})
    pooler.wait_settled()
    load = Load(runner, pooler)
    load.wait_busy()
    before = pooler.pod_uids()
    pooler.patch(pgbouncer={"parameters": {"pkt_buf": "8192"}})
    load.wait_replaced(before)
    pooler.wait_settled()
    load.check_served(victims=3)


def test_taken_back_after_a_version_that_has_it_not(make_pooler, runner):
    """The image and the setting come in one change: the version is not known before a pod runs it.
    The first pod fails, the others serve, and taking the setting out heals."""
    pooler = make_pooler(replicas=2, pgbouncer={"image": IMAGES["1.26.1"]}).wait_settled()
    before = pooler.pod_uids()
    pooler.patch(pgbouncer={"image": IMAGES["1.24.1"], "parameters": {"transaction_timeout": "60"}})
    pooler.wait_condition("ConfigurationLoaded", "False", "CrashLooping", timeout=120)
    assert len(set(pooler.pod_uids().values()) & set(before.values())) == 1
    assert runner.sql(pooler.secret()["DATABASE_POOLED_URL"], "select 1") == [[1]]
    pooler.patch(pgbouncer={"parameters": None})
    pooler.wait_settled(timeout=180)
    assert pooler.status()["version"] == "1.24.1"
