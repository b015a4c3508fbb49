"""Per-user MCP servers: configs, instances, grants and the tools they reach."""
