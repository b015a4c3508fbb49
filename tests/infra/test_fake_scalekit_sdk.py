"""Scalekit's own SDK reads what the fake answers, and the fake takes what the SDK sends."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

from tests.infra.scalekit_support import PYTHON, ROOT

if TYPE_CHECKING:
    from tests.infra.scalekit_support import Json, Scalekit


def test_the_documented_example_runs_with_the_official_sdk(scalekit: Scalekit) -> None:
    for connection in ("MY_GMAIL", "MY_CALENDAR"):
        scalekit.connect(connection, "john-doe")
    read = _with_the_sdk(scalekit)
    assert read["duplicate"] == "ScalekitConflictException DUPLICATE_IDENTIFIER"
    assert read["listed"] == [read["config"]]
    assert read["url"].startswith(f"{scalekit.base}/mcp/v2/servers/")
    assert read["state"] == {"MY_GMAIL": "ACTIVE", "MY_CALENDAR": "ACTIVE"}
    assert all(link.startswith(f"{scalekit.base}/magicLink/") for link in read["links"])
    assert (read["claims"]["sub"], read["claims"]["mcp_cfg"]) == ("john-doe", read["config"])
    assert read["mails"] == 2


def _with_the_sdk(scalekit: Scalekit) -> Json:
    done = subprocess.run(  # noqa: S603  # ours
        [str(PYTHON), "-m", "tests.infra.scalekit_sdk", scalekit.base],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))
