"""Google's discovery documents as a router: which method a request names, and what it may carry."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from importlib import resources
from typing import Any
from urllib.parse import urlsplit

from .errors import ApiError, bad_request, not_found
from .schema import check, check_query_value

# A credential in a query string is never right here, whatever the document still lists.
_BANNED = {"access_token", "oauth_token", "key", "callback"}
_DOCUMENTS = ("gmail.v1.json", "calendar.v3.json")


@dataclass(frozen=True)
class Method:
    """One method of one API, as its discovery document describes it."""

    id: str
    verb: str
    host: str
    pattern: re.Pattern[str]
    literals: int
    parameters: dict[str, Any]
    request: str | None
    response: str | None
    scopes: frozenset[str]
    schemas: dict[str, Any]

    def read_query(self, pairs: list[tuple[str, str]]) -> dict[str, Any]:
        """The query as typed values; unknown, repeated and ill-typed parameters are refused."""
        found: dict[str, list[str]] = {}
        for name, value in pairs:
            found.setdefault(name, []).append(value)
        out = {name: self._read(name, values) for name, values in found.items()}
        for name, spec in self.parameters.items():
            if spec.get("required") and spec["location"] == "query" and name not in out:
                raise bad_request(f"Required parameter: {name}", "required")
        return out

    def _read(self, name: str, values: list[str]) -> Any:
        spec = self.parameters.get(name)
        if spec is None or spec.get("location") != "query":
            raise bad_request(
                f'Invalid JSON payload received. Unknown name "{name}": Cannot bind query'
                f" parameter. Field '{name}' could not be found in request message."
            )
        typed = [check_query_value(name, spec, value) for value in values]
        if spec.get("repeated"):
            return typed
        if len(typed) > 1:
            raise bad_request(f"Invalid value for {name}: the parameter may appear once")
        return typed[0]

    def read_body(self, raw: bytes, content_type: str) -> dict[str, Any]:
        """The body as an object that fits the method's request schema."""
        if self.verb in {"GET", "DELETE"} and raw:
            raise bad_request("Your client has issued a malformed or illegal request.")
        if not raw:
            value: Any = {}
        elif content_type.split(";")[0].strip().lower() != "application/json":
            raise bad_request(f"Unsupported content with type: {content_type}", "badContent")
        else:
            value = _parse(raw)
        check({"$ref": self.request} if self.request else _NOTHING, value, "", self.schemas)
        self._check_required(value)
        return dict(value)

    def _check_required(self, value: dict[str, Any]) -> None:
        properties = self.schemas.get(self.request or "", {}).get("properties", {})
        for name, spec in properties.items():
            if self.id in spec.get("annotations", {}).get("required", ()) and not value.get(name):
                raise bad_request(f"Required field: {name}", "required")

    def check_answer(self, value: Any) -> None:
        """The fake is held to the documents too: an answer that no Google would give is a bug."""
        if self.response:
            try:
                check({"$ref": self.response}, value, "", self.schemas)
            except ApiError as wrong:
                said = f"The fake's own answer to {self.id} breaks the schema: {wrong.message}"
                raise ApiError(500, "backendError", said) from wrong


_NOTHING: dict[str, Any] = {"type": "object", "properties": {}}


def _parse(raw: bytes) -> Any:
    try:
        value = json.loads(raw)
    except ValueError as wrong:
        raise bad_request("Invalid JSON payload received.", "parseError") from wrong
    if not isinstance(value, dict):
        raise bad_request("Invalid JSON payload received. Root element must be a message.")
    return value


class Directory:
    """Every method of the APIs that the fake speaks for."""

    def __init__(self) -> None:
        self.methods: list[Method] = []
        self.scopes: dict[str, str] = {}
        folder = resources.files("googleapiclient") / "discovery_cache" / "documents"
        for name in _DOCUMENTS:
            document = json.loads((folder / name).read_text())
            for scope, spec in document["auth"]["oauth2"]["scopes"].items():
                self.scopes[scope] = spec["description"]
            self._add(document, document)
        # `messages/send` before `messages/{id}`
        self.methods.sort(key=lambda method: -method.literals)
        self.hosts = frozenset(method.host for method in self.methods)

    def _add(self, document: dict[str, Any], node: dict[str, Any]) -> None:
        for spec in node.get("methods", {}).values():
            self.methods.append(_method(document, spec))
        for child in node.get("resources", {}).values():
            self._add(document, child)

    def match(self, verb: str, host: str, path: str) -> tuple[Method, dict[str, str]]:
        """The method that verb, host and (still percent-encoded) path name."""
        if path.startswith(("upload/", "resumable/", "batch/")):
            raise not_implemented(f"uploads and batches ({path})")
        for method in self.methods:
            found = method.pattern.fullmatch(path)
            if found and method.verb == verb and method.host == host:
                return method, found.groupdict()
        raise not_found(f"The requested URL /{path} was not found on this server.")


def _method(document: dict[str, Any], spec: dict[str, Any]) -> Method:
    path = document["servicePath"] + spec["path"]
    common = {
        name: {**parameter, "location": "query"}
        for name, parameter in document["parameters"].items()
        if name not in _BANNED
    }
    return Method(
        id=spec["id"],
        verb=spec["httpMethod"],
        host=urlsplit(document["rootUrl"]).hostname or "",
        pattern=_pattern(path),
        literals=sum("{" not in segment for segment in path.split("/")),
        parameters={**common, **spec.get("parameters", {})},
        request=spec.get("request", {}).get("$ref"),
        response=spec.get("response", {}).get("$ref"),
        scopes=frozenset(spec.get("scopes", ())),
        schemas=document["schemas"],
    )


def _pattern(path: str) -> re.Pattern[str]:
    """A path template as a pattern: a variable is one segment and never a dot segment."""
    pieces = re.split(r"\{(\w+)\}", path)
    out = ""
    for index, piece in enumerate(pieces):
        out += rf"(?!\.{{1,2}}(?:/|$))(?P<{piece}>[^/]+)" if index % 2 else re.escape(piece)
    return re.compile(out)


def not_implemented(what: str) -> ApiError:
    return ApiError(501, "notImplemented", f"The fake Google does not implement {what}.")
