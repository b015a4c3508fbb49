"""Runs the whole system on one machine: the emulator, a fake Google, the deployed stack, an app.

python -m infra.local.stack up | down | status | logs | outputs | run -- COMMAND

With BACKEND=scalekit in the environment a fake Scalekit runs beside them.
"""

# ruff: noqa: S603 (starting programs is what this is for)
import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType

from infra.local import deployment
from infra.local.deployment import SCALEKIT, Layout
from infra.local.fake_scalekit import seed
from infra.local.processes import Processes, Running, StackError, check_ports
from infra.local.progress import Step, say, wait_for

ROOT = Path(__file__).resolve().parents[2]
RUN = ROOT / ".local" / "run"
PORTS = {
    4566: "emulator",
    8400: "emulator",
    4700: "fake-google",
    4900: "fake-scalekit",
    8500: "app",
}
NAMES = ("app", "fake-scalekit", "fake-google", "emulator")  # the order to stop them in
BACKENDS = ("native", "scalekit")


def chosen_backend() -> str:
    """The backend that whoever started this asks for."""
    chosen = os.environ.get("BACKEND") or "native"
    if chosen not in BACKENDS:
        raise StackError(f"BACKEND is {' or '.join(BACKENDS)}, not {chosen!r}")
    return chosen


class Stack:
    """The local stack: what runs, and what is deployed in it."""

    def __init__(self, layout: Layout, run: Path, backend: str = "native") -> None:
        self._layout = layout
        self._run = run
        self._backend = backend
        self.processes = Processes(run)
        self.names = [name for name in NAMES if backend == "scalekit" or name != "fake-scalekit"]

    def up(self) -> None:
        """Bring up what is not up; on failure take down what this call started."""
        with self.processes.alone():
            self._bring_up()

    def _bring_up(self) -> None:
        began = time.monotonic()
        ports = {port: name for port, name in PORTS.items() if name in self.names}
        check_ports(ports, self.processes)
        started: list[str] = []
        try:
            self._up(started)
        except BaseException:
            self._take_down(started)
            raise
        say(f"up in {time.monotonic() - began:.1f} s: the app is on http://127.0.0.1:8500")

    def down(self) -> None:
        """Stop everything and forget its state."""
        with self.processes.alone():
            stopped = self._take_down(NAMES)
        say(f"stopped {', '.join(stopped)}" if stopped else "nothing was running")

    def is_up(self) -> bool:
        """Say whether every process runs and something is deployed."""
        return self._outputs_file.exists() and all(map(self.processes.get, self.names))

    def redeploy(self) -> None:
        """Build and deploy into the running emulator, whether or not something changed."""
        emulator = self.processes.get("emulator")
        if not emulator:
            raise StackError("the stack is not up: `make up` first")
        with self.processes.alone():
            self._deployed_file.unlink(missing_ok=True)
            self._deploy(emulator)

    def outputs(self) -> str:
        """Give the deployed stack's outputs as JSON."""
        try:
            return self._outputs_file.read_text()
        except FileNotFoundError:
            raise StackError("the stack is not up: `make up` first") from None

    def _up(self, started: list[str]) -> None:
        if self.processes.get("emulator") is None:
            self.processes.stop("app")  # it knows the users of an emulator that is gone
        emulator = self._ensure("emulator", self._emulator_command(), self._home_env(), started)
        google = self._module("fake_google", 4700)
        for uri in seed.redirect_uris(SCALEKIT):
            google += ["--redirect-uri", uri]
        self._ensure("fake-google", google, self._home_env(), started)
        if "fake-scalekit" in self.names:
            env = {**self._home_env(), "PYTHONPATH": str(self._layout.root / "functions")}
            self._ensure("fake-scalekit", self._scalekit_command(), env, started)
            wait_for("fake-scalekit", f"{SCALEKIT}/keys", self.processes)
        wait_for("emulator", "http://127.0.0.1:4566/_ministack/health", self.processes)
        wait_for("fake-google", "http://127.0.0.1:4700/", self.processes)
        outputs = self._deploy(emulator)
        wait_for("emulator", f"{outputs['ApiUrl']}/", self.processes, what="API")
        people = ["--user-pool", outputs["UserPoolId"], "--client", outputs["UserPoolClientId"]]
        command = [*self._module("app", 8500), *people, "--api", outputs["ApiUrl"]]
        self._ensure("app", command, self._home_env(), started)
        wait_for("app", "http://127.0.0.1:8500/", self.processes)

    def _ensure(
        self, name: str, command: Sequence[str], env: dict[str, str], started: list[str]
    ) -> Running:
        running = self.processes.get(name)
        if running:
            return running
        started.append(name)  # before it runs: an interrupt must find it
        return self.processes.start(name, command, env, self._layout.root)

    def _deploy(self, emulator: Running) -> dict[str, str]:
        stamp = deployment.fingerprint(self._layout)
        # A new emulator is empty.
        deployed = f"{stamp} {self._backend} {emulator.pid} {emulator.started}"
        if self._deployed_file.exists() and self._deployed_file.read_text() == deployed:
            say("deployed already, nothing changed")
            kept: dict[str, str] = json.loads(self.outputs())
            return kept
        self._deployed_file.unlink(missing_ok=True)
        log = self.processes.log("sam")
        log.unlink(missing_ok=True)
        with Step("sam build") as step:
            if not deployment.build(self._layout, stamp, log):
                step.note = "nothing changed"
        with Step("sam deploy"):
            deployment.deploy(self._layout, self._run, log, self._backend)
            outputs = deployment.outputs()
            if "OAuthClientsSecret" in outputs:
                deployment.put_oauth_clients(outputs["OAuthClientsSecret"])
        self._outputs_file.write_text(json.dumps(outputs, indent=2) + "\n")
        self._deployed_file.write_text(deployed)
        return outputs

    def _take_down(self, names: Sequence[str]) -> list[str]:
        stopped = [name for name in NAMES if name in names and self.processes.stop(name)]
        if "emulator" in names:
            self._outputs_file.unlink(missing_ok=True)
            self._deployed_file.unlink(missing_ok=True)
            shutil.rmtree(self._scratch, ignore_errors=True)
        return stopped

    def _emulator_command(self) -> list[str]:
        python = str(self._layout.root / ".local/venv-emulator/bin/python")
        return [python, "-m", "infra.local.emulator", "--scratch", str(self._scratch)]

    def _scalekit_command(self) -> list[str]:
        python = str(self._layout.root / ".local/venv-scalekit/bin/python")
        return [python, "-m", "infra.local.fake_scalekit", "--port", "4900"]

    def _module(self, name: str, port: int) -> list[str]:
        return [sys.executable, "-m", f"infra.local.{name}", "--port", str(port)]

    def _home_env(self) -> dict[str, str]:
        return {**deployment.local_env(self._run), "PYTHONUNBUFFERED": "1"}

    @property
    def _scratch(self) -> Path:
        return self._run / "scratch"

    @property
    def _outputs_file(self) -> Path:
        return self._run / "outputs.json"

    @property
    def _deployed_file(self) -> Path:
        return self._run / "deployed"


