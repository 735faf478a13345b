#!/usr/bin/env python3
"""What a program is made of, as CycloneDX: the crates that are compiled into it, by Cargo.lock. The program is named by its
package, chainlink-operator or kubectl-chainlink, and is for the platforms that are named after it, or for both.

Development and build dependencies and macros run on the machine that builds, and are not in the program. The same commit makes
the same bytes: no time and no random number stands in it.
"""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

PROGRAM = sys.argv[1]
PLATFORMS = sys.argv[2:] or ["x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu"]
REPOSITORY = Path(__file__).resolve().parent.parent
# Depth, name, version, and what else cargo says of it.
LINE = re.compile(r"(\d+)(\S+) v(\S+)(?: \([^|]*\))*\|([^|]*)\|")


def main():
    needs, licences = {}, {}
    for platform in PLATFORMS:
        read_tree(platform, needs, licences)
    sums = checksums()
    program = next(crate for crate in needs if crate[0] == PROGRAM)
    crates = sorted(needs.keys() - {program})
    bom = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": component(program, "application", licences, sums)},
        "components": [component(crate, "library", licences, sums) for crate in crates],
        "dependencies": [
            {"ref": purl(crate), "dependsOn": sorted(purl(to) for to in needs[crate])} for crate in [program, *crates]
        ],
    }
    json.dump(bom, sys.stdout, indent=2, sort_keys=True)
    print()


def read_tree(platform, needs, licences):
    """Adds what one platform's program is made of. A crate's own needs stand below the first place that names it."""
    command = ["cargo", "tree", "--locked", "--package", PROGRAM, "--target", platform]
    command += ["--edges", "normal,no-proc-macro", "--prefix", "depth", "--format", "{p}|{l}|"]
    tree = subprocess.run(command, cwd=REPOSITORY, check=True, stdout=subprocess.PIPE, text=True).stdout
    above = []
    for line in tree.splitlines():
        depth, name, version, licence = LINE.match(line).groups()
        crate = (name, version)
        needs.setdefault(crate, set())
        licences[crate] = licence
        del above[int(depth) :]
        if above:
            needs[above[-1]].add(crate)
        above.append(crate)


def checksums():
    lock = tomllib.loads((REPOSITORY / "Cargo.lock").read_text())
    return {(package["name"], package["version"]): package.get("checksum") for package in lock["package"]}


def component(crate, kind, licences, sums):
    made = {
        "type": kind,
        "bom-ref": purl(crate),
        "purl": purl(crate),
        "name": crate[0],
        "version": crate[1],
        "licenses": [{"expression": licences[crate].replace("/", " OR ")}],
    }
    if sums[crate]:
        made["hashes"] = [{"alg": "SHA-256", "content": sums[crate]}]
    return made


def purl(crate):
    return f"pkg:cargo/{crate[0]}@{crate[1]}"


main()
