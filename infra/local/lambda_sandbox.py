"""Runs functions with what their package holds, and nothing of the emulator's.

MiniStack starts functions with its own interpreter and environment: whatever MiniStack requires,
a function can import, so a requirement missing from the package goes unnoticed until AWS. It
also unzips the package for every cold start, waits 50 ms for a log line after every call, and
drops a template's ReservedConcurrentExecutions.
"""

import hashlib
import shutil
import stat
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

from infra.local.httpapi_plan import Json
from infra.local.pins import pinned

# The emulator's own settings, which no function would see on AWS.
_OWN_SETTINGS = (
    "AUTH",
    "BIND_HOST",
    "GATEWAY_PORT",
    "HOME",
    "IOT_MTLS_ENABLED",
    "LOG_LEVEL",
    "MINISTACK_REGION",
)
_RUNTIME = {"AWS_EXECUTION_ENV": "AWS_Lambda_python3.13", "TZ": ":UTC"}


def install(scratch: Path) -> None:
    """Change how worker processes are made; `scratch` keeps what they share."""
    runtime = pinned("ministack.core.lambda_runtime", "_detect_runtime_binary", "Worker", "zipfile")
    interpreter = write_interpreter(scratch)
    detect = runtime._detect_runtime_binary

    def isolated(name: str) -> tuple[str, str]:
        binary, script = detect(name)
        return (str(interpreter) if name.startswith("python") else binary), script

    runtime._detect_runtime_binary = isolated
    runtime.zipfile = _SharedUnzip(scratch / "packages")
    drain = runtime.Worker._drain_stderr_bounded

    def drain_soon(worker: Any) -> str:
        logged: str = drain(worker, first_line_wait=0.005, idle_confirm=0.002)
        return logged

    runtime.Worker._drain_stderr_bounded = drain_soon
    _reserve_concurrency()


def write_interpreter(scratch: Path) -> Path:
    """Write the program that workers run as: Python with the standard library only.

    -I keeps the user's and the script's folders off the path, -S the site-packages; the base
    interpreter is named because a virtual environment's would find its own way back.
    """
    scratch.mkdir(parents=True, exist_ok=True)
    program = scratch / "python3.13"
    python = Path(getattr(sys, "_base_executable", sys.executable)).resolve()
    unset = " ".join(f"-u {name}" for name in _OWN_SETTINGS)
    pairs = " ".join(f"{name}={value}" for name, value in _RUNTIME.items())
    program.write_text(f'#!/bin/sh\nexec /usr/bin/env {unset} {pairs} "{python}" -I -S "$@"\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return program


class _SharedUnzip:
    """Stands in for the zipfile module: a package is unzipped once, then linked."""

    def __init__(self, store: Path) -> None:
        self._store = store
        self.BadZipFile = zipfile.BadZipFile
        self.LargeFileError = zipfile.LargeZipFile  # the name that MiniStack asks for

    def ZipFile(self, name: str) -> "_LinkedZip":  # noqa: N802 (zipfile's name)
        return _LinkedZip(Path(name), self._store)


class _LinkedZip(zipfile.ZipFile):
    def __init__(self, path: Path, store: Path) -> None:
        super().__init__(path)
        self._path = path
        self._store = store

    def extractall(self, path: Any = None, members: Any = None, pwd: Any = None) -> None:
        # The checksums of the files tell packages apart well enough, and at once.
        listing = repr([(item.filename, item.CRC, item.file_size) for item in self.infolist()])
        kept = self._store / hashlib.sha256(listing.encode()).hexdigest()
        if not kept.exists():
            self._store.mkdir(parents=True, exist_ok=True)
            fresh = Path(tempfile.mkdtemp(dir=self._store))
            super().extractall(fresh, members, pwd)
            try:
                fresh.rename(kept)
            except OSError:  # another worker was first
                shutil.rmtree(fresh)
        for entry in kept.iterdir():
            Path(path, entry.name).symlink_to(entry)
        self._path.unlink()  # MiniStack would keep a copy for each worker


def _reserve_concurrency() -> None:
    provisioners = pinned("ministack.services.cloudformation.provisioners", "_RESOURCE_HANDLERS")
    lambda_svc = pinned("ministack.services.lambda_svc", "_functions")
    handlers = provisioners._RESOURCE_HANDLERS["AWS::Lambda::Function"]

    def reserve(name: str, props: Json) -> None:
        function = lambda_svc._functions.get(name)
        if function is None:
            return
        limit = props.get("ReservedConcurrentExecutions")
        if limit is None:
            function.pop("concurrency", None)
        else:
            function["concurrency"] = int(limit)

    def wrapped(original: Any, position: int) -> Any:
        def handler(*args: Any, **kwargs: Any) -> Any:
            result = original(*args, **kwargs)
            reserve(result[0], args[position])
            return result

        return handler

    handlers["create"] = wrapped(handlers["create"], 1)
    if "update" in handlers:
        handlers["update"] = wrapped(handlers["update"], 2)
