"""What is left of a package still makes every client, wherever AWS is, and loads every function."""

from __future__ import annotations

import ast
import json
import shutil
import subprocess
import sysconfig
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from infra.local.lambda_sandbox import write_interpreter
from infra.local.trimming import SERVICES, trim
from tests.infra.template_support import ROOT

NEEDED = (
    "aws_lambda_powertools",
    "botocore",
    "dateutil",
    "jmespath",
    "pydantic",
    "six",
    "urllib3",
)
PARTITIONS = {
    "us-east-1": "us-east-1.amazonaws.com",
    "eu-central-1": "eu-central-1.amazonaws.com",
    "cn-north-1": "cn-north-1.amazonaws.com.cn",
    "us-gov-west-1": "us-gov-west-1.amazonaws.com",
    "eusc-de-east-1": "eusc-de-east-1.amazonaws.eu",
}
CLIENTS = """
import json, sys
sys.path.insert(0, sys.argv[1])
from botocore.session import get_session
found = {}
for region in json.loads(sys.argv[2]):
    for service in json.loads(sys.argv[3]):
        session = get_session()
        session.set_credentials("x", "x")
        client = session.create_client(service, region_name=region)
        found[f"{service} {region}"] = [client.meta.endpoint_url, client.meta.partition]
        assert client.meta.service_model.operation_names
print(json.dumps(found))
"""
# What is not trimmed comes from this environment; of what is, only what was left is found.
MODULES = """
import importlib, pkgutil, sys
sys.path[:0] = sys.argv[1:]
import valet
names = ["create_config", "ensure_instance", "oauth_callback", "mcp_server"]
names += [module.name for module in pkgutil.walk_packages(valet.__path__, "valet.")]
for name in names:
    importlib.import_module(name)
import aws_lambda_powertools, pydantic
print(aws_lambda_powertools.__file__, pydantic.__file__)
"""


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is trimmed of the functions' package, and what AWS clients need beside it."""
    folder = tmp_path_factory.mktemp("package")
    for name in NEEDED:
        spec = find_spec(name)
        assert spec
        assert spec.origin
        origin = Path(spec.origin)
        if origin.name == "__init__.py":
            shutil.copytree(
                origin.parent, folder / name, ignore=shutil.ignore_patterns("__pycache__")
            )
        else:
            shutil.copy(origin, folder)
    trim(folder)
    return folder


def run(scratch: Path, program: str, *arguments: object) -> str:
    """Run a program as a function would run: with the standard library and what it is told of."""
    done = subprocess.run(  # noqa: S603 (our own words)
        [write_interpreter(scratch), "-c", program, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def clients(package: Path, scratch: Path, services: list[str]) -> Any:
    asked = json.dumps(list(PARTITIONS)), json.dumps(services)
    return json.loads(run(scratch, CLIENTS, package, *asked))


def test_every_module_of_every_function_can_be_imported(package: Path, tmp_path: Path) -> None:
    installed = sysconfig.get_path("purelib")
    loaded = run(tmp_path, MODULES, package, ROOT / "functions", installed).split()
    assert all(Path(file).is_relative_to(package) for file in loaded)


def test_every_client_can_be_made_in_every_partition(package: Path, tmp_path: Path) -> None:
    found = clients(package, tmp_path, sorted(SERVICES))
    assert len(found) == len(PARTITIONS) * len(SERVICES)
    for name, (url, _) in found.items():
        service, region = name.split()
        assert url == f"https://{service}.{PARTITIONS[region]}"


def test_the_services_kept_are_those_that_the_wiring_makes_clients_of() -> None:
    modules = (ROOT / "functions/valet/wiring").glob("*.py")
    named = {
        node.args[0].value
        for module in modules
        for node in ast.walk(ast.parse(module.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "aws_client"
        and isinstance(node.args[0], ast.Constant)
    }
    assert named == SERVICES


def test_most_of_aws_is_left_out(package: Path) -> None:
    data = package / "botocore" / "data"
    assert {folder.name for folder in data.iterdir() if folder.is_dir()} == SERVICES
    assert sum(file.stat().st_size for file in data.rglob("*") if file.is_file()) < 500_000


def test_a_model_keeps_a_member_that_is_called_documentation(tmp_path: Path) -> None:
    import gzip

    folder = tmp_path / "botocore" / "data" / "kms" / "1"
    folder.mkdir(parents=True)
    (tmp_path / "botocore/data/endpoints.json").write_text('{"partitions": []}')
    model = {"documentation": "<p>prose</p>", "members": {"documentation": {"shape": "String"}}}
    (folder / "service-2.json.gz").write_bytes(gzip.compress(json.dumps(model).encode()))
    trim(tmp_path)
    kept = json.loads(gzip.decompress((folder / "service-2.json.gz").read_bytes()))
    assert kept == {"members": {"documentation": {"shape": "String"}}}


def test_what_only_builds_or_describes_is_left_out(tmp_path: Path) -> None:
    for name in ("a-1.dist-info/RECORD", "pycparser/x.py", "a/x.pyi", "a/x.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    trim(tmp_path)
    left = [file.relative_to(tmp_path).as_posix() for file in tmp_path.rglob("*") if file.is_file()]
    assert left == ["a/x.py"]
