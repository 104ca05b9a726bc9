"""What a failed test leaves: everything that a person would look at first."""

import os
import re


def collect(folder, cluster, operator, namespaces, runner=None):
    os.makedirs(folder, exist_ok=True)

    def save(name, text):
        if text:
            with open(os.path.join(folder, re.sub(r"[^\w.-]", "_", name)), "w") as file:
                file.write(text)

    def command(name, *args):
        done = cluster.kubectl(*args, check=False, timeout=30)
        save(name, done.stdout + done.stderr)

    save("operator.log", operator.logs())
    command("operator.txt", "get", "-n", operator.namespace, "all", "-o", "wide")
    for namespace in namespaces:
        command(f"{namespace}.objects.txt", "get", "-n", namespace, "-o", "wide",
                "poolerconfigs,all,pdb,endpointslices")
        command(f"{namespace}.poolerconfigs.txt", "describe", "-n", namespace, "poolerconfigs")
        command(f"{namespace}.poolerconfigs.yaml", "get", "-n", namespace, "poolerconfigs", "-o",
                "yaml", "--show-managed-fields")
        command(f"{namespace}.pods.txt", "describe", "-n", namespace, "pods")
        command(f"{namespace}.events.txt", "get", "-n", namespace, "events.events.k8s.io",
                "--sort-by=.metadata.creationTimestamp")
        # Names of keys only: no value of a Secret leaves the cluster.
        command(f"{namespace}.secrets.txt", "describe", "-n", namespace, "secrets")
        for pod in cluster.list("Pod", namespace):
            name = pod["metadata"]["name"]
            save(f"{namespace}.{name}.log", cluster.logs(namespace, name))
            save(f"{namespace}.{name}.previous.log", cluster.logs(namespace, name, previous=True))
    if runner:
        save("clients.txt", "\n".join(
            f"{p.argv[:2]}\n" + "\n".join(map(str, p.events[-200:])) + "\n" + "\n".join(p.stderr)
            for p in runner.programs))
