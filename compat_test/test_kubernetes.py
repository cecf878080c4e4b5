"""The Helm chart and the manifests that are made of it: what they hold fits together, and their pods start, answer probes and drain."""
import json
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import yaml
from charts import CHART, CUSTOM, MANIFESTS, VERSIONS, Pod, Release, helm, here, render
from http_client import Connection, eventually, get
from load import Load
from scraping import Prometheus, scrape
from server import BINARY, ROOT
from transports import Transport

APP = """
import time
def application(environ, start_response):
    if environ["PATH_INFO"] == "/slow":
        open("slow", "w").close()
        time.sleep(2)
    start_response("404 Not Found" if environ["PATH_INFO"] == "/ping" else "200 OK", [("Content-Length", "4")])
    return [b"shop"]
"""
VIEWS = """
from envoxy import View, Response, on
@on(endpoint="/shop", protocols=["http"])
class Shop(View):
    def get(self, request, **kwargs):
        return Response({"shop": "open"})
__loader__ = [Shop]
"""
WSGI = {"application": {"kind": "wsgi", "wsgi": {"module": "app:application"}}}
SERVICE = {"application": {"kind": "envoxy", "envoxy": {"config": {"boot": [{"name": "shop"}], "modules": ["views.py"]}}}}
EVERYTHING = {
    **WSGI, "image": {"repository": "registry.example.com/shop", "tag": "1.4.2"}, "imagePullSecrets": [{"name": "registry"}],
    "fullnameOverride": "store", "extraIni": "log-json = true\n", "existingSecret": "shop",
    "env": [{"name": "TZ", "value": "Europe/Lisbon"}], "envFrom": [{"configMapRef": {"name": "more"}}],
    "server": {"threads": 4, "harakiri": 45}, "drain": {"preStopAction": "sleep", "preStopSeconds": 8, "mercySeconds": 20},
    "probes": {"livePath": "/alive", "host": "shop.example.com"},
    "autoscaling": {"enabled": True, "cpu": {"enabled": True}},
    "ingress": {"enabled": True, "className": "nginx", "annotations": {"a/b": "c"},
                "hosts": [{"host": "shop.example.com", "paths": ["/", "/api"]}],
                "tls": [{"secretName": "tls", "hosts": ["shop.example.com"]}]},
    "metrics": {"annotations": True, "serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}}},
    "networkPolicy": {"enabled": True}, "service": {"annotations": {"a": "b"}}, "tmp": {"medium": "Memory"},
    "serviceAccount": {"annotations": {"a": "b"}}, "nodeSelector": {"kubernetes.io/os": "linux"}, "priorityClassName": "high",
    "tolerations": [{"key": "a", "operator": "Exists"}], "podLabels": {"team": "shop"}, "podAnnotations": {"note": "1"},
    "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {
        "nodeSelectorTerms": [{"matchExpressions": [{"key": "arch", "operator": "In", "values": ["amd64"]}]}]}}},
    "initContainers": [{"name": "migrate", "image": "x", "command": ["true"]}],
    "extraVolumes": [{"name": "media", "emptyDir": {}}], "extraVolumeMounts": [{"name": "media", "mountPath": "/srv/media"}],
}
NOTHING = {**WSGI, "metrics": {"enabled": False}, "probes": {"type": "tcp"}, "drain": {"preStopSeconds": 0},
           "disruptionBudget": {"enabled": False}, "serviceAccount": {"create": False}, "topologySpread": [], "resources": {}}
SETS = {"defaults": {}, "everything": EVERYTHING, "nothing": NOTHING, "service": SERVICE, "wsgi": WSGI}
REFUSED = {
    "procesess": {"server": {"procesess": 2}}, "module": {"application": {"kind": "wsgi"}}, "kind": {"application": {"kind": "asgi"}},
    "hosts": {"ingress": {"enabled": True}}, "needs a metric": {"autoscaling": {"enabled": True, "busy": {"enabled": False}}},
    "needs metrics.enabled": {"autoscaling": {"enabled": True}, "metrics": {"enabled": False}},
    "resources.requests.cpu": {"autoscaling": {"enabled": True, "cpu": {"enabled": True}}, "resources": {"requests": {"cpu": None}}},
}


