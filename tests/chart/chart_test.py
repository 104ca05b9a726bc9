#!/usr/bin/python3
"""What the chart renders for which values, and which values it refuses. HELM names the program."""
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
CHART = ROOT / "charts" / "pooler-operator"


HELM = os.environ.get("HELM") or sys.exit("HELM does not name a program; see tests/chart/run.sh")


def helm(*arguments, values=None):
    """Runs helm on the chart; returns its result as subprocess has it."""
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(values or {}, file)
        file.flush()
        environment = {"PATH": os.environ["PATH"], "HOME": tempfile.gettempdir(),
                       "KUBECONFIG": os.devnull}
        return subprocess.run([HELM, *arguments, str(CHART), "--values", file.name],
                              capture_output=True, text=True, env=environment)


class Rendered:
    def __init__(self, values=None, namespace="pooler-system", release="pooler-operator"):
        done = helm("template", release, "--namespace", namespace, values=values)
        assert done.returncode == 0, done.stderr
        self.text = done.stdout
        self.objects = [o for o in yaml.safe_load_all(done.stdout) if o]

    def kinds(self):
        return sorted(o["kind"] for o in self.objects)

    def all(self, kind):
        return [o for o in self.objects if o["kind"] == kind]

    def one(self, kind):
        found = self.all(kind)
        assert len(found) == 1, f"{len(found)} objects of kind {kind}"
        return found[0]

    def pod(self):
        return self.one("Deployment")["spec"]["template"]

    def container(self):
        containers = self.pod()["spec"]["containers"]
        assert len(containers) == 1
        return containers[0]


# What the operator does, and no more; pods and Secrets are what an attacker would like most.
VERBS = {
    ("pooler.dev", "poolerconfigs"): {"get", "list", "watch"},
    ("pooler.dev", "poolerconfigs/status"): {"patch"},
    ("pooler.dev", "poolerconfigs/finalizers"): {"update"},
    ("", "secrets"): {"get", "list", "watch", "create", "patch", "delete"},
    ("", "services"): {"get", "list", "watch", "create", "patch", "delete"},
    ("apps", "statefulsets"): {"get", "list", "watch", "create", "patch", "delete"},
    ("", "pods"): {"get", "list", "watch", "create", "patch", "delete"},
    ("policy", "poddisruptionbudgets"): {"get", "list", "watch", "create", "patch", "delete"},
    ("networking.k8s.io", "networkpolicies"): {"get", "list", "watch", "create", "patch", "delete"},
    ("events.k8s.io", "events"): {"create"},
}


def verbs_of(role):
    return {(group, resource): set(rule["verbs"]) for rule in role["rules"]
            for group in rule["apiGroups"] for resource in rule["resources"]}


