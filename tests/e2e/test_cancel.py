"""A cancel request reaches the pooler that has the query, whichever pod it arrives at."""

import pytest

from harness.pooler import IMAGES


@pytest.mark.parametrize("version", IMAGES)
def test_cancel_through_three_replicas(make_pooler, runner, version):
    """27 queries, 27 cancels 20 ms apart over new connections: every pair of pods three times.

    PgBouncer itself may let one wait: its loop connects for waiting cancels in the pools of databases
    only, so a cancel that comes to a pod while the pod is just connecting to the same peer for another
    one waits for the next (measured without the second try: 2 of 4320). The second try is late enough
    that a node which is busy for some seconds is not taken for that.
    """
    pooler = make_pooler(replicas=3, budget={"serverConnections": 61},
                         pgbouncer={"image": IMAGES[version]}).wait_settled()
    data = pooler.secret()
    pods = [word for pod in pooler.pods() for word in ("--host-override", pod["status"]["podIP"])]
    for via in ("pairs", "service"):
        result = runner.load(
            "cancel", "--queries", "27", "--interval-ms", "20", "--again-ms", "6000", "--via", via,
            "--control-url-env", "DATABASE_URL", *pods, url=data["DATABASE_POOLED_URL"],
            database_url=data["DATABASE_URL"]).result()
        print(f"{version} via {via}: sent {result['sent']}, again {result['again']}, "
              f"ended {result['canceled']}, forwarded {result['forwarded']}, "
              f"direct {result['direct']}, {result['requests']}, {result['latency']['all']}")
        assert result["sent"] == 27 and result["canceled"] == 27, result
        assert result["again"] <= 2, result
        if via == "pairs":
            assert result["forwarded"]["sent"] >= 12, result
            assert result["forwarded"]["canceled"] == result["forwarded"]["sent"], result
