"""A change of the configuration is loaded by the running processes: nobody is cut, no pod goes."""

import pytest

from harness.pooler import IMAGES
from harness.reload import parameter_changes, reload_times
from harness.wait import wait_for


@pytest.mark.parametrize("version", IMAGES)
def test_live_on_all_replicas(make_pooler, runner, version):
    """Ten changes on three replicas, with a transaction open on the same backend all the time."""
    pooler = make_pooler(replicas=3, pgbouncer={"image": IMAGES[version]}).wait_settled()
    pods = pooler.pod_uids()
    times = reload_times(pooler, runner, parameter_changes(10))
    print(f"{version}: loaded by 3 of 3 after {[round(t, 1) for t in times]} s")
    assert pooler.pod_uids() == pods and pooler.restarts() == 0
    assert wait_for("an Event", lambda: pooler.events("Reloaded"))


def test_one_replica_needs_no_second(make_pooler, runner):
    pooler = make_pooler(replicas=1).wait_settled()
    pods = pooler.pod_uids()
    pooler.patch(poolMode="session")
    pooler.wait_condition("ConfigurationLoaded", "True")
    assert pooler.pod_uids() == pods
    assert runner.sql(pooler.secret()["DATABASE_POOLED_URL"], "select 1") == [[1]]
