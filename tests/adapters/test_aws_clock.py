"""Time by DynamoDB's clock: what a date in an answer corrects, and what it does not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import boto3
import pytest

from valet.adapters.aws_clock import AwsClock

TRUE = datetime(2026, 11, 23, 9, 0, 0, tzinfo=UTC)


class Function:
    """A function whose own clock is off, and its client."""

    def __init__(self, off: float) -> None:
        self.own = TRUE + timedelta(seconds=off)
        self.client: Any = boto3.client("dynamodb", region_name="us-east-1")
        self.clock = AwsClock(self.client, lambda: self.own)

    def hears(self, headers: dict[str, str]) -> None:
        parsed = {"ResponseMetadata": {"HTTPHeaders": headers}}
        self.client.meta.events.emit(
            "after-call.dynamodb.GetItem", http_response=None, parsed=parsed, model=None, context={}
        )


def date(moment: datetime) -> dict[str, str]:
    return {"date": format_datetime(moment, usegmt=True)}


@pytest.mark.parametrize("off", [-240.0, -120.0, -10.0, 10.0, 120.0, 240.0])
def test_a_clock_that_is_off_is_set_right_by_an_answer(off: float) -> None:
    function = Function(off)
    assert function.clock() == function.own, "nothing is known yet"
    function.hears(date(TRUE))
    assert function.clock() == TRUE
    function.own += timedelta(seconds=7.5)
    assert function.clock() == TRUE + timedelta(seconds=7.5), "it runs on between answers"


@pytest.mark.parametrize("off", [-2.5, -0.4, 0.0, 0.9, 2.9])
def test_a_clock_that_is_right_stays_as_fine_as_it_is(off: float) -> None:
    function = Function(off)
    function.hears(date(TRUE))
    assert function.clock() == function.own


def test_a_clock_that_was_set_right_meanwhile_is_corrected_no_more() -> None:
    function = Function(-120)
    function.hears(date(TRUE))
    function.own = TRUE
    function.hears(date(TRUE))
    assert function.clock() == TRUE


@pytest.mark.parametrize("headers", [{}, {"date": ""}, {"date": "soon"}, {"date": "0"}])
def test_an_answer_without_a_date_changes_nothing(headers: dict[str, str]) -> None:
    function = Function(-120)
    function.hears(date(TRUE))
    function.hears(headers)
    assert function.clock() == TRUE
