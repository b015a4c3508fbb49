"""The official SDK, 2.x."""

import logging

import lambda_asgi
from mcp.server.mcpserver import MCPServer
from mcp.server.transport_security import TransportSecuritySettings
from shared import functions

logging.disable(logging.INFO)
server = MCPServer(name="bench", version="1.0.0")
for function in functions():
    server.add_tool(function)
handler = lambda_asgi.wrap(
    server.streamable_http_app(
        streamable_http_path="/mcp/{key}",
        stateless_http=True,
        json_response=True,
        transport_security=TransportSecuritySettings(enable_dns_rebinding_protection=False),
    )
)
