"""What can be declared on this backend: the connectors in the package, whose tools run here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from valet.connectors.catalog import connector_names, load_connector
from valet.native.exposure import exposed_tools

if TYPE_CHECKING:
    from valet.connectors.models import Offer
    from valet.models import ConnectionTools


class Catalogue:
    """`valet.connectors.models.Catalogue`."""

    def names(self) -> list[str]:
        return connector_names()

    def get(self, connector: str) -> Offer:
        return load_connector(connector)

    def exposed(self, mapping: ConnectionTools) -> tuple[str, ...]:
        return exposed_tools(mapping)