@pytest.fixture(params=SETS)
def release(request, tmp_path):
    return Release(render(SETS[request.param], tmp_path))


@pytest.fixture
def run(tmp_path):
    """run(values, files) starts the pod of a release with these values; (release, pod)."""
    started = []

    def start(values, files):
        values = json.loads(json.dumps(values))  # a copy
        directory = tmp_path / "srv"
        directory.mkdir()
        for name, text in files.items():
            (directory / name).write_text(text)
        release = Release(render(here(directory, **values), tmp_path))
        pod = Pod(release)
        started.append(pod)
        return release, pod.start()

    yield start
    for pod in started:
        print(pod.log()[-3000:])
        pod.close()


def covers(labels, selector):
    return selector.items() <= labels.items()


@pytest.mark.parametrize("version", VERSIONS)
def test_kubernetes_knows_every_field(release, version):
    assert list(release.problems(version)) == []


def test_a_field_that_is_none_is_found(tmp_path):
    release = Release(render({}, tmp_path))
    release.pod["spec"]["terminationGrace"] = release["Service"]["spec"].pop("ports") and 1
    release["PodDisruptionBudget"]["spec"]["maxUnavailable"] = [1]
    assert [problem.split(":")[0] for problem in release.problems("1.37")] == ["PodDisruptionBudget", "Deployment"]


def test_what_refers_to_others_finds_them(release):
    labels, spec, container = release.pod["metadata"]["labels"], release.pod["spec"], release.container
    deployment, ports = release["Deployment"], {port["name"] for port in container["ports"]}
    for selector in (deployment["spec"]["selector"]["matchLabels"], release["Service"]["spec"]["selector"]):
        assert covers(labels, selector)
    assert not covers(release["Pod"]["metadata"]["labels"], release["Service"]["spec"]["selector"])
    assert {port["targetPort"] for port in release["Service"]["spec"]["ports"]} <= ports
    for name in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert (container[name].get("httpGet") or container[name]["tcpSocket"])["port"] in ports
    assert {mount["name"] for mount in container["volumeMounts"]} == {volume["name"] for volume in spec["volumes"]}
    assert spec["volumes"][0]["configMap"]["name"] == release["ConfigMap"]["metadata"]["name"]
    kinds = release.by_kind
    if "ServiceAccount" in kinds:
        assert spec["serviceAccountName"] == kinds["ServiceAccount"]["metadata"]["name"]
    if "PodDisruptionBudget" in kinds:
        assert covers(labels, kinds["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"])
    if "NetworkPolicy" in kinds:
        assert {port["port"] for rule in kinds["NetworkPolicy"]["spec"]["ingress"] for port in rule["ports"]} == ports
    if "Ingress" in kinds:
        backends = [path["backend"]["service"] for rule in kinds["Ingress"]["spec"]["rules"] for path in rule["http"]["paths"]]
        assert backends and all(one["name"] == release["Service"]["metadata"]["name"] for one in backends)
    if "HorizontalPodAutoscaler" in kinds:
        assert kinds["HorizontalPodAutoscaler"]["spec"]["scaleTargetRef"]["name"] == deployment["metadata"]["name"]
    assert ("replicas" in deployment["spec"]) is ("HorizontalPodAutoscaler" not in kinds)
    if "ServiceMonitor" in kinds:
        monitor = kinds["ServiceMonitor"]
        assert monitor["apiVersion"] == CUSTOM and set(monitor["spec"]) == {"selector", "endpoints"}
        assert covers(release["Service"]["metadata"]["labels"], monitor["spec"]["selector"]["matchLabels"])
        assert monitor["spec"]["endpoints"][0]["port"] in {port["name"] for port in release["Service"]["spec"]["ports"]}


def test_times_agree(release):
    """A request that harakiri lets go on ends before the pod is killed, and is no reason to restart it."""
    ini, container = release.ini, release.container
    hook = container.get("lifecycle", {}).get("preStop", {})
    slept = int(hook["exec"]["command"][1]) if "exec" in hook else hook.get("sleep", {}).get("seconds", 0)
    assert release.pod["spec"]["terminationGracePeriodSeconds"] >= slept + int(ini["worker-reload-mercy"]) + 8
    live = container["livenessProbe"]
    assert live["periodSeconds"] * (live["failureThreshold"] - 1) > int(ini["harakiri"])


