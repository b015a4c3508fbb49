"""Puts a test function beside the product: the deployed package, with the suite's tools added."""

from __future__ import annotations

import shutil
import uuid
import zipfile
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from infra.local.deployment import Layout, architecture
from infra.local.packaging import ARCHIVE
from tests.e2e.deployed import ROOT, aws

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PACKAGE: Final = Layout(ROOT).build / ARCHIVE  # as it was deployed
ORIGIN: Final = "http://localhost:4566"  # by this name: the rebinding scenario is about localhost
SERVER: Final = "tests/conformance/server"


@contextmanager
def deployed(place: Path) -> Iterator[str]:
    """The URL of the test function, for a while."""
    package = place / ARCHIVE
    shutil.copy(PACKAGE, package)
    with zipfile.ZipFile(package, "a") as added:
        for file in sorted((ROOT / SERVER).glob("*.py")):
            added.write(file, f"{SERVER}/{file.name}")
    name = f"mcp-valet-conformance-{uuid.uuid4().hex[:8]}"  # a killed run may have left its own
    cloudformation, s3 = aws("cloudformation"), aws("s3")
    s3.create_bucket(Bucket=name)
    s3.upload_file(str(package), name, ARCHIVE)
    values = {
        "CodeBucket": name,
        "CodeKey": ARCHIVE,
        "AllowedOrigin": ORIGIN,
        "Architecture": architecture(),
    }
    cloudformation.create_stack(
        StackName=name,
        TemplateBody=(ROOT / "tests/conformance/template.yaml").read_text(),
        Parameters=[{"ParameterKey": k, "ParameterValue": v} for k, v in values.items()],
        Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
    )
    try:
        waiter = cloudformation.get_waiter("stack_create_complete")
        waiter.wait(StackName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 60})
        (stack,) = cloudformation.describe_stacks(StackName=name)["Stacks"]
        outputs = {each["OutputKey"]: each["OutputValue"] for each in stack["Outputs"]}
        yield f"{ORIGIN}/_aws/execute-api/{outputs['ApiId']}/mcp"
    finally:
        cloudformation.delete_stack(StackName=name)