class Defaults(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.chart = Rendered()

    def test_objects(self):
        self.assertEqual(self.chart.kinds(), ["ClusterRole", "ClusterRoleBinding",
                                              "CustomResourceDefinition", "Deployment",
                                              "ServiceAccount"])

    def test_every_object_is_labelled(self):
        for item in self.chart.objects:
            labels = item["metadata"]["labels"]
            self.assertEqual(labels["app.kubernetes.io/name"], "pooler-operator", item["kind"])
            self.assertEqual(labels["app.kubernetes.io/instance"], "pooler-operator")
            self.assertEqual(labels["app.kubernetes.io/managed-by"], "Helm")

    def test_one_replica_recreated(self):
        spec = self.chart.one("Deployment")["spec"]
        self.assertEqual(spec["replicas"], 1)
        self.assertEqual(spec["strategy"], {"type": "Recreate"})
        labels = self.chart.pod()["metadata"]["labels"]
        for key, value in spec["selector"]["matchLabels"].items():
            self.assertEqual(labels[key], value)

    def test_the_poolers_network_policies_know_the_operator(self):
        self.assertEqual(self.chart.pod()["metadata"]["labels"]["pooler.dev/component"], "operator")

    def test_selector_never_changes(self):
        # Immutable in a Deployment: no version, nothing that an upgrade would change.
        self.assertEqual(set(self.chart.one("Deployment")["spec"]["selector"]["matchLabels"]),
                         {"app.kubernetes.io/name", "app.kubernetes.io/instance",
                          "app.kubernetes.io/component"})

    def test_pod_security_restricted(self):
        pod = self.chart.pod()["spec"]
        self.assertTrue(pod["securityContext"]["runAsNonRoot"])
        self.assertGreater(pod["securityContext"]["runAsUser"], 0)
        self.assertEqual(pod["securityContext"]["seccompProfile"], {"type": "RuntimeDefault"})
        self.assertNotIn("hostNetwork", pod)
        self.assertNotIn("volumes", pod)
        container = self.chart.container()["securityContext"]
        self.assertEqual(container, {"allowPrivilegeEscalation": False,
                                     "readOnlyRootFilesystem": True,
                                     "capabilities": {"drop": ["ALL"]}})

    def test_token_only_in_the_operators_pod(self):
        self.assertIs(self.chart.one("ServiceAccount")["automountServiceAccountToken"], False)
        self.assertIs(self.chart.pod()["spec"]["automountServiceAccountToken"], True)

    def test_probes(self):
        container = self.chart.container()
        self.assertEqual(container["ports"], [{"name": "http", "containerPort": 8081}])
        for probe, path in (("livenessProbe", "/healthz"), ("readinessProbe", "/readyz")):
            self.assertEqual(container[probe]["httpGet"], {"path": path, "port": "http"})

    def test_resources(self):
        self.assertEqual(self.chart.container()["resources"],
                         {"requests": {"cpu": "10m", "memory": "32Mi"},
                          "limits": {"memory": "128Mi"}})

    def test_arguments_and_images(self):
        version = yaml.safe_load((CHART / "Chart.yaml").read_text())["appVersion"]
        self.assertEqual(self.chart.container()["image"], f"pooler-operator:{version}")
        self.assertEqual(self.chart.container()["args"],
                         ["--pgbouncer-image=pgbouncer:1.26.1", "--workers=2", "--log-level=info",
                          "--log-format=json", "--http-port=8081"])

    def test_version_is_the_projects(self):
        version = yaml.safe_load((CHART / "Chart.yaml").read_text())["appVersion"]
        self.assertIn(f"VERSION {version} ", (ROOT / "CMakeLists.txt").read_text())


class Rights(unittest.TestCase):
    def test_cluster(self):
        chart = Rendered()
        self.assertEqual(verbs_of(chart.one("ClusterRole")), VERBS)
        binding = chart.one("ClusterRoleBinding")
        self.assertEqual(binding["roleRef"]["name"], chart.one("ClusterRole")["metadata"]["name"])
        self.assertEqual(binding["subjects"], [{"kind": "ServiceAccount",
                                                "name": "pooler-operator",
                                                "namespace": "pooler-system"}])

    def test_namespaces(self):
        chart = Rendered({"watchNamespaces": ["shop", "blog"]})
        self.assertEqual(chart.kinds(), ["CustomResourceDefinition", "Deployment", "Role", "Role",
                                         "RoleBinding", "RoleBinding", "ServiceAccount"])
        self.assertEqual([r["metadata"]["namespace"] for r in chart.all("Role")], ["shop", "blog"])
        for role, binding in zip(chart.all("Role"), chart.all("RoleBinding")):
            self.assertEqual(verbs_of(role), VERBS)
            self.assertEqual(binding["metadata"]["namespace"], role["metadata"]["namespace"])
            self.assertEqual(binding["roleRef"], {"apiGroup": "rbac.authorization.k8s.io",
                                                  "kind": "Role", "name": "pooler-operator"})
            self.assertEqual(binding["subjects"][0]["namespace"], "pooler-system")
        arguments = chart.container()["args"]
        self.assertEqual([a for a in arguments if "namespace" in a],
                         ["--watch-namespace=shop", "--watch-namespace=blog"])

    def test_each_rule_says_why(self):
        lines = (CHART / "templates" / "_helpers.tpl").read_text().splitlines()
        rules = [i for i, line in enumerate(lines) if line.startswith("- apiGroups")]
        self.assertEqual(len(rules), len(VERBS))
        without = [lines[i + 1].strip() for i in rules if not lines[i - 1].startswith("#")]
        # The status goes with the rule above it.
        self.assertEqual(without, ["resources: [poolerconfigs/status]"])


class Crd(unittest.TestCase):
    def source(self):
        return yaml.safe_load((ROOT / "crds" / "poolerconfigs.yaml").read_text())

    def test_is_the_projects(self):
        crd = Rendered().one("CustomResourceDefinition")
        self.assertEqual(crd["spec"], self.source()["spec"])
        self.assertEqual(crd["metadata"]["name"], self.source()["metadata"]["name"])
        for key, value in self.source()["metadata"].get("labels", {}).items():
            self.assertEqual(crd["metadata"]["labels"][key], value)

    def test_kept_by_default(self):
        keep = {"helm.sh/resource-policy": "keep"}
        self.assertEqual(Rendered().one("CustomResourceDefinition")["metadata"]["annotations"],
                         keep)
        crd = Rendered({"crds": {"keep": False}}).one("CustomResourceDefinition")
        self.assertNotIn("annotations", crd["metadata"])

    def test_left_out(self):
        self.assertNotIn("CustomResourceDefinition",
                         Rendered({"crds": {"enabled": False}}).kinds())


class Values(unittest.TestCase):
    def test_images(self):
        digest = "sha256:" + "ab" * 32
        chart = Rendered({"image": {"repository": "registry.example:5000/team/operator",
                                    "tag": "dev", "pullPolicy": "Never"},
                          "pgbouncerImage": {"repository": "registry.example/pgbouncer",
                                             "digest": digest},
                          "imagePullSecrets": [{"name": "login"}]})
        self.assertEqual(chart.container()["image"], "registry.example:5000/team/operator:dev")
        self.assertEqual(chart.container()["imagePullPolicy"], "Never")
        self.assertIn(f"--pgbouncer-image=registry.example/pgbouncer@{digest}",
                      chart.container()["args"])
        self.assertEqual(chart.pod()["spec"]["imagePullSecrets"], [{"name": "login"}])

    def test_pod(self):
        values = {"nodeSelector": {"disk": "ssd"}, "tolerations": [{"operator": "Exists"}],
                  "affinity": {"nodeAffinity": {}}, "priorityClassName": "high",
                  "podAnnotations": {"a": "1"}, "podLabels": {"team": "data"},
                  "resources": {"limits": {"memory": "64Mi"}}, "workers": 4,
                  "logLevel": "debug", "logFormat": "text"}
        chart = Rendered(values)
        spec = chart.pod()["spec"]
        for key in ("nodeSelector", "tolerations", "affinity", "priorityClassName"):
            self.assertEqual(spec[key], values[key])
        self.assertEqual(chart.pod()["metadata"]["annotations"], {"a": "1"})
        self.assertEqual(chart.pod()["metadata"]["labels"]["team"], "data")
        self.assertEqual(chart.container()["resources"]["limits"], {"memory": "64Mi"})
        for argument in ("--workers=4", "--log-level=debug", "--log-format=text"):
            self.assertIn(argument, chart.container()["args"])

    def test_management_api_elsewhere(self):
        chart = Rendered({"supabase": {"apiUrl": "https://proxy.example.com/supabase"}})
        self.assertIn("--supabase-api=https://proxy.example.com/supabase", chart.container()["args"])
        # Values of a release from before there was such a thing.
        self.assertEqual(Rendered({"supabase": None}).container()["args"],
                         Rendered().container()["args"])

    def test_names(self):
        self.assertEqual(Rendered(release="two").one("Deployment")["metadata"]["name"],
                         "two-pooler-operator")
        chart = Rendered({"fullnameOverride": "pools", "nameOverride": "p",
                          "serviceAccount": {"name": "robot", "annotations": {"role": "x"}}})
        self.assertEqual(chart.one("Deployment")["metadata"]["name"], "pools")
        self.assertEqual(chart.one("ServiceAccount")["metadata"]["name"], "robot")
        self.assertEqual(chart.one("ServiceAccount")["metadata"]["annotations"], {"role": "x"})
        self.assertEqual(chart.pod()["spec"]["serviceAccountName"], "robot")
        self.assertEqual(chart.one("ClusterRoleBinding")["subjects"][0]["name"], "robot")

    def test_schema_covers_values(self):
        values = yaml.safe_load((CHART / "values.yaml").read_text())
        schema = json.loads((CHART / "values.schema.json").read_text())
        self.assertEqual(set(values) | {"global"}, set(schema["properties"]))
        for key, part in schema["properties"].items():
            if isinstance(values.get(key), dict) and "properties" in part and key != "resources":
                self.assertEqual(set(values[key]), set(part["properties"]), key)

    def test_wrong_values_are_refused_by_name(self):
        for values, words in (
                ({"replicas": 2}, "replicas"),
                ({"image": {"repo": "x"}}, "repo"),
                ({"image": {"repository": ""}}, "/image/repository"),
                ({"image": {"digest": "ab12"}}, "/image/digest"),
                ({"image": {"pullPolicy": "Sometimes"}}, "/image/pullPolicy"),
                ({"pgbouncerImage": {"tag": ""}}, "/pgbouncerImage"),
                ({"crds": {"keep": "yes"}}, "/crds/keep"),
                ({"watchNamespaces": "shop"}, "/watchNamespaces"),
                ({"watchNamespaces": ["Shop"]}, "/watchNamespaces/0"),
                ({"watchNamespaces": ["a", "a"]}, "/watchNamespaces"),
                ({"logLevel": "verbose"}, "/logLevel"),
                ({"logFormat": "xml"}, "/logFormat"),
                ({"workers": 0}, "/workers"),
                ({"supabase": {"apiUrl": "api.example.com"}}, "/supabase/apiUrl"),
                ({"supabase": {"apiUrl": "https://me:s3cret@api.example.com"}}, "/supabase/apiUrl"),
                ({"supabase": {"apiUrl": "https://api.example.com?a=b"}}, "/supabase/apiUrl"),
                ({"supabase": {"token": "x"}}, "token"),
                ({"resources": {"request": {}}}, "request"),
                ({"imagePullSecrets": ["login"]}, "/imagePullSecrets/0"),
                ({"podLabels": {"a": 1}}, "/podLabels/a"),
        ):
            with self.subTest(values=values):
                done = helm("template", "x", values=values)
                self.assertNotEqual(done.returncode, 0)
                self.assertIn(words, done.stderr)


class Notes(unittest.TestCase):
    def notes(self, values=None):
        done = helm("install", "pooler-operator", "--namespace", "pooler-system",
                    "--dry-run=client", values=values)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout.split("NOTES:\n", 1)[1]

    def test_say_what_to_do_and_which_url_is_which(self):
        notes = self.notes()
        for words in ("kubectl create secret generic orders-db", "kubectl wait --for=condition=Ready",
                      "DATABASE_URL        is the DIRECT one", "all namespaces",
                      "Uninstalling this release keeps"):
            self.assertIn(words, notes)

    def test_the_example_is_valid_yaml(self):
        text = self.notes().split("<<END\n", 1)[1].split("   END\n", 1)[0]
        example = yaml.safe_load(text)
        self.assertEqual(example["kind"], "PoolerConfig")
        self.assertEqual(example["spec"]["replicas"], 2)

    def test_warn_where_data_would_go(self):
        self.assertIn("WARNING: crds.keep is false", self.notes({"crds": {"keep": False}}))

    def test_name_the_namespaces(self):
        self.assertIn("these namespaces: shop, blog.",
                      self.notes({"watchNamespaces": ["shop", "blog"]}))


class Lint(unittest.TestCase):
    def test_helm_lint_strict(self):
        done = helm("lint", "--strict")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)


if __name__ == "__main__":
    tests = unittest.defaultTestLoader.loadTestsFromModule(sys.modules[__name__])
    result = unittest.TextTestRunner().run(tests)
    failed = len(result.failures) + len(result.errors)
    print(f"{result.testsRun - failed} passed, {failed} failed")
    sys.exit(0 if result.wasSuccessful() and result.testsRun else 1)
