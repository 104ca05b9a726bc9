"""Changes that running poolers load, while a transaction is open through one of them."""

import time

from harness.session import Session


def parameter_changes(count):
    """So many changes of spec.pgbouncer.parameters, each of them another one."""
    return [{"pgbouncer": {"parameters": {"max_prepared_statements": str(300 + n)}}}
            for n in range(count)]


def reload_times(pooler, runner, changes):
    """Seconds from each change's acknowledgement until all replicas have shown that they loaded it.
    The transaction has the same backend all the time, and commits."""
    session = Session(runner, pooler.secret()["DATABASE_POOLED_URL"])
    backend = "select pg_backend_pid()"
    session.sql("begin")
    backends, times = session.sql(backend), []
    for change in changes:
        pooler.patch(**change)
        began = time.monotonic()
        pooler.wait_condition("ConfigurationLoaded", "True", timeout=30)
        times.append(time.monotonic() - began)
        assert session.sql(backend) == backends
    session.sql("commit")
    return times
