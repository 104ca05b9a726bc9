"""Certificates made on the spot, as cert-manager would put them into Secrets; and what a pod shows."""

import hashlib
import os
import re
import ssl
import subprocess
import tempfile


def openssl(*args, stdin=None):
    return subprocess.run(["openssl", *args], input=stdin, capture_output=True, text=True,
                          check=True).stdout


def new_key():
    return openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout")


class Authority:
    def __init__(self, name="an authority of the tests"):
        self.key = new_key()
        with tempfile.TemporaryDirectory() as folder:
            key = self._file(folder, "ca.key", self.key)
            self.certificate = openssl("req", "-x509", "-new", "-key", key, "-subj", f"/CN={name}",
                                       "-days", "2", "-addext", "keyUsage=critical,keyCertSign")

    def issue(self, *names):
        """The data of a Secret of type kubernetes.io/tls for a server of these names."""
        key = new_key()
        with tempfile.TemporaryDirectory() as folder:
            path = self._file(folder, "tls.key", key)
            request = openssl("req", "-new", "-key", path, "-subj", f"/CN={names[0]}")
            extensions = self._file(folder, "extensions", "subjectAltName=" + ",".join(
                f"DNS:{name}" for name in names))
            certificate = openssl(
                "x509", "-req", "-CA", self._file(folder, "ca.crt", self.certificate),
                "-CAkey", self._file(folder, "ca.key", self.key), "-CAcreateserial", "-days", "2",
                "-extfile", extensions, stdin=request)
        return {"tls.crt": certificate, "tls.key": key, "ca.crt": self.certificate}

    @staticmethod
    def _file(folder, name, text):
        path = os.path.join(folder, name)
        with open(path, "w", encoding="ascii") as file:
            file.write(text)
        return path


def tls_secret(cluster, namespace, name, data):
    """Makes or renews a Secret with certificates."""
    kind = "kubernetes.io/tls" if "tls.key" in data else "Opaque"
    cluster.apply({"kind": "Secret", "metadata": {"name": name, "namespace": namespace}, "type": kind,
                   "stringData": data})
    return name


def fingerprint(data):
    """Of the certificate in such a Secret."""
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(data["tls.crt"])).hexdigest()


def shown_by(runner, address, port=6432):
    """Fingerprint of the certificate that clients are shown there now; None where they are not."""
    script = (f"echo | openssl s_client -starttls postgres -connect {address}:{port} 2>/dev/null"
              " | openssl x509 -noout -fingerprint -sha256 2>/dev/null")
    found = re.search(r"Fingerprint=([0-9A-F:]+)", runner.run(["sh", "-c", script]).get("text", ""))
    return found and found.group(1).replace(":", "").lower()


def trusted_file(runner, name, pem):
    """A file in the runner's pod, as an application would mount the Secret's ca.crt."""
    path = f"/tmp/{name}.crt"
    done = runner.run(["sh", "-c", f'printf "%s" "$PEM" > {path}'], {"PEM": pem})
    assert done["exit_code"] == 0, done
    return path
