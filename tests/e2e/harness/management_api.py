"""What stands for Supabase's Management API: a small HTTP server beside the operator, which run.sh
has told where it is. Each project has its own answers, so tests don't disturb each other."""

from harness.cluster import ApiError, is_ready
from harness.runner import IMAGE
from harness.wait import wait_for

NAME = "management-api"
PORT = 8080

SERVER = r"""
import http.server, json, re, time
answers, asked = {}, []

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def reply(self, status, body, headers=None, delay=0):
        time.sleep(delay)
        data = json.dumps(body).encode()
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self):
        if self.path == "/asked":
            return self.reply(200, asked)
        project = re.fullmatch(r"/v1/projects/([a-z]{20})/config/database/pooler", self.path)
        if not project:
            return self.reply(404, {"message": "Not Found"})
        asked.append([project[1], self.headers.get("Authorization", "")])
        self.reply(*answers.get(project[1], (404, {"message": "Project not found"})))

    def do_PUT(self):
        told = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        answers[told["project"]] = (told["status"], told["body"], told["headers"], told["delay"])
        self.reply(200, {})

    def log_message(self, *_):
        pass

http.server.ThreadingHTTPServer(("", 8080), Handler).serve_forever()
"""


class ManagementApi:
    def __init__(self, cluster, namespace):
        self.cluster = cluster
        self.namespace = namespace

    def create(self):
        """Every worker of the tests may do this: it is the same for all of them, and it stays."""
        labels = {"app": NAME}
        self.cluster.apply({
            "kind": "Service", "metadata": {"name": NAME, "namespace": self.namespace},
            "spec": {"selector": labels, "ports": [{"port": PORT}]}})
        self.cluster.apply({
            "kind": "Deployment", "metadata": {"name": NAME, "namespace": self.namespace},
            "spec": {
                "selector": {"matchLabels": labels}, "replicas": 1,
                "template": {
                    "metadata": {"labels": labels},
                    "spec": {
                        "enableServiceLinks": False, "terminationGracePeriodSeconds": 1,
                        "containers": [{
                            "name": "api", "image": IMAGE, "imagePullPolicy": "IfNotPresent",
                            "command": ["python3", "-c", SERVER],
                            "readinessProbe": {"periodSeconds": 1,
                                               "tcpSocket": {"port": PORT}},
                            "securityContext": {"runAsUser": 65532, "runAsNonRoot": True}}]}}}})
        wait_for("the Management API is ready", lambda: [
            pod for pod in self.cluster.list("Pod", self.namespace, f"app={NAME}") if is_ready(pod)])
        wait_for("the Management API answers", lambda: self.asked() is not None)
        return self

    def _path(self, path):
        return f"/api/v1/namespaces/{self.namespace}/services/{NAME}:{PORT}/proxy{path}"

    def asked(self, project=None):
        """The Authorization headers that it was asked with, in their order; None: it is not up."""
        try:
            seen = self.cluster.request("GET", self._path("/asked"))
        except ApiError as error:
            if error.status in (502, 503):
                return None
            raise
        return [header for ref, header in seen if project in (None, ref)]

    def answers(self, project, status, body, headers=None, delay=0):
        """After `delay` seconds."""
        self.cluster.request("PUT", self._path("/answer"), {
            "project": project, "status": status, "body": body, "headers": headers, "delay": delay})

    def tells(self, project, host, **more):
        """As the API's reference has it."""
        self.answers(project, 200, [{
            "identifier": project, "database_type": "PRIMARY", "is_using_scram_auth": True,
            "db_user": f"postgres.{project}", "db_host": host, "db_port": 6543,
            "db_name": "postgres", "default_pool_size": None, "max_client_conn": None,
            "connection_string": f"postgresql://postgres.{project}:[YOUR-PASSWORD]@{host}:6543/postgres",
            "pool_mode": "transaction", **more}])
