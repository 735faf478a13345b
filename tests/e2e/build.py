#!/usr/bin/env python3
"""Builds the demo and the programs that it starts, and says how far it is: cargo itself is either silent for ten minutes or
names every download. Nothing is said where nothing is left to be built."""

import json
import subprocess
import sys
import threading
import time

# As the scenarios build them (tests/e2e/src/images.rs).
PROGRAMS = ["chainlink-operator", "chainlink-simulator", "kubectl-chainlink", "requests", "demo"]
BINS = [argument for program in PROGRAMS for argument in ("--bin", program)]
BUILD = ["cargo", "build", "--quiet", "--locked", "--workspace", *BINS, "--message-format", "json-render-diagnostics"]
TREE = ["cargo", "tree", "--locked", "--workspace", "--edges", "normal,build", "--prefix", "none", "--format", "{p}"]
EVERY = 10  # seconds


class Progress:
    def __init__(self):
        self.began = time.monotonic()
        self.doing = "fetches the crates"
        self.over = threading.Event()
        threading.Thread(target=self.tell, daemon=True).start()

    def tell(self):
        while not self.over.wait(EVERY):
            minutes, seconds = divmod(int(time.monotonic() - self.began), 60)
            print(f"   {minutes}:{seconds:02}  cargo {self.doing}", flush=True)


def main():
    progress = Progress()
    subprocess.run(["cargo", "fetch", "--quiet", "--locked"], check=True)
    total = len(set(line.split(" (")[0] for line in output(TREE).splitlines()))
    built = set()
    with subprocess.Popen(BUILD, stdout=subprocess.PIPE, text=True) as cargo:
        for line in cargo.stdout:
            message = json.loads(line)
            if message["reason"] == "compiler-artifact":
                built.add(message["package_id"])
                progress.doing = f"has built {len(built)} of {total} crates, the last was {message['target']['name']}"
    progress.over.set()
    return cargo.returncode


def output(command):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


if __name__ == "__main__":
    try:
        sys.exit(main())
    except subprocess.CalledProcessError as failed:
        sys.exit(failed.returncode)
