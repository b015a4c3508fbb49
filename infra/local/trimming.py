"""Leaves out of a package what no function reads.

Most of it describes the 400 services of AWS that are not ours; botocore lists and parses that to
make its first client, so leaving it out saves time as well. What stays is as it was: no code is
changed, and a client of every service that functions use can be made in every partition.
"""

import gzip
import json
import shutil
from pathlib import Path
from typing import Any

SERVICES = frozenset({"dynamodb", "events", "kms", "secretsmanager"})
_UNREAD = (
    "*.dist-info",
    "aws_lambda_powertools/event_handler",
    *(
        f"aws_lambda_powertools/utilities/{name}"
        for name in (
            "auth_alpha",
            "batch",
            "circuit_breaker",
            "data_classes",
            "data_masking",
            "feature_flags",
            "idempotency",
            "kafka",
            "parameters",
            "parser",
            "streaming",
            "validation",
        )
    ),
    "boto3/examples",
    "certifi/tests",
    "cffi",  # with pycparser: what builds bindings, where ours come built
    "pycparser",
    "pydantic/v1",
)
_UNREAD_FILES = ("*.pyi", "*.h", "py.typed")


def trim(package: Path) -> None:
    """Trim a built package in place."""
    for pattern in _UNREAD:
        for folder in package.glob(pattern):
            shutil.rmtree(folder)
    for pattern in _UNREAD_FILES:
        for file in package.rglob(pattern):
            file.unlink()
    data = package / "botocore" / "data"
    if data.exists():
        _trim_services(data)
        _trim_endpoints(data / "endpoints.json")


def _trim_services(data: Path) -> None:
    for folder in data.iterdir():
        if folder.is_dir() and folder.name not in SERVICES:
            shutil.rmtree(folder)
    for file in data.rglob("service-2.json.gz"):
        model = _undocumented(json.loads(gzip.decompress(file.read_bytes())))
        # Without the time of this day, so that the same sources give the same bytes.
        file.write_bytes(gzip.compress(_compact(model), mtime=0))


def _trim_endpoints(file: Path) -> None:
    """Keep every partition and region, and of the services ours."""
    endpoints = json.loads(file.read_bytes())
    for partition in endpoints["partitions"]:
        services = partition["services"]
        partition["services"] = {name: services[name] for name in SERVICES & services.keys()}
    file.write_bytes(_compact(endpoints))


def _undocumented(value: Any) -> Any:
    """A model without its prose, which is most of it; a member may be called that, too."""
    match value:
        case dict():
            return {
                name: _undocumented(entry)
                for name, entry in value.items()
                if not (name == "documentation" and isinstance(entry, str))
            }
        case list():
            return [_undocumented(entry) for entry in value]
        case _:
            return value


def _compact(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), sort_keys=True).encode()
