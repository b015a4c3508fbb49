"""The time by DynamoDB's clock, so that leases hold among functions whose own clocks disagree.

A lease that a slow clock took looks over to every other one, and a second redemption of a rotating
refresh token loses the grant. Every answer of DynamoDB carries its date, so whoever has read the
account knows how far off they are. Below a few seconds the own clock is the better one: the date
is in whole seconds, and has travelled.
"""

from __future__ import annotations

from datetime import timedelta
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from valet.native.clock import Clock, utc_now

if TYPE_CHECKING:
    from datetime import datetime

    from types_boto3_dynamodb import DynamoDBClient

_TRUSTED = timedelta(seconds=3)
_NONE = timedelta(0)
_parsed = lru_cache(maxsize=1)(parsedate_to_datetime)  # many answers a second have the same date


class AwsClock:
    """`valet.native.clock.Clock`, corrected by the answers that a client gets."""

    def __init__(self, client: DynamoDBClient, own: Clock = utc_now) -> None:
        self._own = own
        self._ahead = _NONE
        client.meta.events.register("after-call.dynamodb", self._compare)

    def __call__(self) -> datetime:
        return self._own() + self._ahead

    def _compare(self, parsed: dict[str, Any], **_: object) -> None:
        try:
            date = _parsed(parsed["ResponseMetadata"]["HTTPHeaders"]["date"])
            ahead = date - self._own()
        except (KeyError, TypeError, ValueError):
            return  # no date, or none that can be read: what was known stays
        self._ahead = ahead if abs(ahead) > _TRUSTED else _NONE
