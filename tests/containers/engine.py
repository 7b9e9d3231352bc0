"""Run a command with a container engine: `python3 tests/containers/engine.py make test`.

Where an engine runs already, with buildx and compose, the command gets that one. Elsewhere, on Debian and as root, one
is unpacked from Debian's packages into the cache, started for the command, and ended after it. Its images are in
containerd's store, as those of a new Docker are; ENGINE_STORE=classic has them where older ones keep theirs.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import zlib
from pathlib import Path

# Not root's home, into which no other user may look.
CACHE = Path("/var/cache" if os.geteuid() == 0 else Path.home() / ".cache") / "copier-ml"
SUITE = "trixie"  # whose buildx is new enough for RUN --mount, and runs on older Debians too
PACKAGES = ["containerd", "docker-buildx", "docker-cli", "docker-compose", "docker.io", "docker-registry", "tini"]
PLUGINS = "usr/libexec/docker/cli-plugins"
STAND_IN = "copier-ml.stand-in"  # the label of an image that stands in for another


def main() -> int:
    """Run the command of the arguments with an engine; return its exit code."""
    if not sys.argv[1:]:
        sys.exit("engine: a command is needed: engine.py make test")
    if is_there():
        return subprocess.call(sys.argv[1:])
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        sys.exit("engine: none runs here, and one can be started only by root on Debian")
    programs = unpack()
    with tempfile.TemporaryDirectory(prefix="engine") as folder:
        Path(folder).chmod(0o755)  # the tests come here as other users too
        env = environment(programs, Path(folder))
        engine = start(env, Path(folder))
        tidy(env)
        try:
            with subprocess.Popen(sys.argv[1:], env=env) as command:
                while command.poll() is None:
                    if engine.poll() is not None:  # a test has killed it, to see what becomes of what it ran
                        engine = start(env, Path(folder))
                    time.sleep(0.2)
            return command.returncode
        finally:
            engine.send_signal(signal.SIGTERM)
            engine.wait(60)
            unmount(Path(folder))


def unmount(folder: Path) -> None:
    """Let go of what the engine has left mounted there, as the network of containers that had the machine's own."""
    places = [line.split()[1] for line in Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines()]
    for place in reversed([place for place in places if place.startswith(f"{folder}/")]):
        subprocess.run(["umount", "--lazy", place], check=True)


def tidy(env: dict[str, str]) -> None:
    """Remove what earlier tests have left but the stand-ins: the more images there are, the slower is every list.

    Containers of tests that were killed are begun again with the engine.
    """
    left = subprocess.run(["docker", "ps", "--all", "--quiet"], env=env, capture_output=True, text=True, check=True)
    if left.stdout:
        remove = ["docker", "rm", "--force", "--volumes", *left.stdout.split()]
        subprocess.run(remove, env=env, capture_output=True, check=True)
    prune = ["docker", "image", "prune", "--all", "--force", "--filter", f"label!={STAND_IN}"]
    subprocess.run(prune, env=env, capture_output=True, check=True)


def is_there() -> bool:
    """Whether an engine answers that has what is needed."""
    needed = (["version"], ["buildx", "version"], ["compose", "version"])
    return bool(shutil.which("docker")) and not any(
        subprocess.run(["docker", *arguments], capture_output=True).returncode for arguments in needed
    )


def unpack() -> Path:
    """Unpack the engine's programs into the cache, once."""
    apt("install", "--no-install-recommends", "runc", "iptables")
    return unpacked("engine", PACKAGES)


def unpacked(name: str, packages: list[str]) -> Path:
    """Unpack packages of the suite into the cache, once, and return the folder."""
    programs = CACHE / f"{name}-{zlib.crc32(' '.join(packages).encode()):08x}"
    if programs.exists():
        return programs
    print(f"engine: {name}, Debian's of {SUITE}, into {programs}", file=sys.stderr)
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as folder:
        place = Path(folder)
        for each in ("lists/partial", "archives/partial", "root"):
            (place / each).mkdir(parents=True)
        (place / "sources.list").write_text(f"deb {mirror()} {SUITE} main\n")
        private = [f"Dir::Etc::sourcelist={place}/sources.list", "Dir::Etc::sourceparts=-", f"Dir::Cache={place}"]
        private += [f"Dir::State::lists={place}/lists", "Dir::State::status=/dev/null", "APT::Sandbox::User=root"]
        options = [word for option in private for word in ("-o", option)]
        apt(*options, "update")
        apt(*options, "download", *packages, cwd=place)
        for package in place.glob("*.deb"):
            subprocess.run(["dpkg", "-x", package, place / "root"], check=True)
        (place / "root").rename(programs)
    return programs


def mirror() -> str:
    """Where this machine gets Debian's packages from."""
    listed = ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages"]
    found = subprocess.run(listed, capture_output=True, text=True, check=True).stdout.splitlines()
    return next(address for address in found if address.rstrip("/").endswith("/debian"))


def apt(*arguments: str, cwd: Path | None = None) -> None:
    """Call apt-get quietly."""
    command = ["apt-get", "-qq", "-y", *arguments]
    env = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    done = subprocess.run(command, cwd=cwd, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode != 0:
        sys.exit(f"engine: {' '.join(command)}:\n{done.stdout}")


def environment(programs: Path, folder: Path) -> dict[str, str]:
    """The environment in which `docker` is the client of the engine in this folder."""
    (folder / "config").mkdir()
    (folder / "config/config.json").write_text(f'{{"cliPluginsExtraDirs": ["{programs}/{PLUGINS}"]}}\n')
    path = f"{programs}/usr/bin:{programs}/usr/sbin:{os.environ['PATH']}"
    return os.environ | {
        "PATH": path,
        "DOCKER_HOST": f"unix://{folder}/docker.sock",
        "DOCKER_CONFIG": f"{folder}/config",
    }


def start(env: dict[str, str], folder: Path) -> subprocess.Popen[bytes]:
    """Start the engine and wait until it answers; it ends with this process at the latest."""
    log = CACHE / "engine.log"
    command = ["setpriv", "--pdeathsig=TERM", "dockerd", f"--host={env['DOCKER_HOST']}", f"--data-root={CACHE}/images"]
    command += [f"--exec-root={folder}/exec", f"--pidfile={folder}/pid", f"--config-file={folder}/daemon.json"]
    features = {"containerd-snapshotter": env.get("ENGINE_STORE") != "classic"}
    (folder / "daemon.json").write_text(json.dumps({"features": features}))
    with log.open("ab") as output:
        # Go collects garbage a quarter as often, as processors are short here and memory is not.
        engine = subprocess.Popen(command, env=env | {"GOGC": "400"}, stdout=output, stderr=output)
    for _ in range(600):
        if subprocess.run(["docker", "version"], env=env, capture_output=True).returncode == 0:
            return engine
        if engine.poll() is not None:
            break
        time.sleep(0.1)
    engine.terminate()
    sys.exit(f"engine: it did not start: {log}")


if __name__ == "__main__":
    sys.exit(main())
