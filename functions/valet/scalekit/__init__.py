"""A hosted Scalekit environment as the backend: it holds the tokens and serves MCP."""
