"""The supervisor of the local stack: ports, processes, packages, and what a failure says."""

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from infra.local import bootstrap, deployment, emulator, packaging, stack
from infra.local.deployment import Layout, architecture, fingerprint, reasons
from infra.local.lambda_sandbox import write_interpreter
from infra.local.pins import pinned
from infra.local.processes import Processes, Running, StackError, listening_inode, started_at

LISTENS = "0: 0100007F:11D6 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 4242 1 0"
CONNECTED = LISTENS.replace(" 0A ", " 01 ")


def test_the_listener_of_a_port_is_found_by_its_socket() -> None:
    assert list(listening_inode(LISTENS, 4566)) == ["4242"]
    assert list(listening_inode(LISTENS, 8400)) == []


def test_a_connection_from_the_port_is_not_its_listener() -> None:
    assert list(listening_inode(CONNECTED, 4566)) == []


@pytest.fixture
def sleeper() -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True
    )


def test_a_reused_process_id_is_not_taken_for_ours(
    tmp_path: Path, sleeper: "subprocess.Popen[bytes]"
) -> None:
    (tmp_path / "app.json").write_text(json.dumps({"pid": sleeper.pid, "started": "long ago"}))
    processes = Processes(tmp_path)
    assert processes.get("app") is None
    assert not processes.stop("app")
    assert sleeper.poll() is None
    sleeper.kill()
    sleeper.wait()


def test_a_process_that_is_ours_is_stopped(
    tmp_path: Path, sleeper: "subprocess.Popen[bytes]"
) -> None:
    kept = {"pid": sleeper.pid, "started": started_at(sleeper.pid)}
    (tmp_path / "app.json").write_text(json.dumps(kept))
    assert Processes(tmp_path).stop("app")
    sleeper.wait()
    assert not (tmp_path / "app.json").exists()


def test_a_process_that_has_ended_is_nobody() -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    assert started_at(ended.pid) is None
    assert not Running("app", ended.pid, "1").is_ours()


def test_a_broken_record_counts_as_not_running(tmp_path: Path) -> None:
    (tmp_path / "app.json").write_text("{")
    assert Processes(tmp_path).get("app") is None


def test_the_state_folder_is_closed_to_others(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    Processes(folder).prepare()
    assert folder.stat().st_mode & 0o777 == 0o700


def test_a_failed_deploy_names_the_causes_and_not_what_fell_with_them() -> None:
    events = [
        ("Configs", "UnknownTool: gmail_fetch_mail; did you mean\n gmail_fetch_mails?"),
        ("Table", "Resource creation cancelled"),
        (deployment.STACK, "The following resource(s) failed to create: [Configs]"),
    ]
    said = reasons(events)
    assert said == "Configs: UnknownTool: gmail_fetch_mail; did you mean gmail_fetch_mails?"


def test_nothing_of_this_machines_aws_settings_reaches_the_deploy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "production")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "real")
    env = deployment.local_env(tmp_path)
    assert "AWS_PROFILE" not in env
    assert "AWS_SESSION_TOKEN" not in env
    assert env["AWS_ENDPOINT_URL"].startswith("http://127.0.0.1:")


def test_the_emulator_listens_on_loopback_and_enforces_iam(tmp_path: Path) -> None:
    settings = emulator.settings(4566, tmp_path)
    assert settings["BIND_HOST"] == "127.0.0.1"
    assert settings["AUTH"] == "true"


def repository(root: Path) -> Layout:
    (root / "functions" / "valet").mkdir(parents=True)
    (root / "infra" / "local").mkdir(parents=True)
    local = ("infra/local/packaging.py", "infra/local/trimming.py")
    for name in ("template.yaml", "uv.lock", *local, "functions/a.py"):
        (root / name).write_text(name)
    return Layout(root)


def test_a_changed_source_means_another_deployment(tmp_path: Path) -> None:
    layout = repository(tmp_path)
    before = fingerprint(layout)
    (tmp_path / "functions" / "a.py").write_text("changed")
    assert fingerprint(layout) != before


def test_bytecode_lying_around_does_not_count_as_a_change(tmp_path: Path) -> None:
    layout = repository(tmp_path)
    before = fingerprint(layout)
    cache = tmp_path / "functions" / "__pycache__"
    cache.mkdir()
    (cache / "a.cpython-313.pyc").write_bytes(b"x")
    assert fingerprint(layout) == before


@pytest.mark.parametrize(
    ("machine", "lambda_name"),
    [("aarch64", "arm64"), ("arm64", "arm64"), ("x86_64", "x86_64"), ("AMD64", "x86_64")],
)
def test_functions_are_built_for_this_machine(machine: str, lambda_name: str) -> None:
    assert architecture(machine) == lambda_name


