"""The tutorials' projects (tests/tutorials), each with what its page has the reader write, by the
published Secret of a PoolerConfig with two replicas: migrated by the direct URL, then twenty clients
by the pooled one. They run on this machine, in the network of our own test cluster: run.sh leaves them
out on another one."""

import glob
import json
import os
import subprocess

import pytest
import yaml

PROJECTS = os.environ.get("POOLER_TUTORIALS", "")
SMOKE = {
    "prisma": ["node", "--import", "jiti/register", "smoke.ts"],
    "django": ["python", "smoke.py"],
    "rails": ["/usr/bin/ruby", "smoke.rb"],
    "spring": ["java", "@target/java.args", "shop.Shop", "--logging.level.root=warn",
               "--spring.main.banner-mode=off"],
    "go": ["shop", "smoke"],
}
# Those in which each of the twenty clients has a connection of its own.
TWENTY_CONNECTIONS = {"django", "spring"}
# Twenty clients place ten orders each, but one of them changes its mind.
PLACED = 180


class Project:
    def __init__(self, name):
        self.name = name
        self.folder = os.path.join(PROJECTS, name)
        assert PROJECTS and os.path.isdir(self.folder), (
            "not prepared: see tests/tutorials/run.sh; on our own test cluster only")

    def block(self, name):
        """A YAML file of the page; None where it has none of that name."""
        path = os.path.join(self.folder, name)
        if not os.path.exists(path):
            return None
        with open(path) as file:
            return yaml.safe_load(file)

    def run(self, command, environment):
        """As a container would: nothing but the Secret tells it where the database is. Returns what
        it printed."""
        path = [os.path.join(self.folder, part) for part in ("venv/bin", "node_modules/.bin", "")]
        done = subprocess.run(
            command, cwd=self.folder, capture_output=True, text=True, timeout=240,
            env={**environment, "PATH": os.pathsep.join(path + [os.environ["PATH"]]),
                 "HOME": os.environ.get("HOME", "/"), "LANG": "C.UTF-8"})
        assert done.returncode == 0, f"{command}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout


def environment(container, name, secret):
    """The environment that a container of the page gets."""
    result = {}
    for source in container["envFrom"]:
        assert source == {"secretRef": {"name": name}}
        result.update(secret)
    for variable in container.get("env", []):
        reference = variable["valueFrom"]["secretKeyRef"]
        assert reference["name"] == name
        result[variable["name"]] = secret[reference["key"]]
    return result


def migrate(project, pod, secret, runner):
    if project.name == "prisma":
        # Its migrations are plain SQL; what applies them can't be had from a package registry.
        assert pod["initContainers"][0]["command"] == ["npx", "prisma", "migrate", "deploy"]
        for path in sorted(glob.glob(os.path.join(project.folder, "prisma/migrations/*/migration.sql"))):
            with open(path) as file:
                runner.sql(secret["DIRECT_URL"], file.read())
        return
    for container in pod.get("initContainers", []):
        # A second time, as another replica of the application does it.
        for _ in range(2):
            project.run(container["command"], environment(container, "orders-pooler", secret))


@pytest.mark.parametrize("name", list(SMOKE))
def test_tutorial(name, make_pooler, runner, postgres):
    project = Project(name)
    pod = project.block("pod.yaml")
    database = postgres.database()
    added = project.block("poolerconfig.yaml") or {"spec": {}}
    pooler = make_pooler(db=database, replicas=2, **added["spec"])
    pooler.wait_settled(2)
    secret = pooler.secret()
    migrate(project, pod, secret, runner)
    printed = project.run(SMOKE[name], environment(pod["containers"][0], "orders-pooler", secret))
    told = json.loads([line for line in printed.splitlines() if line.startswith("{")][-1])
    print(f"{name}:", told)
    assert told["placed"] == PLACED
    CLAIMS[name](told)

    poolers = {found["status"]["podIP"] for found in pooler.pods()}
    rows = runner.sql(database.url(), "select item, host(client), count(*) from orders group by 1, 2")
    hosts = {host for item, host, _ in rows if item == "tea"}
    assert hosts <= poolers, "orders went past the pooler"
    # Five connections may all end at one pod by chance (1 in 16), twenty do not.
    assert name not in TWENTY_CONNECTIONS or hosts == poolers, "a pod of the pooler served nobody"
    assert sum(count for item, _, count in rows if item == "tea") == PLACED
    migrations = [host for item, host, _ in rows if item == "of the migration"]
    assert len(migrations) == 1 and migrations[0] not in poolers, "the migration was pooled"
    assert runner.sql(database.url(), "select remaining from stock") == [[1000 - PLACED]]


def all_listed(told):
    assert told["listed"] == PLACED


def rails(told):
    assert told["prepared"] > 0, "prepared statements did not reach the server"
    assert "InFailedSqlTransaction" in (told["refused"] or ""), told


def spring(told):
    all_listed(told)
    assert told["prepared"] > 0, "prepared statements did not reach the server"
    assert told["isolation"] == ["serializable", "read committed"]


def go(told):
    assert told["told"] == PLACED and told["prepared"] > 0


# What the pages say beyond that, measured by the projects themselves.
CLAIMS = {"prisma": all_listed, "django": all_listed, "rails": rails, "spring": spring, "go": go}
