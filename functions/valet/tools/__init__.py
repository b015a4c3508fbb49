"""How a tool call is made: the catalogue, the argument check, the request, the result."""
