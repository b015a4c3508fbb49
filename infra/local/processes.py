"""Background processes of the local stack: started with a log each, stopped by proven identity.

A process is remembered by its id and the moment it started. An id alone is not proof: the system
gives it to somebody else's process once ours is gone.
"""

# ruff: noqa: S603 (starting programs is what this is for)
import contextlib
import fcntl
import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

HOST = "127.0.0.1"
_GRACE = 6.0


class StackError(Exception):
    """Something a person has to know, in one or two lines."""


@dataclass(frozen=True)
class Running:
    """A process that we started."""

    name: str
    pid: int
    started: str

    def is_ours(self) -> bool:
        """Say whether the process with this id still is the one we started."""
        return started_at(self.pid) == self.started


def started_at(pid: int) -> str | None:
    """Give the moment a live process started, in whatever unit the system has; None if gone."""
    try:
        # The name in parentheses may hold spaces; state is the first field after it.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return None if fields[0] == "Z" else fields[19]
    except FileNotFoundError:
        if Path("/proc/self/stat").exists():
            return None
    asked = subprocess.run(
        ["/bin/ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return asked.stdout.strip() or None


class Processes:
    """The processes recorded in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def prepare(self) -> None:
        """Make the folder; logs and databases in it are nobody else's business."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self._folder.chmod(0o700)

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Keep a second command from starting or stopping things at the same time."""
        self.prepare()
        with (self._folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def log(self, name: str) -> Path:
        """Say where a process writes."""
        return self._folder / f"{name}.log"

    def get(self, name: str) -> Running | None:
        """Find a process that still runs."""
        try:
            kept = json.loads(self._record(name).read_text())
            found = Running(name, int(kept["pid"]), str(kept["started"]))
        except (FileNotFoundError, ValueError, KeyError):
            return None
        return found if found.is_ours() else None

    def start(
        self, name: str, command: Sequence[str], env: Mapping[str, str], cwd: Path
    ) -> Running:
        """Start a process in a session of its own, so that a Ctrl-C is ours to handle."""
        self.prepare()
        with self.log(name).open("wb") as log:
            child = _spawn(command, env, cwd, log)
        started = started_at(child.pid)
        if started is None:
            raise StackError(f"{name} ended at once: {self.last_words(name)}")
        self._record(name).write_text(json.dumps({"pid": child.pid, "started": started}))
        return Running(name, child.pid, started)

    def stop(self, name: str) -> bool:
        """Stop a process and what it started; say whether there was one."""
        running = self.get(name)
        if running:
            _terminate(running)
        self._record(name).unlink(missing_ok=True)
        return running is not None

    def last_words(self, name: str, lines: int = 3) -> str:
        """Quote the end of a process's log."""
        try:
            text = self.log(name).read_text(errors="replace")
        except FileNotFoundError:
            return "(no log)"
        kept = [line.strip() for line in text.splitlines() if line.strip()][-lines:]
        return " | ".join(kept) or "(empty log)"

    def _record(self, name: str) -> Path:
        return self._folder / f"{name}.json"


def _spawn(
    command: Sequence[str], env: Mapping[str, str], cwd: Path, log: IO[bytes]
) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command,
        env=dict(env),
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


def _terminate(running: Running) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(running.pid, signal.SIGTERM)
    deadline = time.monotonic() + _GRACE
    while running.is_ours() and time.monotonic() < deadline:
        _reap(running.pid)
        time.sleep(0.05)
    # The group holds the emulator's workers too; while one of them lives, its id is not reused.
    with contextlib.suppress(ProcessLookupError):
        os.killpg(running.pid, signal.SIGKILL)
    _reap(running.pid)


def _reap(pid: int) -> None:
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)


def is_free(port: int) -> bool:
    """Say whether nobody listens on a port."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def owner_of(port: int) -> str:
    """Name the process that listens on a port, where the system tells."""
    inodes = set(_listening_inodes(port))
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            held = {link.readlink().name for link in (folder / "fd").iterdir()}
            if held & {f"socket:[{inode}]" for inode in inodes}:
                return f"{(folder / 'comm').read_text().strip()}, pid {folder.name}"
    return "a process that we may not look at" if inodes else "an unknown process"


def _listening_inodes(port: int) -> Iterator[str]:
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(OSError):
            for line in Path(table).read_text().splitlines()[1:]:
                yield from listening_inode(line, port)


def listening_inode(line: str, port: int) -> Iterator[str]:
    """Read one line of /proc/net/tcp: the socket's inode if it listens on the port."""
    fields = line.split()
    if fields[3] == "0A" and int(fields[1].rpartition(":")[2], 16) == port:
        yield fields[9]


def check_ports(wanted: Mapping[int, str], processes: Processes) -> None:
    """Refuse to go on when a port is taken by somebody else."""
    taken = [
        f"port {port} is taken by {owner_of(port)}"
        for port, name in wanted.items()
        if not is_free(port) and processes.get(name) is None
    ]
    if taken:
        raise StackError(f"{'; '.join(taken)}. Free it and try again.")
