"""awslabs.mcp-lambda-handler."""

from awslabs.mcp_lambda_handler import MCPLambdaHandler
from shared import functions

server = MCPLambdaHandler(name="bench", version="1.0.0")
for function in functions():
    server.tool()(function)


def handler(event, context):
    return server.handle_request(event, context)
