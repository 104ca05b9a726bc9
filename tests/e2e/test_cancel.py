"""A cancel request reaches the pooler that has the query, whichever pod it arrives at."""

import pytest

from harness.load import cancel
from harness.pooler import IMAGES


@pytest.mark.parametrize("version", IMAGES)
def test_cancel_through_three_replicas(make_pooler, runner, version):
    """Every pair of pods three times."""
    pooler = make_pooler(replicas=3, budget={"serverConnections": 61},
                         pgbouncer={"image": IMAGES[version]}).wait_settled()
    for via in ("pairs", "service"):
        result = cancel(runner, pooler, via)
        print(f"{version} via {via}: sent {result['sent']}, again {result['again']}, "
              f"ended {result['canceled']}, forwarded {result['forwarded']}, "
              f"direct {result['direct']}, {result['requests']}, {result['latency']['all']}")
        assert result["sent"] == 27 and result["canceled"] == 27, result
        assert result["again"] <= 2, result
        if via == "pairs":
            assert result["forwarded"]["sent"] >= 12, result
            assert result["forwarded"]["canceled"] == result["forwarded"]["sent"], result
