"""The environment: read when first needed, so that each function carries only what it uses."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from functools import cache

from valet.errors import Misconfigured

_LOOPBACK = re.compile(r"http://127\.0\.0\.1:\d+")


@dataclass(frozen=True, slots=True)
class Settings:
    """Names are those of the environment variables in template.yaml."""

    app_name: str
    backend: str  # native, scalekit
    mcp_oauth_audience: str
    mcp_oauth_config: str
    mcp_oauth_full_scope: str
    mcp_oauth_issuer: str
    mcp_oauth_read_scope: str
    oauth_clients_secret: str
    provider_override: str
    scalekit_mode: str  # instance, server
    scalekit_secret: str
    table_name: str
    url_keys_secret: str
    user_claim: str
    vault_key_arn: str
    verify_url: str

    def require(self, name: str) -> str:
        """Raises Misconfigured for a variable that this function was deployed without."""
        value = str(getattr(self, name))
        if not value:
            raise Misconfigured(f"the environment variable {name.upper()} is not set")
        return value

    def provider_url(self, url: str) -> str:
        """Where a provider's URL is reached: as it is, or below a stand-in on this machine."""
        if not self.provider_override:
            return url
        if not _LOOPBACK.fullmatch(self.provider_override):
            raise Misconfigured("PROVIDER_OVERRIDE may only be an http origin on 127.0.0.1")
        return f"{self.provider_override}/{url.removeprefix('https://')}"


@cache
def settings() -> Settings:
    read = os.environ.get
    return Settings(
        app_name=read("APP_NAME", "Your app"),
        backend=read("BACKEND", "native"),
        mcp_oauth_audience=read("MCP_OAUTH_AUDIENCE", ""),
        mcp_oauth_config=read("MCP_OAUTH_CONFIG", ""),
        mcp_oauth_full_scope=read("MCP_OAUTH_FULL_SCOPE", ""),
        mcp_oauth_issuer=read("MCP_OAUTH_ISSUER", ""),
        mcp_oauth_read_scope=read("MCP_OAUTH_READ_SCOPE", ""),
        oauth_clients_secret=read("OAUTH_CLIENTS_SECRET", ""),
        provider_override=read("PROVIDER_OVERRIDE", ""),
        scalekit_mode=read("SCALEKIT_MODE", "instance"),
        scalekit_secret=read("SCALEKIT_SECRET", ""),
        table_name=read("TABLE_NAME", ""),
        url_keys_secret=read("URL_KEYS_SECRET", ""),
        user_claim=read("USER_CLAIM", "sub"),
        vault_key_arn=read("VAULT_KEY_ARN", ""),
        verify_url=read("VERIFY_URL", ""),
    )
