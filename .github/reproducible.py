#!/usr/bin/env python3
"""Makes the parts of a release twice, and sees that they are the same to the byte: the operator, its image, and the plugin's
archive.

The second time another user makes them on another day, as far as one machine can play that: in another folder, with crates that
were unpacked anew, another HOME, umask, language and time zone, and the operator from nothing but what the Dockerfile is given.
It also sees that the programs name no folder of this machine, that the bills of materials name what was compiled in, and that
the image is small enough and starts.

    reproducible.py [FOLDER]         both builds lie there (target/reproducible); a second run goes on where a first one ended
    reproducible.py --context FOLDER copies what the Dockerfile is given to FOLDER, and no more
"""

import gzip
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
OPERATOR, PLUGIN = "chainlink-operator", "kubectl-chainlink"
LIMIT = 30_000_000  # bytes of the image
USER = "65532:65532"
IN_PODS = b"/chainlink/root"  # a folder of the node's, which ends as the home of an administrator is called


class Build:
    """A checkout, and what is made of it."""

    def __init__(self, checkout, made, home=None):
        self.checkout, self.made = checkout, made
        self.environment = {**os.environ, "CARGO_TARGET_DIR": str(made)}
        self.umask = -1
        if home:
            self.environment |= {"HOME": str(home), "CARGO_HOME": str(home / ".cargo"), "RUSTUP_HOME": str(folder_of("rustup"))}
            self.environment |= {"TZ": "Asia/Tokyo", "LC_ALL": "C"}
            self.umask = 0o077

    def run(self, *command, **options):
        return subprocess.run(
            command, cwd=self.checkout, env=self.environment, umask=self.umask, check=True, text=True, **options
        )

    def compile(self, package):
        return Path(self.run(".github/compile", package, stdout=subprocess.PIPE).stdout.strip())

    def compiled_in(self, package):
        """The crates that were compiled for the platform of the program, as cargo built them; the program itself not."""
        platform = host()
        said = self.run(".github/compile", package, platform, "--message-format", "json", capture_output=True)
        crates = set()
        for line in said.stderr.splitlines():
            artifact = json.loads(line) if line.startswith("{") else {}
            for file in artifact.get("filenames", []):
                if file.startswith(f"{self.made}/{platform}/") and file.endswith(".rlib"):
                    crates.add(re.search(r"[#/]([\w-]+)[@#]([\w.+-]+)$", artifact["package_id"]).groups())
        return {(name, version) for name, version in crates if name != package}

    def image(self, program):
        archive = self.made / "operator.tar"
        self.run(
            REPOSITORY / "tests/cluster/image.py", "--out", archive, "--name", f"docker.io/{OPERATOR}/{OPERATOR}:reproducible", "--certificates",
            "--entrypoint", f"/{OPERATOR}", "--cmd", "run", "--user", USER, f"{program}:/{OPERATOR}",
        )  # fmt: skip
        return archive

    def archive(self):
        plugin = self.made / "plugin"
        self.run("make", "--silent", "plugin", f"PLUGIN={plugin}", f"TARGET={host()}")
        return plugin / f"{PLUGIN}-{host()}.tar.gz"


def main():
    if sys.argv[1:2] == ["--context"]:
        copy(context(), Path(sys.argv[2]))
        return
    sys.stdout.reconfigure(line_buffering=True)
    folder = Path(sys.argv[1] if sys.argv[1:] else REPOSITORY / "target/reproducible").resolve()
    first = Build(folder / "a/checkout", folder / "a/checkout/target")
    home = folder / "b/home"
    second = Build(folder / "b/another/place", folder / "b/made", home)
    copy(tracked(), first.checkout)
    copy(context(), second.checkout)
    bring_crates(home)

    places = {build.checkout for build in (first, second)} | {second.made, Path.home(), home}
    places |= {folder_of("cargo"), folder_of("rustup")}

    programs = [build.compile(OPERATOR) for build in (first, second)]
    same("the operator", *programs)
    names_no_place(OPERATOR, programs[0].read_bytes(), places)
    bill_is_right(OPERATOR, programs[0].read_bytes(), first)
    images = [build.image(program) for build, program in zip((first, second), programs)]
    same("the image", *images)
    size = images[0].stat().st_size
    if size > LIMIT:
        fail(f"the image has {size} bytes, and may have {LIMIT}.")
    print(f"the image starts as {start(images[0])}; {LIMIT - size} bytes more would be allowed")

    # From there, as the repository may have been worked on meanwhile.
    copy(tracked(), second.checkout, first.checkout)
    archives = [build.archive() for build in (first, second)]
    same("the plugin's archive", *archives)
    plugin = (first.made / "plugin" / PLUGIN).read_bytes()
    names_no_place(PLUGIN, plugin, places)
    bill_is_right(PLUGIN, plugin, first)
    print(f"They lie in {first.made}; {images[0].name} is the image.")


def tracked(*paths):
    """The files that git knows, as they are now."""
    command = ["git", "ls-files", "-z", "--", *paths]
    listed = subprocess.run(command, cwd=REPOSITORY, check=True, stdout=subprocess.PIPE, text=True).stdout
    return [path for path in listed.split("\0") if path and (REPOSITORY / path).exists()]


