"""Fixtures of the end-to-end tests: the deployed stack over HTTP, with nothing replaced."""

from __future__ import annotations

import uuid
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.e2e.api import Api
from tests.e2e.consent import CALENDAR, GMAIL
from tests.e2e.deployed import APP, PROVIDER, Deployment, read_outputs
from tests.e2e.google import Google
from tests.e2e.issuer import Issuer, running
from tests.e2e.listener import Listener, listening
from tests.e2e.people import User, sign_up

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_HERE = Path(__file__).parent


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Loopback only, and the search for leaks after everything that could leak."""
    outputs = read_outputs()
    backend = Deployment(outputs).backend if outputs else "native"
    for item in items:
        if item.path.is_relative_to(_HERE):
            item.add_marker(pytest.mark.allow_hosts(["127.0.0.1"]))
            _skip_what_the_backend_has_not(item, backend)
    items.sort(key=lambda item: item.path == _HERE / "test_leaks.py")


def _skip_what_the_backend_has_not(item: pytest.Item, backend: str) -> None:
    """Before any fixture is made for it, and for the reason that its mark gives."""
    native = item.get_closest_marker("native_only")
    if native and backend != "native":
        item.add_marker(pytest.mark.skip(reason=native.args[0]))
    if item.get_closest_marker("scalekit_only") and backend != "scalekit":
        item.add_marker(pytest.mark.skip(reason="needs the stack with BACKEND=scalekit"))


@pytest.fixture(scope="session")
def deployment() -> Deployment:
    outputs = _outputs()
    if outputs is None:
        pytest.fail("the local stack is not up: run `make e2e` or `make up`", pytrace=False)
    return Deployment(outputs)


@pytest.fixture(scope="session", autouse=True)
def all_events() -> Iterator[Listener | None]:
    """Hears all events of the session, for the search for leaks; None without a stack."""
    if _outputs() is None:
        yield None
        return
    with listening() as listener:
        yield listener


@cache
def _outputs() -> dict[str, str] | None:
    """The stack's outputs if it is up."""
    outputs = read_outputs()
    places = [outputs["ApiUrl"], PROVIDER, APP] if outputs else []
    return outputs if all(map(_answers, places)) else None


def _answers(url: str) -> bool:
    try:
        httpx.get(url, timeout=5, trust_env=False)
    except httpx.HTTPError:
        return False
    return True


@pytest.fixture(scope="session")
def api(deployment: Deployment) -> Iterator[Api]:
    api = Api(deployment.api)
    yield api
    api.http.close()


@pytest.fixture(scope="session")
def google(deployment: Deployment) -> Iterator[Google]:
    assert deployment
    google = Google()
    yield google
    google.close()


@pytest.fixture(scope="session")
def issuer(deployment: Deployment, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Issuer]:
    """Whose access tokens open /mcp; it runs from where the first test needs it."""
    assert deployment
    with running(tmp_path_factory.mktemp("issuer") / "log") as issuer:
        yield issuer


@pytest.fixture
def new_user(deployment: Deployment, api: Api) -> Callable[[], User]:
    return lambda: sign_up(deployment, api)


@pytest.fixture
def user(new_user: Callable[[], User]) -> User:
    return new_user()


@pytest.fixture
def other(new_user: Callable[[], User]) -> User:
    return new_user()


@pytest.fixture
def new_config(api: Api) -> Iterator[Callable[..., str]]:
    """Makes a config of its own name; it is gone after the test, as it widens what is asked."""
    made: list[str] = []

    def make(gmail: list[str] | None = None, calendar: list[str] | None = None) -> str:
        name = f"e2e-{uuid.uuid4().hex[:12]}"
        chosen: list[dict[str, Any]] = [
            {"connection": connection, "tools": tools}
            for connection, tools in ((GMAIL, gmail), (CALENDAR, calendar))
            if tools
        ]
        answer = api.as_service("PUT", f"/configs/{name}", {"connections": chosen})
        assert answer.status_code == 200, answer.text
        made.append(name)
        return name

    yield make
    for name in made:
        assert api.as_service("DELETE", f"/configs/{name}").status_code in (200, 404)
