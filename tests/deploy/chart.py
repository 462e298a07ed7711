"""`make chart`: the chart linted, rendered with several values by Helm, and what comes out looked at.

python -m tests.deploy.chart HELM
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from ruamel.yaml import YAML

from kbs.config import InvalidConfig, read_config
from tests.conftest import ROOT

CHART: Final = ROOT / "deploy" / "helm" / "kbs"
NEEDED: Final[dict[str, Any]] = {
    "image": {"repository": "registry.example/kbs", "digest": "sha256:" + "ab" * 32},
    "database": {"url": "postgresql://kbs@db.example/kbs"},
}
GOOD: Final[Mapping[str, dict[str, Any]]] = {
    "as it is": {},
    "one replica behind a mesh": {"replicas": 1, "tls": {"secret": "", "behindProxy": True}},
    "everything": {
        "endorsementsClaim": "endorsements",
        "config": {"sources": {"fetch": True}, "guests": {"session-seconds": 60}, "listen": {"port": 8443}},
        "extraVolumes": [{"name": "hsm", "secret": {"secretName": "hsm"}}],
        "extraVolumeMounts": [{"name": "hsm", "mountPath": "/hsm"}],
        "metrics": {"enabled": True, "podMonitor": True},
        "networkPolicy": {"guests": [{"namespaceSelector": {}}], "egress": [{"ports": [{"port": 443}]}]},
        "nodeSelector": {"a": "b"}, "tolerations": [{"operator": "Exists"}], "podAnnotations": {"a": "b"},
        "affinity": {"nodeAffinity": {}}, "image": {"pullSecrets": ["registry"]},
    },
    "nothing that can be left out": {
        "metrics": {"enabled": False}, "networkPolicy": {"enabled": False},
        "database": {"caConfigMap": {"name": ""}},
    },
}  # fmt: skip
BAD: Final[Mapping[str, dict[str, Any]]] = {
    "a password in the URL": {"database": {"url": "postgresql://kbs:word@db.example/kbs"}},
    "no image": {"image": {"repository": ""}},
    "whatever is newest": {"image": {"digest": "", "tag": "latest"}},
    "a value that nobody reads": {"adminKey": "kbsadm_"},
    "no TLS by accident": {"tls": {"secret": ""}},
}


def rendered(helm: str, values: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The documents. Raises CalledProcessError with what Helm said."""
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(merged(NEEDED, values), file)
        file.flush()
        command = [helm, "template", "kbs", str(CHART), "--namespace", "kbs", "--values", file.name]
        command += ["--kube-version", "1.30.0"]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [one for one in YAML(typ="safe").load_all(done.stdout) if one]


def merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    found = dict(below)
    for name, value in above.items():
        old = found.get(name)
        found[name] = merged(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return found


def faults(documents: list[dict[str, Any]]) -> Iterator[str]:
    """Where a rendered chart is not as it must be."""
    kinds = {document["kind"]: document for document in documents}
    if "Secret" in kinds:
        yield "it makes a secret"
    pod = kinds["Deployment"]["spec"]["template"]["spec"]
    yield from _of_pod(pod)
    (container,) = pod["containers"]
    yield from _of_probes(container)
    config = YAML(typ="safe").load(kinds["ConfigMap"]["data"]["kbs.yaml"])
    yield from _of_configuration(config, pod, container)
    listen = config["listen"]
    if pod["terminationGracePeriodSeconds"] <= listen["drain-seconds"] + listen["finish-seconds"]:
        yield "it is killed before it has drained"
    selector = kinds["Deployment"]["spec"]["selector"]["matchLabels"]
    if kinds["Service"]["spec"]["selector"] != selector:
        yield "the service selects others"
    if "NetworkPolicy" in kinds:
        policy = kinds["NetworkPolicy"]["spec"]
        if policy["podSelector"]["matchLabels"] != selector or set(policy["policyTypes"]) != {
            "Ingress",
            "Egress",
        }:
            yield "the network policy is not about this broker, both ways"
        if any("from" not in one for one in policy["ingress"] if one["ports"] == [{"port": 9464}]):
            yield "everybody reads metrics"


def _of_pod(pod: Mapping[str, Any]) -> Iterator[str]:
    """Kubernetes' own standard `restricted`, and a read-only root."""
    whole = pod["securityContext"]
    if (
        not whole["runAsNonRoot"]
        or not whole["runAsUser"]
        or whole["seccompProfile"] != {"type": "RuntimeDefault"}
    ):
        yield "the pod is not restricted"
    if pod["automountServiceAccountToken"]:
        yield "it has a token of the API"
    for container in (*pod["initContainers"], *pod["containers"]):
        if container["securityContext"] != {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }:
            yield f"{container['name']} is not restricted"
        if "memory" not in container["resources"]["limits"]:
            yield f"{container['name']} has no bound of memory"
        if container.get("env"):
            yield f"{container['name']} has an environment, where a secret could stand"
        names = {one["name"] for one in pod["volumes"]}
        if {one["name"] for one in container["volumeMounts"]} - names:
            yield f"{container['name']} mounts what is not there"


def _of_probes(container: Mapping[str, Any]) -> Iterator[str]:
    paths = {
        name: container[f"{name}Probe"]["httpGet"]["path"] for name in ("startup", "liveness", "readiness")
    }
    if paths != {"startup": "/healthz", "liveness": "/healthz", "readiness": "/readyz"}:
        yield f"probes ask {paths}"


def _of_configuration(
    config: dict[str, Any], pod: Mapping[str, Any], container: Mapping[str, Any]
) -> Iterator[str]:
    """Its keys are the broker's, and what it names is mounted."""
    mounts = [one["mountPath"] for one in container["volumeMounts"]]
    try:
        read_config(json.dumps(config).encode(), Path("/etc/kbs/config/kbs.yaml"))
    except InvalidConfig as error:
        # The files are in the pod, not here; everything else is a fault.
        for fault in error.faults:
            missing = re.search(r"(/\S+) is no (?:file|folder)", fault)
            if missing is None or not any(missing[1].startswith(mount) for mount in mounts):
                yield fault
    scheme = "HTTPS" if "tls" in config["listen"] else "HTTP"
    if container["readinessProbe"]["httpGet"]["scheme"] != scheme:
        yield "the probe speaks another language than the broker"
    if len(pod["initContainers"]) != 1:
        yield "nobody makes keys the broker's own"


def main() -> int:
    helm = sys.argv[1]
    found: list[str] = []
    for name, values in GOOD.items():
        try:
            found += [f"{name}: {fault}" for fault in faults(rendered(helm, values))]
        except subprocess.CalledProcessError as error:
            found.append(f"{name}: {error.stderr}")
    for name, values in BAD.items():
        try:
            rendered(helm, values)
        except subprocess.CalledProcessError as error:
            if "don't meet the specifications of the schema" in error.stderr:
                continue
        found.append(f"{name}: is rendered")
    for fault in found:
        sys.stderr.write(fault + "\n")
    if not found:
        sys.stdout.write(
            f"the chart: {len(GOOD)} renderings are as they must be, {len(BAD)} values refused\n"
        )
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main())
