"""What Scalekit's connectors offer, asked of its catalogue when something is declared.

A connector's name is its provider's key in small letters: `gmail` is GMAIL's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from valet.errors import UnknownName

if TYPE_CHECKING:
    from collections.abc import Mapping

    from valet.models import ConnectionTools
    from valet.scalekit.answers import RemoteTool
    from valet.scalekit.api import Api


@dataclass(frozen=True, slots=True)
class RemoteConnector:
    """`valet.connectors.models.Offer`."""

    tools: Mapping[str, RemoteTool]

    def tool(self, name: str) -> RemoteTool:
        """Raises UnknownName."""
        if name not in self.tools:
            raise UnknownName("tool", name, self.tools)
        return self.tools[name]


@dataclass(frozen=True, slots=True)
class Catalogue:
    api: Api

    def names(self) -> list[str]:
        """The connectors that the environment has a connection of."""
        return sorted({connection.provider.lower() for connection in self.api.connections()})

    def get(self, connector: str) -> RemoteConnector:
        """Raises UnknownName for one that has no tools, which is what an unknown one looks like."""
        tools = {tool.name: tool for tool in self.api.tools(connector.upper())}
        if not tools:
            raise UnknownName("connector", connector, self.names())
        return RemoteConnector(tools)

    @staticmethod
    def exposed(mapping: ConnectionTools) -> tuple[str, ...]:
        """The names that a declared mapping exposes: always written out, see `configs`."""
        return mapping.tools or ()
