"""The Helm chart: rendered by helm, judged by Kubernetes' own schemas, and its pod run on this machine as a kubelet would."""
import json
import os
import subprocess
import time
from pathlib import Path

import kubernetes_validate
import yaml
from http_client import Broken, Connection
from server import BINARY, ROOT, Server, free_port

CHART = ROOT / "packaging/helm/envoxyd"
MANIFESTS = ROOT / "packaging/kubernetes"
VERSIONS = ["1.33", "1.37"]  # the oldest and the newest of which schemas come with kubernetes-validate
CUSTOM = "monitoring.coreos.com/v1"  # kinds that operators bring; Kubernetes has no schema of them


def helm(*args, status=0):
    """What helm prints."""
    found = sorted((ROOT / ".cache/bin").glob("helm-*"))
    program = os.environ.get("HELM") or (found[-1] if found else None)
    assert program, "there is no helm: make helm builds one"
    done = subprocess.run([program, *map(str, args)], stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout + done.stderr


def render(values, directory, status=0):
    """The text of all objects of a release `shop`, or what helm says if it refuses."""
    path = Path(directory) / "values.json"
    path.write_text(json.dumps(values))
    return helm("template", "shop", CHART, "--namespace", "shops", "--kube-version", "1.37.0", "--values", path, status=status)


class Release:
    """The objects of a rendered release, by kind; there is one of each."""

    def __init__(self, text):
        self.all = [one for one in yaml.safe_load_all(text) if one]
        self.by_kind = {one["kind"]: one for one in self.all}
        assert len(self.by_kind) == len(self.all)

    def __getitem__(self, kind):
        return self.by_kind[kind]

    @property
    def pod(self):
        return self["Deployment"]["spec"]["template"]

    @property
    def container(self):
        return self.pod["spec"]["containers"][0]

    @property
    def ini(self):
        """The options of the ini file; the last of several counts."""
        lines = [line for line in self["ConfigMap"]["data"]["envoxyd.ini"].splitlines()[1:] if not line.startswith(";")]
        return {name.strip(): value.strip() for name, _, value in (line.partition("=") for line in lines)}

    def problems(self, version):
        """What a cluster of that version would refuse."""
        for one in self.all:
            if one["apiVersion"] == CUSTOM:
                continue
            try:
                kubernetes_validate.validate(one, version, strict=True)
            except kubernetes_validate.ValidationError as error:
                yield f"{one['kind']}: {error.message}"


def here(directory, **values):
    """The values with which the pod runs on this machine, with the application in that directory."""
    values.setdefault("server", {}).update(host="127.0.0.1", port=free_port())
    values.setdefault("metrics", {})["port"] = free_port()
    values.setdefault("application", {}).update(directory=str(directory), virtualenv=str(ROOT / ".venv"))
    return values


class Pod(Server):
    """The container of a release, whose values come from here()."""

    def __init__(self, release, files=None):
        self.container, self.told = release.container, None
        self.grace = release.pod["spec"]["terminationGracePeriodSeconds"]
        self.ports = {port["name"]: port["containerPort"] for port in self.container["ports"]}
        assert self.container["command"] == ["envoxyd"]
        super().__init__([], files=files)
        mounted = next(mount["mountPath"] for mount in self.container["volumeMounts"] if mount["name"] == "config")
        for name, text in release["ConfigMap"]["data"].items():
            self.write(f"config/{name}", text.replace(mounted, f"{self.dir}/config"))
        self.argv = [str(BINARY), *(word.replace(mounted, f"{self.dir}/config") for word in self.container["args"])]

    def probe(self, name):
        """Whether a probe would succeed."""
        probe = self.container[name]
        asked = probe.get("httpGet") or probe["tcpSocket"]
        with Connection(self.ports[asked["port"]], timeout=probe["timeoutSeconds"]) as client:
            try:
                if "tcpSocket" in probe:
                    client.open()
                    return True
                host = next((field["value"] for field in asked.get("httpHeaders", []) if field["name"] == "Host"), "localhost")
                client.open()
                client.socket.sendall(f"GET {asked['path']} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
                return 200 <= client.receive().status < 400
            except (OSError, Broken):
                return False

    def terminate(self):
        """What a kubelet does: preStop, TERM, and KILL at the end of the grace period, which is an error here. Returns the status."""
        began = time.monotonic()
        subprocess.run(self.container["lifecycle"]["preStop"]["exec"]["command"], check=True, timeout=self.grace)
        self.told = time.monotonic()
        self.process.terminate()
        return self.wait_exit(self.grace - (time.monotonic() - began))