def context():
    """Of those, what .dockerignore lets through: it refuses all but what it names."""
    lines = (REPOSITORY / ".dockerignore").read_text().splitlines()
    lines = [line for line in lines if line and not line.startswith("#")]
    if lines[0] != "*" or not all(line.startswith("!") for line in lines[1:]):
        fail(".dockerignore is read as one * and what is let through after it, each with a ! before it.")
    return tracked(*(line[1:] for line in lines[1:]))


def copy(paths, folder, of=REPOSITORY):
    """Only what differs is written, so that cargo compiles no more than it has to."""
    for path in paths:
        source, there = of / path, folder / path
        there.parent.mkdir(parents=True, exist_ok=True)
        if not there.exists() or there.read_bytes() != source.read_bytes():
            shutil.copy(source, there)


def bring_crates(home):
    """The archives of the crates, so that none is fetched twice; they are unpacked anew."""
    cargo = folder_of("cargo")
    (home / ".cargo").mkdir(parents=True, exist_ok=True)
    for path in ["registry/index", "registry/cache", "config.toml"]:
        if (cargo / path).is_dir():
            shutil.copytree(cargo / path, home / ".cargo" / path, dirs_exist_ok=True)
        elif (cargo / path).exists():
            shutil.copy(cargo / path, home / ".cargo" / path)


def folder_of(tool):
    return Path(os.environ.get(f"{tool.upper()}_HOME") or Path.home() / f".{tool}")


def host():
    said = subprocess.run(["rustc", "-vV"], check=True, stdout=subprocess.PIPE, text=True).stdout
    return re.search(r"^host: (\S+)$", said, re.MULTILINE)[1]


def same(what, *files):
    first, second = (file.read_bytes() for file in files)
    if first != second:
        fail(f"{what} is another one when it is made again. {difference(first, second)}\nThe two are {files[0]} and {files[1]}.")
    print(f"the same to the byte: {what}, {len(first)} bytes, sha256 {hashlib.sha256(first).hexdigest()}")


def difference(first, second):
    if first[:2] == second[:2] == b"\x1f\x8b" and gzip.decompress(first) != gzip.decompress(second):
        first, second = gzip.decompress(first), gzip.decompress(second)
    at = next((at for at, (one, other) in enumerate(zip(first, second)) if one != other), min(len(first), len(second)))
    sizes = "" if len(first) == len(second) else f"One has {len(first)} bytes, the other {len(second)}. "
    return f"{sizes}They differ first at byte {at}: there is {around(first, at)} in one, and {around(second, at)} in the other."


def around(content, at):
    """The text that a byte stands in, or the bytes where it is none."""
    begin = max(0, at - 40)
    before = re.search(rb"[ -~]*$", content[begin:at])[0]
    after = re.match(rb"[ -~]{0,80}", content[at:])[0]
    text = (before + after).decode()
    if after and len(text) > 7:
        return f"the text '{text}'"
    return f"0x{content[at : at + 8].hex()}" if at < len(content) else "its end"


def names_no_place(package, program, places):
    program = program.replace(IN_PODS, bytes(len(IN_PODS)))
    for place in sorted(place for place in map(str, places) if place != "/"):
        at = program.find(f"{place}/".encode())
        if at >= 0:
            fail(f"{package} names a folder of the machine that compiled it, {place}: there is {around(program, at)}.")
    print(f"{package} names no folder of the machine that compiled it")


def bill_is_right(package, program, build):
    command = [REPOSITORY / ".github/sbom.py", package, host()]
    bill = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    named = {(crate["name"], crate["version"]) for crate in bill["components"]}
    compiled = build.compiled_in(package)
    for fault, crates in [("lacks crates that are", compiled - named), ("names crates that are not", named - compiled)]:
        if crates:
            fail(f"the bill of materials of {package} {fault} compiled in: {listed(crates)}.")
    # What panics in a crate names it: whether cargo's list is that of this very program.
    said = {crate.decode() for crate in re.findall(rb"/crates/([\w-]+-\d+\.\d+\.\d+[\w.+-]*)/", program)}
    unknown = said - {"-".join(crate) for crate in named}
    if unknown or not said:
        fail(f"{package} has been compiled of crates that its bill of materials lacks: {', '.join(sorted(unknown)) or 'all'}.")
    print(f"its bill of materials names the {len(named)} crates that were compiled in; {len(said)} of them name themselves in it")


def listed(crates):
    return ", ".join(sorted(" ".join(crate) for crate in crates))


def start(image):
    """Starts the program as the image has it: of its files, as its user. Returns what it says of its version."""
    with tempfile.TemporaryDirectory() as root:
        with tarfile.open(image) as archive:
            (about,) = json.load(archive.extractfile("manifest.json"))
            config = json.load(archive.extractfile(about["Config"]))["config"]
            (layer,) = about["Layers"]
            with tarfile.open(fileobj=archive.extractfile(layer)) as files:
                files.extractall(root, filter="fully_trusted")
        os.chmod(root, 0o755)
        as_root = [] if os.geteuid() == 0 else ["sudo"]
        command = [*as_root, "chroot", f"--userspec={config['User']}", root, *config["Entrypoint"], "--version"]
        started = subprocess.run(command, capture_output=True, text=True, check=False)
        if started.returncode != 0:
            fail(f"the image does not start: {started.stderr.strip()}")
        return started.stdout.strip()


def fail(sentence):
    sys.exit(f"reproducible: {sentence}")


if __name__ == "__main__":
    try:
        main()
    except subprocess.CalledProcessError as failed:
        fail(f"{failed.cmd[0]} ended with {failed.returncode}.\n{failed.stderr or ''}")