BUILT = """Globals:
  Function:
    CodeUri: functions/
Resources:
  A:
    Properties:
      CodeUri: AFunction
  B:
    Properties:
      CodeUri: BFunction
"""


def built(folder: Path, name: str, source: str = "x = 1\n") -> Path:
    place = folder / name
    place.mkdir(parents=True)
    (place / "a.py").write_text(source)
    return place


def test_equal_packages_become_one_zip(tmp_path: Path) -> None:
    (tmp_path / "template.yaml").write_text(BUILT)
    built(tmp_path, "AFunction")
    built(tmp_path, "BFunction")
    archive = packaging.finish(tmp_path)
    assert not (tmp_path / "BFunction").exists()
    assert (tmp_path / "template.yaml").read_text().count(f"CodeUri: {archive.name}") == 2
    assert "CodeUri: functions/" in (tmp_path / "template.yaml").read_text()
    assert "a.py" in zipfile.ZipFile(archive).namelist()


def test_packages_that_differ_are_not_thrown_together(tmp_path: Path) -> None:
    (tmp_path / "template.yaml").write_text(BUILT)
    built(tmp_path, "AFunction")
    built(tmp_path, "BFunction", "x = 22\n")
    with pytest.raises(packaging.PackagingError, match=r"a\.py"):
        packaging.finish(tmp_path)


def test_the_same_source_gives_the_same_package_wherever_it_is_built(tmp_path: Path) -> None:
    left = built(tmp_path, "left")
    right = built(tmp_path / "elsewhere", "right")
    for place in (left, right):
        packaging.compile_folder(place)
    name = f"__pycache__/a.{sys.implementation.cache_tag}.pyc"
    assert (left / name).read_bytes() == (right / name).read_bytes()
    packaging.pack(left, tmp_path / "left.zip")
    packaging.pack(right, tmp_path / "right.zip")
    assert (tmp_path / "left.zip").read_bytes() == (tmp_path / "right.zip").read_bytes()


def test_a_source_that_does_not_compile_fails_the_build(tmp_path: Path) -> None:
    place = built(tmp_path, "left", "def")
    with pytest.raises(packaging.PackagingError):
        packaging.compile_folder(place)


def test_a_function_cannot_import_what_its_package_lacks(tmp_path: Path) -> None:
    interpreter = write_interpreter(tmp_path)
    program = "import json, os, sys; print(json.dumps([sys.path, dict(os.environ)]))"
    shown = subprocess.run(  # noqa: S603 (the program under test)
        [interpreter, "-c", program],
        env={"AUTH": "true", "TABLE_NAME": "t", "HOME": "/root"},
        capture_output=True,
        text=True,
        check=True,
    )
    path, environment = json.loads(shown.stdout)
    assert not any("site-packages" in entry for entry in path)
    assert environment["TABLE_NAME"] == "t"
    assert {"AUTH", "HOME"}.isdisjoint(environment)


def test_a_private_name_that_is_gone_stops_the_emulator_and_names_the_pin() -> None:
    with pytest.raises(SystemExit, match=r"json has no _gone: .*ministack=="):
        pinned("json", "dumps", "_gone")


def test_an_environment_is_fresh_only_for_the_lock_it_was_made_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(bootstrap.ENVIRONMENTS, "dev", (tmp_path, []))
    assert not bootstrap.is_fresh("dev")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").touch()
    (tmp_path / ".made-from").write_text(bootstrap.lock_hash())
    assert bootstrap.is_fresh("dev")
    (tmp_path / ".made-from").write_text("another lock")
    assert not bootstrap.is_fresh("dev")


def test_versions_are_compared_as_numbers() -> None:
    assert bootstrap.parse("uv 0.13.10 (abc)") > bootstrap.parse("0.13.9")


def test_a_stack_that_is_not_up_says_so(tmp_path: Path) -> None:
    with pytest.raises(StackError, match="make up"):
        stack.Stack(Layout(tmp_path), tmp_path).outputs()


def test_every_port_belongs_to_a_process_that_down_stops() -> None:
    assert set(stack.PORTS.values()) == set(stack.NAMES)


def test_the_backend_is_one_of_two_and_native_unless_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BACKEND", raising=False)
    assert stack.chosen_backend() == "native"
    monkeypatch.setenv("BACKEND", "scalekit")
    assert stack.chosen_backend() == "scalekit"
    monkeypatch.setenv("BACKEND", "Scalekit")
    with pytest.raises(StackError, match="native or scalekit"):
        stack.chosen_backend()


def test_only_the_scalekit_backend_needs_a_fake_scalekit(tmp_path: Path) -> None:
    native, scalekit = (
        set(stack.Stack(Layout(tmp_path), tmp_path, backend).names) for backend in stack.BACKENDS
    )
    assert scalekit - native == {"fake-scalekit"}
    assert scalekit == set(stack.NAMES)