def test_pods_may_do_little(release):
    """The restricted profile of Pod Security Standards, and nothing written outside of volumes."""
    for spec in (release.pod["spec"], release["Pod"]["spec"]):
        assert spec["securityContext"]["runAsNonRoot"] and spec["securityContext"]["seccompProfile"]["type"] == "RuntimeDefault"
        assert spec["automountServiceAccountToken"] is False and spec["enableServiceLinks"] is False
        context = spec["containers"][0]["securityContext"]
        assert context == {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}


def test_all_kinds_are_there(tmp_path):
    kinds = {"Deployment", "Service", "ConfigMap", "ServiceAccount", "PodDisruptionBudget", "Pod"}
    assert set(Release(render({}, tmp_path)).by_kind) == kinds
    more = {"Ingress", "HorizontalPodAutoscaler", "ServiceMonitor", "NetworkPolicy"}
    assert set(Release(render(EVERYTHING, tmp_path)).by_kind) == kinds | more
    assert set(Release(render(NOTHING, tmp_path)).by_kind) == {"Deployment", "Service", "ConfigMap", "Pod"}
    assert "PodDisruptionBudget" not in Release(render({"replicaCount": 1}, tmp_path)).by_kind


@pytest.mark.parametrize("said", REFUSED)
def test_values_that_cannot_work_are_refused(said, tmp_path):
    assert said in render(REFUSED[said], tmp_path, status=1)


def test_helm_finds_nothing(tmp_path):
    for values in SETS.values():
        (tmp_path / "values.json").write_text(json.dumps(values))
        assert "0 chart(s) failed" in helm("lint", "--strict", "--kube-version", "1.37.0", "--values", tmp_path / "values.json", CHART)
    helm("package", "--destination", tmp_path, CHART)
    assert yaml.safe_load((CHART / "Chart.yaml").read_text())["appVersion"] == (ROOT / "VERSION").read_text().strip()


def test_a_changed_configuration_is_rolled_out(tmp_path):
    before, after = (Release(render({"server": {"harakiri": seconds}}, tmp_path)) for seconds in (60, 61))
    assert before.pod["metadata"]["annotations"] != after.pod["metadata"]["annotations"]


