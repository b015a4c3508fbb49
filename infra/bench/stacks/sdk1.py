"""The official SDK, 1.x."""

import logging

import lambda_asgi
from mcp.server.fastmcp import FastMCP
from mcp.server.transport_security import TransportSecuritySettings
from shared import functions

logging.disable(logging.INFO)
server = FastMCP(
    "bench",
    stateless_http=True,
    json_response=True,
    streamable_http_path="/mcp/{key}",
    transport_security=TransportSecuritySettings(enable_dns_rebinding_protection=False),
)
for function in functions():
    server.add_tool(function)
handler = lambda_asgi.wrap(server.streamable_http_app())
