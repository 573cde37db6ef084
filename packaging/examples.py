"""Runs the incumbent of each example for Kubernetes, with a store and a program of this machine, until it leads.
Before that, it checks that an update of the example can finish.

examples.py INCUMBENT FILE…
"""

import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

import yaml

PATIENCE = 60


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def containers(text):
    """The words and the variables of each container that runs incumbent."""
    for resource in yaml.safe_load_all(text):
        pod = resource["spec"].get("template", {}).get("spec", {})
        for container in pod.get("containers", []):
            words = container.get("command", []) + container.get("args", [])
            if "run" in words:
                variables = {one["name"]: one["value"] for one in container.get("env", []) if "value" in one}
                yield [word for word in words if word != "incumbent"], variables


def check_updates(path, text):
    """A standby is never ready where only the leader is, so an update must not wait for it."""
    for resource in yaml.safe_load_all(text):
        spec = resource["spec"]
        pod = spec.get("template", {}).get("spec", {})
        probes = [container.get("readinessProbe", {}) for container in pod.get("containers", [])]
        if any(probe.get("httpGet", {}).get("path") == "/leader" for probe in probes):
            update = spec.get("updateStrategy") or spec.get("strategy") or {}
            goes_on = update.get("rollingUpdate", {}).get("maxUnavailable") == "100%"
            waits = update.get("type") not in ("OnDelete", "Recreate") and not goes_on
            assert not waits, f"{path}: an update waits for a standby that is never ready"


def is_leader(port):
    try:
        return urllib.request.urlopen(f"http://127.0.0.1:{port}/leader", timeout=5).status == 200
    except (urllib.error.HTTPError, OSError):
        return False


def check(incumbent, path, folder):
    port = free_port()
    with open(path) as file:
        text = file.read()
    check_updates(path, text)
    for example, here in [
        ("redis://redis.example:6379", f"sqlite:{folder}/elections.db"),
        ("/run/secrets/incumbent/password", f"{folder}/password"),
        ("0.0.0.0:9187", f"127.0.0.1:{port}"),
        ("/usr/bin/incumbent", incumbent),
        ("/usr/bin/billing, --serve", 'sleep, "1000"'),
    ]:
        text = text.replace(example, here)
    found = list(containers(text))
    assert len(found) == 1, f"{path} has {len(found)} containers with incumbent"
    words, variables = found[0]
    with open(f"{folder}/password", "w") as file:
        file.write("secret\n")
    running = subprocess.Popen([incumbent, *words], env={**os.environ, **variables, "HOME": folder})
    try:
        end = time.monotonic() + PATIENCE
        while not is_leader(port):
            assert running.poll() is None, f"{path}: ended with {running.returncode}"
            assert time.monotonic() < end, f"{path}: no leader within {PATIENCE} s"
            time.sleep(0.05)
    finally:
        running.terminate()
        running.wait(PATIENCE)


for path in sys.argv[2:]:
    with tempfile.TemporaryDirectory() as folder:
        check(sys.argv[1], path, folder)
