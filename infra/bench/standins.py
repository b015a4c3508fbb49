"""Runs the stand-ins: AWS over TLS, since TLS is part of what a cold function pays for."""

from __future__ import annotations

import datetime
import ipaddress
import ssl
import threading
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

import certifi
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from infra.bench import provider
from infra.bench.aws import Aws, handler_for

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


@dataclass(frozen=True)
class StandIns:
    aws: Aws
    aws_url: str
    ca_bundle: Path
    provider_url: str


@contextmanager
def running(scratch: Path, secret_strings: Mapping[str, str]) -> Iterator[StandIns]:
    """Serve while this lasts, on free ports."""
    aws = Aws(secret_strings)
    certificate, key, bundle = _certificate(scratch)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    with ExitStack() as stack:
        aws_port = stack.enter_context(_served(handler_for(aws), context))
        provider_port = stack.enter_context(_served(provider.Handler, None))
        yield StandIns(
            aws, f"https://127.0.0.1:{aws_port}", bundle, f"http://127.0.0.1:{provider_port}"
        )


@contextmanager
def _served(handler: type[BaseHTTPRequestHandler], tls: ssl.SSLContext | None) -> Iterator[int]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    if tls:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()


def _certificate(scratch: Path) -> tuple[Path, Path, Path]:
    """A certificate of our own, its key, and a bundle that trusts it beside everybody else's.

    The bundle is as long as a real one: reading it is most of a TLS connection's first cost.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "mcp-valet bench")])
    today = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(today - datetime.timedelta(days=1))
        .not_valid_after(today + datetime.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]),
            critical=False,
        )
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    paths = scratch / "aws.pem", scratch / "aws.key", scratch / "ca-bundle.pem"
    paths[0].write_bytes(pem)
    paths[1].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    paths[2].write_bytes(Path(certifi.where()).read_bytes() + pem)
    return paths
