"""Scalekit's API as its own descriptors describe it: paths, messages, rules.

They come with the official SDK. A path or a field that is not in them cannot be served by
mistake, nor can an answer that the SDK could not read.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import protovalidate
from google.api import annotations_pb2
from google.protobuf import json_format, message_factory
from google.protobuf.any_pb2 import Any as AnyMessage
from google.rpc.status_pb2 import Status

from . import descriptors
from .errors import ApiError, invalid, not_found

if TYPE_CHECKING:
    from collections.abc import Iterator

type Json = dict[str, Any]
type Message = Any  # of a class made from a descriptor

_VERBS = ("get", "put", "post", "delete", "patch")
_BOOLEANS = {"true": True, "false": False}


@dataclass(frozen=True)
class Method:
    """One binding of a method to HTTP; a method may have several."""

    name: str  # Service.Method
    verb: str
    template: str
    pattern: re.Pattern[str]
    body: str  # "*", the field that the body is, or "" for no body
    input: Message
    output: Message
    for_clients: bool  # client credentials may call it; the rest is for people in the dashboard

    def read(self, in_path: dict[str, str], query: list[tuple[str, str]], raw: bytes) -> Json:
        """The request as the descriptor's message; unknown fields and broken rules are refused."""
        message = self.input()
        try:
            if raw and not self.body:
                raise invalid(f"{self.verb} {self.template} takes no body")
            if raw and not raw.lstrip().startswith(b"{"):
                raise invalid("the body must be a JSON object")
            if self.body:
                target = message if self.body == "*" else getattr(message, self.body)
                target.SetInParent()
                json_format.Parse(raw or b"{}", target)
            json_format.ParseDict(self._fields(query), message)
            json_format.ParseDict(in_path, message)
        except (json_format.ParseError, UnicodeDecodeError) as wrong:
            raise invalid(str(wrong)) from wrong
        violations = _violations(message)
        if violations:
            said = "; ".join(f"{each['field']}: {each['description']}" for each in violations)
            raise invalid(said, validation_error_info={"field_violations": violations})
        return _as_json(message)

    def answer(self, given: Json) -> Json:
        """The answer as the descriptor's message; one that breaks it is the fake's own fault."""
        message = self.output()
        try:
            json_format.ParseDict(given, message)
        except json_format.ParseError as wrong:
            raise ApiError("INTERNAL", f"the fake's own answer is wrong: {wrong}") from wrong
        if broken := _violations(message):
            raise ApiError("INTERNAL", f"the fake's own answer is wrong: {broken}")
        return _as_json(message)

    def _fields(self, query: list[tuple[str, str]]) -> Json:
        """The query as JSON: `filter.name=x` is a field of the message in the field `filter`."""
        if query and self.body == "*":
            raise invalid(f"{self.verb} {self.template} takes no query")
        found: Json = {}
        for name, value in query:
            *parents, last = name.split(".")
            descriptor, into = self.input.DESCRIPTOR, found
            for parent in parents:
                descriptor = _field(descriptor, parent, name).message_type
                into = into.setdefault(parent, {})
            field = _field(descriptor, last, name)
            typed = _BOOLEANS.get(value, value) if _is_boolean(field) else value
            if field.is_repeated:
                into.setdefault(last, []).append(typed)
            elif last in into:
                raise invalid(f"{name}: may be given once")
            else:
                into[last] = typed
        return found


class Directory:
    """Every binding of the services that the fake speaks for."""

    def __init__(self) -> None:
        services = [
            s for file in descriptors.FILES for s in file.DESCRIPTOR.services_by_name.values()
        ]
        found = [binding for s in services for m in s.methods for binding in _bindings(s, m)]
        # `/connections/app` before `/connections/{connection_id}`
        self.methods = sorted(found, key=lambda method: method.template.count("{"))

    def match(self, verb: str, path: str) -> tuple[Method, dict[str, str]]:
        """The method that a verb and a path name, and what the path says."""
        fits = [(m, hit) for m in self.methods if (hit := m.pattern.fullmatch(path))]
        if not fits:
            raise not_found("Not Found")
        for method, hit in fits:
            if method.verb == verb:
                return method, hit.groupdict()
        raise ApiError("UNIMPLEMENTED", "Method Not Allowed")  # so does grpc-gateway


def error_body(error: ApiError) -> Json:
    """The error as a google.rpc.Status that carries Scalekit's ErrorInfo."""
    info = json_format.ParseDict(error.info, descriptors.errdetails.ErrorInfo())
    packed = AnyMessage()
    packed.Pack(info)
    status = Status(code=error.grpc, message=error.message, details=[packed])
    return dict(json_format.MessageToDict(status, preserving_proto_field_name=True))


def _bindings(service: Any, method: Any) -> Iterator[Method]:
    options = method.GetOptions()
    rule = options.Extensions[annotations_pb2.http]
    kind = options.Extensions[descriptors.options.auth_option].authentication_type
    audience = descriptors.options.AuthenticationType.Name(kind)
    for binding in (rule, *rule.additional_bindings):
        verb = binding.WhichOneof("pattern")
        if verb not in _VERBS:
            continue
        template = getattr(binding, verb)
        # What is left between braces are names of fields; a verb such as `:search` is literal.
        pattern = re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/:]+)", re.escape(template))
        yield Method(
            name=f"{service.name}.{method.name}",
            verb=verb.upper(),
            template=template,
            pattern=re.compile(pattern),
            body=binding.body,
            input=message_factory.GetMessageClass(method.input_type),
            output=message_factory.GetMessageClass(method.output_type),
            for_clients="CLIENT" in audience,
        )


def _field(descriptor: Any, name: str, whole: str) -> Any:
    found = descriptor.fields_by_name.get(name) if descriptor else None
    if found is None:
        raise invalid(f"{whole}: no such query parameter")
    return found


def _is_boolean(field: Any) -> bool:
    wrapped = field.message_type and field.message_type.full_name == "google.protobuf.BoolValue"
    return bool(wrapped) or field.type == field.TYPE_BOOL


def _violations(message: Message) -> list[dict[str, str]]:
    return [
        {
            "field": _path(each.proto.field),
            "description": each.proto.message,
            "constraint": each.proto.rule_id,
        }
        for each in protovalidate.collect_violations(message)
    ]


def _path(field: Any) -> str:
    return ".".join(element.field_name for element in field.elements) if field else ""


def _as_json(message: Message) -> Json:
    return dict(
        json_format.MessageToDict(
            message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
        )
    )
