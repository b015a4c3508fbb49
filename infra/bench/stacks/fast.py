"""fastmcp (in a module of another name, which would hide it)."""

import logging

import lambda_asgi
from fastmcp import FastMCP
from shared import functions

logging.disable(logging.INFO)
server = FastMCP("bench", version="1.0.0")
for function in functions():
    server.tool(function, name=function.__name__)
handler = lambda_asgi.wrap(
    server.http_app(
        path="/mcp/{key}",
        json_response=True,
        stateless_http=True,
        host_origin_protection=False,
    )
)
