"""Fixtures: what is expensive is made once per session, every test has a namespace of its own."""

import os
import re
import secrets

import pytest

from harness.artefacts import collect
from harness.cluster import cluster_of_environment
from harness.node import Node
from harness.operator import Operator
from harness.pooler import Pooler, database_secret
from harness.postgres import Postgres
from harness.runner import Runner
from harness.wait import wait_for

ARTEFACTS = os.environ.get("POOLER_ARTEFACTS") or os.path.join(
    os.path.dirname(os.path.abspath(__file__)), "..", "..", "..", "build", "e2e", "failures")


def new_namespace(cluster, words):
    name = re.sub(r"[^a-z0-9]+", "-", words.lower())[:36].strip("-")
    name = f"e2e-{name}-{secrets.token_hex(2)}"
    cluster.create({"kind": "Namespace", "metadata": {"name": name, "labels": {"e2e": "true"}}})
    return name


@pytest.fixture(scope="session")
def cluster():
    made = cluster_of_environment()
    made.start()
    yield made
    made.stop()


@pytest.fixture(scope="session")
def operator(cluster):
    """The operator, which run.sh has installed by its chart."""
    found = Operator(cluster)
    wait_for("the operator is ready", lambda: found.pod(), timeout=60)
    return found


@pytest.fixture(scope="session")
def session_namespace(cluster):
    name = new_namespace(cluster, "session")
    yield name
    cluster.delete("Namespace", None, name)


@pytest.fixture(scope="session")
def session_parts(cluster, session_namespace):
    """The runner and the shared Postgres, which start side by side."""
    runner = Runner(cluster, session_namespace)
    postgres = Postgres(cluster, runner, session_namespace).create()
    runner.create()
    runner.wait_ready()
    yield runner, postgres.wait_ready()
    runner.stop()


@pytest.fixture(scope="session")
def shared_runner(session_parts):
    return session_parts[0]


@pytest.fixture
def runner(shared_runner):
    """Where clients run. What a test started and left running ends with the test."""
    yield shared_runner
    shared_runner.abandon_programs()


@pytest.fixture(scope="session")
def postgres(session_parts):
    """The server that most tests share; each test has its own database and role on it, and its
    PoolerConfigs a budget of their own."""
    return session_parts[1]


@pytest.fixture
def own_postgres(cluster, runner, namespace):
    """Makes servers of one test: for tests that stop them, or let the budget be derived."""
    def make(**options):
        return Postgres(cluster, runner, namespace, **options).create().wait_ready()
    return make


@pytest.fixture(scope="session")
def node(cluster, session_namespace):
    made = Node(cluster, session_namespace).create()
    yield made
    made.agent.stop()


@pytest.fixture
def namespace(cluster, request):
    name = new_namespace(cluster, re.sub(r"^test_", "", request.node.name))
    yield name
    cluster.delete("Namespace", None, name)


@pytest.fixture
def make_pooler(cluster, operator, namespace, postgres):
    """make_pooler("orders", db=..., replicas=2, ...): a PoolerConfig with its database and
    Secret; `secret` instead gives the Secret's data as it is. Not waited for."""
    def make(name="orders", db=None, secret=None, **spec):
        pooler = Pooler(cluster, namespace, name)
        if secret is None:
            db = db or postgres.database()
            secret = {"uri": db.url()}
        pooler.database = db
        database_secret(cluster, namespace, f"{name}-db", secret)
        return pooler.create(f"{name}-db", **spec)
    return make


@pytest.hookimpl(hookwrapper=True, tryfirst=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    if report.when == "teardown" or not report.failed:
        return
    arguments = item.funcargs
    if "cluster" not in arguments:
        return
    folder = os.path.join(ARTEFACTS, re.sub(r"[^\w.-]+", "_", item.name)[:80])
    namespaces = [arguments[name] for name in ("namespace", "shared_namespace") if name in arguments]
    try:
        collect(folder, arguments["cluster"], Operator(arguments["cluster"]), namespaces,
                arguments.get("runner"))
        report.sections.append(("artefacts", f"collected in {os.path.relpath(folder)}"))
    except Exception as error:  # the test's own failure is what matters
        report.sections.append(("artefacts", f"could not be collected: {error!r}"))