def test_the_manifests_are_those_of_the_chart(tmp_path):
    done = subprocess.run([MANIFESTS / "render", tmp_path], stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    made = sorted(path.name for path in tmp_path.iterdir())
    assert made == ["envoxy.yaml", "wsgi.yaml"]
    for name in made:
        text = (MANIFESTS / name).read_text()
        assert text == (tmp_path / name).read_text(), f"packaging/kubernetes/render makes another {name}"
        assert "helm.sh" not in text and "Helm" not in text.replace("packaging/helm", "")
        assert list(Release(text).problems("1.37")) == []


@pytest.mark.parametrize("kind", ["wsgi", "service"])
def test_a_pod_answers_its_probes_and_drains(run, kind):
    """Nothing is refused or cut: before TERM the pod serves on, after it what is in progress ends."""
    values, files = (WSGI, {"app.py": APP}) if kind == "wsgi" else (SERVICE, {"views.py": VIEWS})
    release, pod = run({**values, "drain": {"preStopSeconds": 2}, "server": {"processes": 2, "threads": 2, "listen": 128}}, files)
    ini = pod.dir / "config/envoxyd.ini"
    checked = subprocess.run([BINARY, "--ini", ini, "--check"], stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    paths = [release.container[name]["httpGet"]["path"] for name in ("livenessProbe", "readinessProbe")]
    assert paths == {"wsgi": ["/ping", "/ping"], "service": ["/health/live", "/health/ready"]}[kind]
    for name in ("startupProbe", "livenessProbe", "readinessProbe"):
        eventually(lambda name=name: pod.probe(name), 30)
    way = Transport("pod", [], pod.ports["http"], True, None)
    with Load(way, clients=3, path="/shop?{number}") as load:
        load.wait_for(20)
        held = None
        if kind == "wsgi":
            held = Connection(way.port, timeout=20)
            threading.Timer(1, held.send, ["/slow"]).start()
        assert pod.terminate() == 0
        if held:
            assert held.receive().text == "shop"
        eventually(load.failures)
    # What is on its way to a socket in the moment in which it is closed is nobody's.
    assert min(request.ended for request in load.failures()) > pod.told
    assert not [request for request in load.failures() if request.sent < pod.told - 0.1]
    assert max(request.ended for request in load.requests if not request.error) > pod.told - 0.5  # it has served until then
    assert not pod.probe("readinessProbe")
    pod.wait_gone()


def test_probes_by_tcp(run):
    release, pod = run({**WSGI, "probes": {"type": "tcp"}, "drain": {"preStopSeconds": 1}}, {"app.py": APP})
    assert "route" not in release.ini
    eventually(lambda: pod.probe("readinessProbe"), 30)
    assert pod.terminate() == 0 and not pod.probe("livenessProbe")


def test_the_pod_of_helm_test_asks(run):
    release, pod = run(WSGI, {"app.py": APP})
    eventually(lambda: pod.probe("startupProbe"), 30)
    container = release["Pod"]["spec"]["containers"][0]
    program, flag, script = container["command"]
    assert (program, flag) == ("python3", "-c") and container["args"][:2] == [release["Service"]["metadata"]["name"], "80"]

    def ask(path):
        words = ["127.0.0.1", str(pod.ports["http"]), container["args"][2], path, container["args"][4]]
        return subprocess.run([sys.executable, flag, script, *words], capture_output=True, text=True)
    assert ask(container["args"][3]).stdout == "200\n"
    pod.terminate()
    assert ask(container["args"][3]).returncode == 1


def test_the_autoscaler_sees_busy_workers(run):
    """The adapter's rule, asked of a real Prometheus: one of two is half, whatever a worker's state says."""
    release, pod = run({**WSGI, "autoscaling": {"enabled": True}, "server": {"processes": 1, "threads": 2}}, {"app.py": APP})
    eventually(lambda: pod.probe("readinessProbe"), 30)
    rule = yaml.safe_load((MANIFESTS / "prometheus-adapter.yaml").read_text())["rules"]["custom"][0]
    metric = release["HorizontalPodAutoscaler"]["spec"]["metrics"][0]["pods"]
    assert metric["metric"]["name"] == rule["name"]["as"]
    samples = scrape(pod.ports["metrics"])
    assert samples["envoxyd_request_slots"] == 2 and "envoxyd_requests_in_progress" in samples
    labels = {"namespace": "shops", "pod": "shop-1"}
    assert set(rule["resources"]["overrides"]) == set(labels)
    matchers = ",".join(f'{name}="{value}"' for name, value in labels.items())
    query = rule["metricsQuery"].replace("<<.LabelMatchers>>", matchers).replace("<<.GroupBy>>", "pod")
    over = threading.Event()

    def busy():
        while not over.is_set():
            get(pod.ports["http"], "/slow")
    thread = threading.Thread(target=busy)
    thread.start()
    try:
        eventually(lambda: scrape(pod.ports["metrics"])["envoxyd_requests_in_progress"] == 1)
        prometheus = Prometheus(pod.ports["metrics"], labels)
        try:
            prometheus.wait(rule["seriesQuery"], lambda found: found == [2])
            prometheus.wait(query, lambda found: len(found) == 1 and 0.3 < found[0] <= 0.5)
        finally:
            prometheus.close()
    finally:
        over.set()
        thread.join()


def test_each_value_is_used_and_explained():
    used = "".join(path.read_text() for path in Path(CHART, "templates").rglob("*.*"))
    text = (CHART / "values.yaml").read_text()
    for name, value in yaml.safe_load(text).items():
        assert f".Values.{name}" in used, name
        for key in value if isinstance(value, dict) and not name.endswith(("ontext", "resources", "rollingUpdate")) else ():
            assert f".{key}" in used, f"{name}.{key}"
    assert [part for part in text.split("\n\n") if "#" not in part] == []
