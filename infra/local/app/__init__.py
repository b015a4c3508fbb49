"""A demo app: stands for your app's frontend, from sign-in to a connected MCP URL."""
