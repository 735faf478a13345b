#!/usr/bin/env python3
"""Assembles a container image from a program: no Docker, no base image, no registry.

The image has one layer: the program with the shared libraries that `ldd` lists, the files that
--add names, /etc/passwd with the user chainlink (14933), /tmp and /home/chainlink. The archive is
in Docker's format (`ctr images import`, `docker load`).

One archive can hold several images of the same layer; they differ by their name, and by {tag} in
the values of --env, which stands for each image's own tag:

    image.py --out node.tar --name docker.io/smartcontract/chainlink:2.17.0 \\
        --name docker.io/smartcontract/chainlink:2.18.0 --env 'SIMULATOR_VERSION={tag}' \\
        --entrypoint chainlink target/release/simulator:/usr/local/bin/chainlink
"""

import argparse
import hashlib
import io
import json
import os
import re
import shlex
import subprocess
import sys
import tarfile

USER = 14933
PASSWD = f"""root:x:0:0:root:/root:/sbin/nologin
chainlink:x:{USER}:{USER}:chainlink:/home/chainlink:/sbin/nologin
nobody:x:65534:65534:nobody:/nonexistent:/sbin/nologin
"""
GROUP = f"root:x:0:\nchainlink:x:{USER}:\nnobody:x:65534:\n"
CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"


def arguments():
    parser = argparse.ArgumentParser(
        prog="cluster image", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", required=True, help="the archive to write")
    parser.add_argument("--name", action="append", required=True, help="image name with tag; repeat for several images")
    parser.add_argument("--env", action="append", default=[], metavar="KEY=VALUE", help="{tag} stands for the image's tag")
    parser.add_argument("--entrypoint", type=shlex.split, default=[], help="the words of the entrypoint, quoted as in a shell")
    parser.add_argument("--cmd", type=shlex.split, default=[], help="the words of the default arguments")
    parser.add_argument("--user", default=str(USER), help=f"the user that the image runs as ({USER})")
    parser.add_argument("--workdir", default="/home/chainlink", help="the working directory (/home/chainlink)")
    parser.add_argument("--label", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--add", action="append", default=[], metavar="SOURCE:DESTINATION", help="a file or folder, as it is")
    parser.add_argument("--certificates", action="store_true", help=f"add this machine's {CERTIFICATES}")
    parser.add_argument("programs", nargs="+", metavar="PROGRAM:DESTINATION", help="a program, put in with its shared libraries")
    return parser.parse_args()


def main():
    wanted = arguments()
    layer = Layer()
    layer.text("/etc/passwd", PASSWD)
    layer.text("/etc/group", GROUP)
    layer.text("/etc/nsswitch.conf", "hosts: files dns\n")
    layer.folder("/tmp", mode=0o1777)
    layer.folder("/home/chainlink", mode=0o755, owner=USER)
    if wanted.certificates:
        layer.file(CERTIFICATES, CERTIFICATES)
    for source, destination in map(pair, wanted.programs):
        layer.file(source, destination, mode=0o755)
        for library in libraries(source):
            layer.file(library, library, mode=0o755)
    for source, destination in map(pair, wanted.add):
        layer.tree(source, destination)
    write_archive(wanted, layer.tar())


def pair(text):
    source, separator, destination = text.rpartition(":")
    if not separator or not destination.startswith("/"):
        fail(f"'{text}' does not say where it belongs in the image: write SOURCE:/DESTINATION.")
    if not os.path.exists(source):
        fail(f"there is no file {source}.")
    return source, destination


def libraries(program):
    """The shared libraries of a dynamic program and its loader; none for a static one."""
    listing = subprocess.run(["ldd", program], capture_output=True, text=True, check=False)
    if listing.returncode != 0:
        if re.search(r"not a dynamic executable|statically linked", listing.stdout + listing.stderr):
            return []
        fail(f"ldd cannot read {program}: {listing.stderr.strip()}")
    missing = re.findall(r"(\S+) => not found", listing.stdout)
    if missing:
        fail(f"{program} needs libraries that this machine lacks: {', '.join(missing)}.")
    return sorted(set(re.findall(r"(/\S+) \(0x", listing.stdout)))


class Layer:
    """The files of the image, by path. The same input gives the same bytes."""

    def __init__(self):
        self.entries = {}

    def put(self, path, kind, mode, owner=0, content=b"", target=""):
        name = os.path.normpath(path).lstrip("/")
        if os.path.dirname(name) and os.path.dirname(name) not in self.entries:
            self.folder(os.path.dirname(name))
        entry = tarfile.TarInfo(name)
        entry.type, entry.mode, entry.uid, entry.gid = kind, mode, owner, owner
        entry.size, entry.linkname = len(content), target
        self.entries[name] = (entry, content)

    def folder(self, path, mode=0o755, owner=0):
        self.put(path, tarfile.DIRTYPE, mode, owner)

    def text(self, path, text):
        self.put(path, tarfile.REGTYPE, 0o644, content=text.encode())

    def file(self, source, destination, mode=None):
        with open(source, "rb") as file:
            self.put(destination, tarfile.REGTYPE, mode or os.stat(source).st_mode & 0o777, content=file.read())

    def tree(self, source, destination):
        if os.path.islink(source):
            self.put(destination, tarfile.SYMTYPE, 0o777, target=os.readlink(source))
        elif os.path.isdir(source):
            self.folder(destination)
            for name in sorted(os.listdir(source)):
                self.tree(os.path.join(source, name), os.path.join(destination, name))
        else:
            self.file(source, destination)

    def tar(self):
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as archive:
            for name in sorted(self.entries):
                entry, content = self.entries[name]
                archive.addfile(entry, io.BytesIO(content))
        return buffer.getvalue()


def write_archive(wanted, layer):
    digest = hashlib.sha256(layer).hexdigest()
    manifest, configs = [], {}
    for name in wanted.name:
        config = json.dumps(image_config(wanted, name, digest), sort_keys=True).encode()
        config_file = hashlib.sha256(config).hexdigest() + ".json"
        configs[config_file] = config
        manifest.append({"Config": config_file, "RepoTags": [name], "Layers": [f"{digest}.tar"]})
    unfinished = wanted.out + ".unfinished"
    with tarfile.open(unfinished, "w") as archive:
        for file, content in [(f"{digest}.tar", layer), *configs.items(), ("manifest.json", json.dumps(manifest).encode())]:
            entry = tarfile.TarInfo(file)
            entry.size, entry.mode = len(content), 0o644
            archive.addfile(entry, io.BytesIO(content))
    os.replace(unfinished, wanted.out)


def image_config(wanted, name, layer_digest):
    tag = name.rpartition(":")[2]
    if not tag or "/" in tag:
        fail(f"the image name '{name}' has no tag: write NAME:TAG.")
    environment = ["PATH=/usr/local/bin:/usr/bin:/bin", *(each.replace("{tag}", tag) for each in wanted.env)]
    machine = os.uname().machine
    return {
        "architecture": {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine),
        "os": "linux",
        "created": "1970-01-01T00:00:00Z",
        "config": {
            "Env": environment,
            "Entrypoint": wanted.entrypoint or None,
            "Cmd": wanted.cmd or None,
            "User": wanted.user,
            "WorkingDir": wanted.workdir,
            "Labels": dict(each.split("=", 1) for each in wanted.label),
        },
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{layer_digest}"]},
        "history": [{"created": "1970-01-01T00:00:00Z", "created_by": "tests/cluster/image.py"}],
    }


def fail(sentence):
    sys.exit(f"cluster image: {sentence}")


if __name__ == "__main__":
    main()
