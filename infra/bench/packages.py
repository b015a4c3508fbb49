"""The packages that are measured: ours as it was built, the peers' installed from pinned hashes."""

# ruff: noqa: S603 (starting programs is what this is for)
from __future__ import annotations

import compileall
import hashlib
import io
import os
import py_compile
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from infra.local.bootstrap import find_uv, install_uv
from infra.local.deployment import Layout, build, fingerprint
from infra.local.packaging import ARCHIVE

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
KEPT = ROOT / ".local" / "bench"
# What boto3 consists of: in Lambda's own runtime too, so a package can go without.
BOTO3 = ("boto3", "botocore", "dateutil", "jmespath", "s3transfer", "six.py", "urllib3")


@dataclass(frozen=True)
class Sizes:
    """In MB of 10^6 bytes, bytecode included."""

    unzipped: float
    beside_boto3: float
    zipped: float


def ours() -> Path:
    """Build our package if need be, and unzip it as Lambda would."""
    layout = Layout(ROOT)
    KEPT.mkdir(parents=True, exist_ok=True)
    build(layout, fingerprint(layout), KEPT / "build.log")
    archive = layout.build / ARCHIVE
    folder = KEPT / f"ours-{hashlib.sha256(archive.read_bytes()).hexdigest()[:16]}"
    if not folder.exists():
        for old in KEPT.glob("ours-*"):
            shutil.rmtree(old)
        with zipfile.ZipFile(archive) as packed:
            packed.extractall(folder)
    return folder


def peer(name: str) -> Path:
    """Install what `requirements/NAME.txt` pins, with bytecode as ours has it."""
    pins = HERE / "requirements" / f"{name}.txt"
    folder = KEPT / f"{name}-{hashlib.sha256(pins.read_bytes()).hexdigest()[:16]}"
    if not folder.exists():
        for old in KEPT.glob(f"{name}-*"):
            shutil.rmtree(old)
        print(f"bench: installing {name}", file=sys.stderr, flush=True)
        fresh = folder.with_suffix(".part")
        shutil.rmtree(fresh, ignore_errors=True)
        uv = find_uv() or install_uv()
        if uv is None:
            sys.exit("bench: cannot find or install uv: is the package index reachable?")
        command = [uv, "pip", "install", "--quiet", "--require-hashes", "--no-config"]
        subprocess.run(
            [*command, "--python", sys.executable, "--target", fresh, "-r", pins], check=True
        )
        shutil.rmtree(fresh / "bin", ignore_errors=True)
        compileall.compile_dir(
            fresh, quiet=2, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH
        )
        fresh.rename(folder)
    return folder


def without_bytecode(folder: Path) -> Path:
    """The same package as it would be without `__pycache__`; hard links, so it costs nothing."""
    bare = folder.with_name(f"{folder.name}.source")
    if not bare.exists():
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(folder, bare, ignore=ignored, copy_function=os.link)
    return bare


@cache
def sizes(folder: Path) -> Sizes:
    """What Lambda counts, and what is uploaded."""
    files = [file for file in folder.rglob("*") if file.is_file()]
    shared = sum(f.stat().st_size for f in files if f.relative_to(folder).parts[0] in BOTO3)
    everything = sum(file.stat().st_size for file in files)
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
        for file in files:
            packed.write(file, file.relative_to(folder))
    zipped = archive.getbuffer().nbytes
    return Sizes(everything / 1e6, (everything - shared) / 1e6, zipped / 1e6)