def up(stack: Stack, _: argparse.Namespace) -> int:
    """Start everything, deploy, and wait until it answers."""
    stack.up()
    return 0


def down(stack: Stack, _: argparse.Namespace) -> int:
    """Stop everything."""
    stack.down()
    return 0


def deploy(stack: Stack, _: argparse.Namespace) -> int:
    """Build and deploy again into the running emulator."""
    stack.redeploy()
    return 0


def status(stack: Stack, _: argparse.Namespace) -> int:
    """Say what runs."""
    for name in reversed(stack.names):
        running = stack.processes.get(name)
        ports = ", ".join(str(port) for port, owner in PORTS.items() if owner == name)
        state = f"running, pid {running.pid}, port {ports}" if running else "not running"
        print(f"{name:13} {state}")
    return 0 if stack.is_up() else 1


def logs(stack: Stack, options: argparse.Namespace) -> int:
    """Show the end of the logs, or follow them."""
    names = [options.name] if options.name else [*reversed(NAMES), "sam"]
    files = [str(file) for file in map(stack.processes.log, names) if file.exists()]
    if not files:
        raise StackError("there are no logs yet")
    follow = ["-F"] if options.follow else []
    return subprocess.run(["/usr/bin/tail", "-n", "40", *follow, *files], check=False).returncode


def outputs(stack: Stack, _: argparse.Namespace) -> int:
    """Print the deployed stack's outputs as JSON."""
    print(stack.outputs(), end="")
    return 0


def run(stack: Stack, options: argparse.Namespace) -> int:
    """Run a command with the stack up, and leave the stack as it was found."""
    command = options.command[1:] if options.command[:1] == ["--"] else options.command
    if not command:
        raise StackError("give the command to run after --")
    found_up = stack.is_up()
    stack.up()
    try:
        return subprocess.run(command, cwd=ROOT, check=False).returncode
    finally:
        if not found_up:
            stack.down()


COMMANDS: dict[str, Callable[[Stack, argparse.Namespace], int]] = {
    "up": up,
    "down": down,
    "deploy": deploy,
    "status": status,
    "logs": logs,
    "outputs": outputs,
    "run": run,
}


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m infra.local.stack",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verbs = parser.add_subparsers(dest="verb", required=True)
    for name, act in COMMANDS.items():
        verb = verbs.add_parser(name, help=(act.__doc__ or "").rstrip("."))
        if name == "logs":
            verb.add_argument("name", nargs="?", choices=[*NAMES, "sam"])
            verb.add_argument("-f", "--follow", action="store_true")
        if name == "run":
            verb.add_argument("command", nargs=argparse.REMAINDER)
    return parser.parse_args(argv)


def _interrupted(number: int, _: FrameType | None) -> None:
    raise KeyboardInterrupt(number)


def main(argv: Sequence[str] | None = None) -> int:
    """Do what the command line says."""
    options = _arguments(argv)
    os.umask(0o077)  # logs and state hold tokens of made-up people, but tokens all the same
    signal.signal(signal.SIGTERM, _interrupted)
    try:
        return COMMANDS[options.verb](Stack(Layout(ROOT), RUN, chosen_backend()), options)
    except StackError as error:
        print(f"stack: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stack: interrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
