"""A Postgres server as a Deployment of the test image, and databases and roles on it."""

import secrets
from urllib.parse import quote

from harness.cluster import is_ready
from harness.wait import wait_for

IMAGE = "localhost/postgres:17"
# Letters of every kind, since the administrator's password is nobody's test.
ADMIN_PASSWORD = "admin-of-the-test-server"


def encode(text):
    """Percent-encoding for any part of a URI."""
    return quote(text, safe="")


def url_of(user, password, host, port, database, **parameters):
    host = f"[{host}]" if ":" in host else host
    query = "&".join(f"{key}={encode(value)}" for key, value in parameters.items())
    return (f"postgresql://{encode(user)}:{encode(password)}@{host}:{port}/{encode(database)}"
            + (f"?{query}" if query else ""))


def ident(name):
    return '"' + name.replace('"', '""') + '"'


def literal(text):
    return "'" + text.replace("'", "''") + "'"


class Database:
    """A database with a role of its own."""

    def __init__(self, postgres, name, user, password):
        self.postgres = postgres
        self.name = name
        self.user = user
        self.password = password

    def url(self, host=None, **parameters):
        return url_of(self.user, self.password, host or self.postgres.host, self.postgres.port,
                      self.name, **parameters)

    def single_keys(self):
        """The data of a database Secret without a URI."""
        return {"host": self.postgres.host, "port": str(self.postgres.port), "dbname": self.name,
                "username": self.user, "password": self.password}


class Postgres:
    def __init__(self, cluster, runner, namespace, name="pg", max_connections=600, options=(),
                 tls_secret=None):
        self.cluster = cluster
        self.runner = runner
        self.namespace = namespace
        self.name = name
        self.max_connections = max_connections
        self.options = options
        self.tls_secret = tls_secret
        self.host = f"{name}.{namespace}.svc"
        self.port = 5432

    def create(self):
        labels = {"app": self.name}
        settings = {"max_connections": self.max_connections, "fsync": "off", "shared_buffers": "32MB",
                    "synchronous_commit": "off", "full_page_writes": "off", "log_checkpoints": "off",
                    **dict(self.options), **self._tls_settings()}
        self.cluster.create({
            "kind": "Service", "metadata": {"name": self.name, "namespace": self.namespace},
            "spec": {"selector": labels, "ports": [{"port": self.port}]}})
        self.cluster.create({
            "kind": "Deployment", "metadata": {"name": self.name, "namespace": self.namespace},
            "spec": {
                "selector": {"matchLabels": labels}, "strategy": {"type": "Recreate"},
                "template": {
                    "metadata": {"labels": labels},
                    "spec": {
                        "enableServiceLinks": False, "terminationGracePeriodSeconds": 2,
                        **self._volumes(),
                        "containers": [{
                            "name": "postgres", "image": IMAGE, "imagePullPolicy": "IfNotPresent",
                            "args": [a for k, v in settings.items() for a in ("-c", f"{k}={v}")],
                            # Outlives the container, so that a restart of it loses nothing.
                            "env": [{"name": "POSTGRES_PASSWORD", "value": ADMIN_PASSWORD},
                                    {"name": "PGDATA", "value": "/data/postgres"}],
                            "volumeMounts": self._mounts(),
                            "readinessProbe": {
                                "periodSeconds": 1, "tcpSocket": {"port": self.port}}}]}}}})
        return self

    def _tls_settings(self):
        if not self.tls_secret:
            return {}
        return {"ssl": "on", "ssl_cert_file": "/tls/tls.crt", "ssl_key_file": "/tls/tls.key"}

    def _mounts(self):
        tls = [{"name": "tls", "mountPath": "/tls"}] if self.tls_secret else []
        return [{"name": "data", "mountPath": "/data"}, *tls]

    def _volumes(self):
        """Postgres takes a key of root that its group may read."""
        data = {"name": "data", "emptyDir": {}}
        if not self.tls_secret:
            return {"volumes": [data]}
        tls = {"name": "tls", "secret": {"secretName": self.tls_secret, "defaultMode": 0o640}}
        return {"securityContext": {"fsGroup": 999}, "volumes": [data, tls]}

    def wait_ready(self):
        wait_for(f"Postgres {self.name} is ready", lambda: [
            pod for pod in self.pods() if is_ready(pod)], timeout=90)
        # Ready pods are one thing, a Service that already leads to them another.
        wait_for(f"Postgres {self.name} answers", lambda: self.admin_sql("select 1"), timeout=30)
        return self

    def pods(self):
        return self.cluster.list("Pod", self.namespace, f"app={self.name}")

    @property
    def address(self):
        return next(pod for pod in self.pods() if is_ready(pod))["status"]["podIP"]

    def admin_url(self, database="postgres"):
        return url_of("postgres", ADMIN_PASSWORD, self.host, self.port, database)

    def admin_sql(self, *statements, database="postgres"):
        return self.runner.sql(self.admin_url(database), *statements)

    def database(self, name=None, user=None, password=None):
        """A new database, owned by a new role that may log in."""
        tag = secrets.token_hex(4)
        made = Database(self, name or f"db_{tag}", user or f"user_{tag}",
                        password if password is not None else secrets.token_urlsafe(12))
        self.admin_sql(
            f"create role {ident(made.user)} login password {literal(made.password)}",
            f"create database {ident(made.name)} owner {ident(made.user)}")
        return made

    def set_password(self, database, password):
        self.admin_sql(f"alter role {ident(database.user)} password {literal(password)}")
        database.password = password

    def restart(self):
        """A fast shutdown; the container starts again, with all its data."""
        pod = next(pod for pod in self.pods() if is_ready(pod))
        before = pod["status"]["containerStatuses"][0]["restartCount"]
        self.cluster.exec(self.namespace, pod["metadata"]["name"], "sh", "-c", "kill -INT 1")
        wait_for("Postgres was restarted", lambda: any(
            status["restartCount"] > before for pod in self.pods()
            for status in pod["status"].get("containerStatuses", [])), timeout=60)

    def scale(self, replicas):
        self.cluster.patch("Deployment", self.namespace, self.name,
                           {"spec": {"replicas": replicas}})
        if not replicas:
            wait_for("Postgres is gone", lambda: not self.pods(), timeout=60)

    def connections(self, user=None, database=None):
        """Client backends now, of one role or one database."""
        where = ["backend_type = 'client backend'"]
        where += [f"usename = {literal(user)}"] if user else []
        where += [f"datname = {literal(database)}"] if database else []
        return int(self.admin_sql(
            f"select count(*) from pg_stat_activity where {' and '.join(where)}")[0][0])
