#!/usr/bin/env python3
"""Watches a run of the scenarios with a Prometheus that knows the alerts of the chart, and tells which fired, where, and whether
they ended:

    tests/e2e/alerts.py make e2e

The scenarios are not made for it: they bring about what the alerts are for. What an alert waits for is told in minutes, hours
or days, and waited for in seconds here, and the hour within which it counts is three minutes; nothing else differs. Prometheus
reads the operator's pods by way of the API server. An alert is mended where its resource outlived it.
It ends with 1 where an alert never fired, or fires to the end; and with the code of the command, where that fails."""

import base64
import json
import math
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RULES = ROOT / "charts/chainlink-operator/files/alerts.yaml"
PROGRAM = ROOT / "target/prometheus/prometheus"
ADDRESS = "127.0.0.1:19090"
NAMESPACE = "chainlink-operator"
KUBECTL = [str(ROOT / "tests/cluster/cluster"), "kubectl"]
LISTED = ["--selector", f"app.kubernetes.io/name={NAMESPACE}", "--output", "jsonpath={.items[*].metadata.name}"]
TARGETS = "targets.json"
SHOWN = 5
SETTLED = 240  # seconds after the command, for what ends then: more than what the longest alert looks back
MISSED = 6  # seconds without a resource, as between two leaders


def in_seconds(rules):
    """The rules with each of their times as seconds; ages that a resource at rest has too stay as they are."""
    rules = re.sub(r"for: (\d+)[mhd]$", r"for: \1s", rules, flags=re.MULTILINE)
    rules = rules.replace("[1h]", "[3m]")
    return re.sub(r"(\d+) \* (?:3600|86400)", r"\1", rules)


def configuration(folder):
    cluster, user = access()
    (folder / "alerts.yaml").write_text(in_seconds(RULES.read_text()))
    parts = {"ca": (cluster, "certificate-authority"), "cert": (user, "client-certificate"), "key": (user, "client-key")}
    scraped = {
        "job_name": "operator",
        "honor_labels": True,
        "scheme": "https",
        "tls_config": {f"{part}_file": file_of(folder, held, name) for part, (held, name) in parts.items()},
        "file_sd_configs": [{"files": [str(folder / TARGETS)]}],
    }
    whole = {
        "global": {"scrape_interval": "2s", "scrape_timeout": "2s", "evaluation_interval": "1s"},
        "rule_files": [str(folder / "alerts.yaml")],
        "scrape_configs": [scraped],
    }
    file = folder / "prometheus.yml"
    file.write_text(json.dumps(whole))
    return file


def access():
    said = json.loads(output(["config", "view", "--raw", "--output", "json"]))
    return said["clusters"][0]["cluster"], said["users"][0]["user"]


def follow(folder, over):
    """Tells Prometheus where the operator's pods are: Debian's knows nothing of Kubernetes."""
    server = urllib.parse.urlsplit(access()[0]["server"]).netloc
    while not over.wait(1):
        # There may be none of them, or no API server.
        found = subprocess.run([*KUBECTL, "get", "pods", "--namespace", NAMESPACE, *LISTED], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        pods = found.stdout.split() if found.returncode == 0 else []
        path = f"/api/v1/namespaces/{NAMESPACE}/pods/{{}}:8080/proxy/metrics"
        targets = [{"targets": [server], "labels": {"instance": pod, "__metrics_path__": path.format(pod)}} for pod in pods]
        file = folder / f"{TARGETS}.new"
        file.write_text(json.dumps(targets))
        file.rename(folder / TARGETS)


def file_of(folder, held, name):
    """The file of a part of a kubeconfig, which may stand in it."""
    if name in held:
        return held[name]
    file = folder / name
    file.write_bytes(base64.b64decode(held[f"{name}-data"]))
    file.chmod(0o600)
    return str(file)


def output(arguments):
    return subprocess.run([*KUBECTL, *arguments], check=True, stdout=subprocess.PIPE, text=True).stdout


def ask(query, **more):
    kind = "query_range" if more else "query"
    address = f"http://{ADDRESS}/api/v1/{kind}?" + urllib.parse.urlencode({"query": query, **more})
    with urllib.request.urlopen(address, timeout=30) as answer:
        return json.load(answer)["data"]["result"]


def firing():
    return {series["metric"]["alertname"] for series in ask('ALERTS{alertstate="firing"}')}


def settle():
    """Waits until no alert fires."""
    until = time.time() + SETTLED
    while firing() and time.time() < until:
        time.sleep(1)


def ends_of(times, step):
    """When each of the spells ended of which these are moments."""
    return [at for at, after in zip(times, [*times[1:], math.inf]) if after - at > 1.5 * step]


def report(began):
    names = re.findall(r"- alert: (\w+)", RULES.read_text())
    now = time.time()
    span = {"start": began, "end": now, "step": max(1, (now - began) / 9000)}

    def resource(labels):
        return labels.get("namespace", ""), labels.get("name", "")

    told = ask("max by (namespace, name) (chainlinknode_looked_timestamp_seconds)", **span)
    told = {resource(series["metric"]): float(series["values"][-1][0]) for series in told}
    still = firing()
    fired = {}
    for series in ask('ALERTS{alertstate="firing"}', **span):
        labels = series["metric"]
        for end in ends_of([float(at) for at, _ in series["values"]], span["step"]):
            outlived = told.get(resource(labels), now) > end + MISSED
            fired.setdefault(labels["alertname"], []).append((resource(labels)[0], outlived))
    for name in names:
        seen = fired.get(name, [])
        places = sorted({place for place, _ in seen if place})
        places = ", ".join(places[:SHOWN]) + (f" and {len(places) - SHOWN} more" if len(places) > SHOWN else "")
        state = "never fired" if not seen else "fires still" if name in still else "fired and ended"
        mended = sum(outlived for _, outlived in seen)
        print(f"{name:40} {state:16} {len(seen):3} times, {mended:3} mended  {places}")
    return all(name in fired and name not in still for name in names)


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    subprocess.run(["make", "--no-print-directory", "--directory", str(ROOT), "cluster", "target/prometheus/promtool"], check=True)
    with tempfile.TemporaryDirectory() as folder:
        file = configuration(Path(folder))
        over = threading.Event()
        threading.Thread(target=follow, args=(Path(folder), over), daemon=True).start()
        log = open(Path(folder) / "log", "w")
        data = os.path.join(folder, "data")
        server = subprocess.Popen(
            [PROGRAM, "--config.file", file, "--storage.tsdb.path", data, "--web.listen-address", ADDRESS], stdout=log, stderr=log
        )
        began = time.time()
        try:
            code = subprocess.run(sys.argv[1:]).returncode
            if server.poll() is not None:
                sys.exit("Prometheus has ended:\n" + (Path(folder) / "log").read_text())
            settle()
            whole = report(began)
        finally:
            over.set()
            server.terminate()
            server.wait()
    sys.exit(code or (0 if whole else 1))


if __name__ == "__main__":
    main()
