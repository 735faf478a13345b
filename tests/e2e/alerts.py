#!/usr/bin/env python3
"""Watches a run of the scenarios with a Prometheus that knows the alerts of the chart, and tells which fired, where, and whether
they ended:

    tests/e2e/alerts.py make e2e

The scenarios are not made for it: they bring about what the alerts are for. What an alert waits for is told in minutes, hours
or days, and waited for in seconds here; nothing else differs. Prometheus reads the operator's pods by way of the API server.
It ends with 1 where an alert never fired, or fires to the end; and with the code of the command, where that fails."""

import base64
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RULES = ROOT / "charts/chainlink-operator/files/alerts.yaml"
PROGRAM = ROOT / "target/prometheus/prometheus"
ADDRESS = "127.0.0.1:19090"
NAMESPACE = "chainlink-operator"
SETTLED = 60  # seconds after the command, for what ends then


def in_seconds(rules):
    """The rules with each of their times as seconds; ages that a resource at rest has too stay as they are."""
    rules = re.sub(r"for: (\d+)[mh]$", r"for: \1s", rules, flags=re.MULTILINE)
    return re.sub(r"(\d+) \* (?:3600|86400)", r"\1", rules)


def configuration(folder, kubeconfig):
    said = json.loads(output(["config", "view", "--raw", "--output", "json"]))
    server = urllib.parse.urlsplit(said["clusters"][0]["cluster"]["server"])
    (folder / "alerts.yaml").write_text(in_seconds(RULES.read_text()))
    user = said["users"][0]["user"]
    parts = {"ca": said["clusters"][0]["cluster"], "cert": user, "key": user}
    names = {"ca": "certificate-authority", "cert": "client-certificate", "key": "client-key"}
    tls = {f"{part}_file": file_of(folder, held, names[part]) for part, held in parts.items()}
    path = f"/api/v1/namespaces/{NAMESPACE}/pods/${{1}}:8080/proxy/metrics"
    scraped = {
        "job_name": "operator",
        "honor_labels": True,
        "scheme": "https",
        "tls_config": tls,
        "kubernetes_sd_configs": [{"role": "pod", "kubeconfig_file": kubeconfig, "namespaces": {"names": [NAMESPACE]}}],
        "relabel_configs": [
            {"source_labels": ["__meta_kubernetes_pod_label_app_kubernetes_io_name"], "regex": NAMESPACE, "action": "keep"},
            {"source_labels": ["__meta_kubernetes_pod_phase"], "regex": "Running", "action": "keep"},
            {"source_labels": ["__meta_kubernetes_pod_name"], "target_label": "instance"},
            {"source_labels": ["__meta_kubernetes_pod_name"], "regex": "(.*)", "replacement": path, "target_label": "__metrics_path__"},
            {"replacement": server.netloc, "target_label": "__address__"},
        ],
    }
    whole = {
        "global": {"scrape_interval": "2s", "scrape_timeout": "2s", "evaluation_interval": "1s"},
        "rule_files": [str(folder / "alerts.yaml")],
        "scrape_configs": [scraped],
    }
    file = folder / "prometheus.yml"
    file.write_text(json.dumps(whole))
    return file


def file_of(folder, held, name):
    """The file of a part of a kubeconfig, which may stand in it."""
    if name in held:
        return held[name]
    file = folder / name
    file.write_bytes(base64.b64decode(held[f"{name}-data"]))
    file.chmod(0o600)
    return str(file)


def output(arguments):
    command = [str(ROOT / "tests/cluster/cluster"), "kubectl", *arguments]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def ask(query, **more):
    kind = "query_range" if more else "query"
    address = f"http://{ADDRESS}/api/v1/{kind}?" + urllib.parse.urlencode({"query": query, **more})
    with urllib.request.urlopen(address, timeout=30) as answer:
        return json.load(answer)["data"]["result"]


def report(began):
    names = re.findall(r"- alert: (\w+)", RULES.read_text())
    now = time.time()
    fired = {}
    for series in ask('ALERTS{alertstate="firing"}', start=began, end=now, step=max(1, (now - began) / 9000)):
        labels = series["metric"]
        place = labels.get("namespace", "")
        fired.setdefault(labels["alertname"], []).append((place, float(series["values"][0][0]), float(series["values"][-1][0])))
    still = {series["metric"]["alertname"] for series in ask('ALERTS{alertstate="firing"}')}
    for name in names:
        seen = fired.get(name, [])
        places = ", ".join(sorted({place for place, _, _ in seen if place}))
        state = "never fired" if not seen else "fires still" if name in still else "fired and ended"
        print(f"{name:40} {state:16} {len(seen):3} times  {places}")
    return all(name in fired and name not in still for name in names)


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    subprocess.run(["make", "--no-print-directory", "--directory", str(ROOT), "cluster", "target/prometheus/promtool"], check=True)
    path = subprocess.run([ROOT / "tests/cluster/cluster", "kubeconfig"], check=True, stdout=subprocess.PIPE, text=True)
    kubeconfig = path.stdout.strip()
    with tempfile.TemporaryDirectory() as folder:
        file = configuration(Path(folder), kubeconfig)
        log = open(Path(folder) / "log", "w")
        data = os.path.join(folder, "data")
        server = subprocess.Popen(
            [PROGRAM, "--config.file", file, "--storage.tsdb.path", data, "--web.listen-address", ADDRESS], stdout=log, stderr=log
        )
        began = time.time()
        try:
            code = subprocess.run(sys.argv[1:]).returncode
            time.sleep(SETTLED)
            if server.poll() is not None:
                sys.exit("Prometheus has ended:\n" + (Path(folder) / "log").read_text())
            whole = report(began)
        finally:
            server.terminate()
            server.wait()
    sys.exit(code or (0 if whole else 1))


if __name__ == "__main__":
    main()
