"""How soon a change is in force everywhere."""

import pytest

from harness.pooler import IMAGES
from harness.reload import parameter_changes, reload_times


@pytest.mark.parametrize("version", IMAGES)
def test_ten_changes_within_five_seconds(make_pooler, runner, version):
    pooler = make_pooler(replicas=3, pgbouncer={"image": IMAGES[version]}).wait_settled()
    times = reload_times(pooler, runner, parameter_changes(10))
    print(f"\n{version}: loaded by 3 of 3 after {[round(t, 1) for t in times]} s")
    assert sum(t < 5 for t in times) == 10, times
