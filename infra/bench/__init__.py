"""Measures our MCP function beside its peers: `make bench`.

Every stack serves the same 20 tools from the same API Gateway events, in fresh processes that see
nothing but its package. AWS and the provider are stand-ins on the loopback, reached as the real
ones are: no client is patched. What is reported is the CPU time of the measured process, so what
the stand-ins take is not in it, and what talking to them costs is: signing, TLS, parsing.
"""
