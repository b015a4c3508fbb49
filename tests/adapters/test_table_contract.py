"""What the domain relies on in its table: the same of the one in memory and of DynamoDB."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import (
    ClientError,
    ConnectionClosedError,
    EndpointConnectionError,
    ReadTimeoutError,
)

from tests.fakes import MemoryTable
from valet.adapters.dynamodb import DynamoTable
from valet.errors import Busy
from valet.native.table import (
    Above,
    Absent,
    Below,
    ConditionFailed,
    Delete,
    HasNot,
    Is,
    Key,
    Put,
    Table,
    TableUnavailable,
    Update,
    either,
    when,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from valet.native.table import Item, When


@pytest.fixture(params=["memory", pytest.param("dynamodb", marks=pytest.mark.emulator)])
def table(request: pytest.FixtureRequest) -> Table:
    if request.param == "memory":
        return MemoryTable()
    aws = request.getfixturevalue("aws")
    return DynamoTable(aws("dynamodb"), request.getfixturevalue("table_name"))


@pytest.fixture
def key() -> Key:
    """A partition of this test's own: the real table is shared by the module."""
    return Key(f"P#{uuid.uuid4().hex}", "s")


def item(key: Key, **attributes: Any) -> Item:
    return {"pk": key.pk, "sk": key.sk, **attributes}


def beside(key: Key, sk: str) -> Key:
    return Key(key.pk, sk)


def test_what_is_not_there_is_none(table: Table, key: Key) -> None:
    assert table.get(key) is None
    assert table.query(key.pk) == []
    assert table.get_many([key]) == {}
    assert table.get_many([]) == {}


VALUES: dict[str, Any] = {
    "text": "x",
    "empty text": "",
    "other scripts": "h\u00e9 \U0001f600 \u202e",
    "NUL": "a\x00b",
    "zero": 0,
    "negative": -1,
    "large": 2**63,
    "true": True,
    "false": False,
    "none": None,
    "bytes": b"\x00\xff",
    "no bytes": b"",
    "list": ["a", 1, None, True, b"\x01"],
    "empty list": [],
    "map": {"a": {"b": [{"c": None}]}, "d": b"\x02"},
    "empty map": {},
}


@pytest.mark.parametrize("name", VALUES)
def test_an_attribute_comes_back_as_it_was_put(table: Table, key: Key, name: str) -> None:
    table.write(Put(item(key, value=VALUES[name], other={"in": VALUES[name]})))
    for found in (table.get(key), table.query(key.pk)[0], table.get_many([key])[key]):
        assert found == item(key, value=VALUES[name], other={"in": VALUES[name]})
        assert type(found["value"]) is type(VALUES[name])
        assert type(found["other"]["in"]) is type(VALUES[name])


@pytest.mark.parametrize("name", ["status", "name", "ttl", "connection", "used", "a-b.c"])
def test_an_attribute_may_be_a_reserved_word(table: Table, key: Key, name: str) -> None:
    table.write(Update(key, set={name: 1}, when=when(Absent(name))))
    table.write(Update(key, set={"x": 1}, remove=[name], when=when(Is(name, 1))))
    assert table.get(key) == item(key, x=1)


def test_a_put_replaces_the_whole_item(table: Table, key: Key) -> None:
    table.write(Put(item(key, a=1)))
    table.write(Put(item(key, b=2)))
    assert table.get(key) == item(key, b=2)


def test_an_update_makes_an_item_that_is_not_there(table: Table, key: Key) -> None:
    table.write(Update(key, set={"a": 1}, append={"list": "x"}))
    assert table.get(key) == item(key, a=1, list=["x"])


def test_an_update_changes_only_what_it_names(table: Table, key: Key) -> None:
    table.write(Put(item(key, a=1, b=2, list=["x"])))
    table.write(Update(key, set={"a": 9}, remove=["b", "never"], append={"list": "y"}))
    assert table.get(key) == item(key, a=9, list=["x", "y"])


def test_appending_keeps_repeats_and_order(table: Table, key: Key) -> None:
    for entry in ("b", "a", "b"):
        table.write(Update(key, append={"list": entry}))
    assert table.get(key) == item(key, list=["b", "a", "b"])


def test_deleting_twice_is_no_error(table: Table, key: Key) -> None:
    table.write(Put(item(key)))
    table.write(Delete(key))
    table.write(Delete(key))
    assert table.get(key) is None


THERE = {"n": 5, "s": "x", "list": ["a", "b"], "none": None, "true": True}
CONDITIONS: dict[str, tuple[When, bool, bool]] = {  # holds on THERE, holds on no item
    "absent item": (when(Absent()), False, True),
    "absent attribute": (when(Absent("zz")), True, True),
    "absent attribute that is there": (when(Absent("n")), False, True),
    "absent attribute that is null": (when(Absent("none")), False, True),
    "is": (when(Is("n", 5)), True, False),
    "is, of text": (when(Is("s", "x")), True, False),
    "is another": (when(Is("n", 6)), False, False),
    "is, of another type": (when(Is("n", "5")), False, False),
    "is, missing": (when(Is("zz", 5)), False, False),
    "above": (when(Above("n", 4)), True, False),
    "above, equal": (when(Above("n", 5)), False, False),
    "above, missing": (when(Above("zz", 4)), False, False),
    "below": (when(Below("n", 6)), True, False),
    "below, equal": (when(Below("n", 5)), False, False),
    "below, missing": (when(Below("zz", 6)), False, False),
    "has not": (when(HasNot("list", "c")), True, True),
    "has": (when(HasNot("list", "a")), False, True),
    "has not, missing": (when(HasNot("zz", "a")), True, True),
    "all hold": (when(Is("n", 5), Above("n", 1), HasNot("list", "c")), True, False),
    "one fails": (when(Is("n", 5), Above("n", 9)), False, False),
    "either, first": (either((Is("n", 5),), (Is("s", "no"),)), True, False),
    "either, second": (either((Is("n", 6),), (Is("s", "x"),)), True, False),
    "either, none": (either((Is("n", 6),), (Is("s", "no"),)), False, False),
    "either, groups are not mixed": (
        either((Is("n", 5), Is("s", "no")), (Is("n", 6), Is("s", "x"))),
        False,
        False,
    ),
    "either absent": (either((Absent(),), (Below("n", 9),)), True, True),
    "three groups": (either((Is("n", 1),), (Is("n", 2),), (Is("n", 5),)), True, False),
}
WRITES: dict[str, Callable[[Key, When], Put | Update | Delete]] = {
    "put": lambda key, condition: Put({"pk": key.pk, "sk": key.sk, "new": 1}, condition),
    "update": lambda key, condition: Update(key, set={"new": 1}, when=condition),
    "delete": lambda key, condition: Delete(key, condition),
}


@pytest.mark.parametrize("together", [False, True], ids=["alone", "in a transaction"])
@pytest.mark.parametrize("kind", WRITES)
@pytest.mark.parametrize("name", CONDITIONS)
def test_a_condition_decides_whether_anything_is_written(
    table: Table, key: Key, name: str, kind: str, together: bool
) -> None:
    condition, holds_there, holds_without = CONDITIONS[name]
    for exists, holds in ((False, holds_without), (True, holds_there)):
        table.write(Put(item(key, **THERE)) if exists else Delete(key))
        before = table.get(key)
        write = WRITES[kind](key, condition)
        attempt = table.transact if together else table.write
        if not holds:
            with pytest.raises(ConditionFailed) as failed:
                attempt(write)
            assert failed.value.item == (None if together else before)
            assert table.get(key) == before
            continue
        attempt(write)
        after = table.get(key)
        assert after is None if kind == "delete" else after and after["new"] == 1


def test_a_partition_is_read_in_the_order_of_its_sort_keys(table: Table, key: Key) -> None:
    names = ["b", "a", "A", "10", "9", "a#1", "\u00e9", "z"]
    for name in names:
        table.write(Put(item(beside(key, name))))
    assert [found["sk"] for found in table.query(key.pk)] == sorted(names)


def test_a_prefix_selects_within_one_partition(table: Table, key: Key) -> None:
    for name in ("ACCOUNT#a", "ACCOUNT#b", "ACCOUNTX", "LEASE#a"):
        table.write(Put(item(beside(key, name))))
    table.write(Put(item(Key(f"{key.pk}X", "ACCOUNT#c"))))
    found = [entry["sk"] for entry in table.query(key.pk, "ACCOUNT#")]
    assert found == ["ACCOUNT#a", "ACCOUNT#b"]


def test_a_partition_larger_than_a_page_is_read_whole(table: Table, key: Key) -> None:
    for number in range(6):
        table.write(Put(item(beside(key, f"{number}"), blob=b"x" * 300_000)))
    assert len(table.query(key.pk)) == 6


def test_many_items_are_read_by_key_and_missing_ones_left_out(table: Table, key: Key) -> None:
    keys = [beside(key, f"{number:03d}") for number in range(230)]
    for one in keys[::2]:
        table.write(Put(item(one, n=int(one.sk))))
    found = table.get_many(keys)
    assert set(found) == set(keys[::2])
    assert all(found[one]["n"] == int(one.sk) for one in found)


def test_a_transaction_writes_all_or_nothing(table: Table, key: Key) -> None:
    first, second, third = (beside(key, name) for name in "abc")
    table.write(Put(item(third, n=1)))
    with pytest.raises(ConditionFailed) as failed:
        table.transact(
            Put(item(first)), Update(second, set={"n": 1}), Delete(third, when(Is("n", 2)))
        )
    assert failed.value.item is None
    assert table.query(key.pk) == [item(third, n=1)]
    table.transact(Put(item(first)), Update(second, set={"n": 1}), Delete(third, when(Is("n", 1))))
    assert table.query(key.pk) == [item(first), item(second, n=1)]


def race(attempts: int, write: Callable[[int], Any]) -> int:
    """How many of many writers at once got through."""

    def attempt(number: int) -> bool:
        try:
            write(number)
        except ConditionFailed:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        return sum(pool.map(attempt, range(attempts)))


def test_of_many_first_writers_one_wins(table: Table, key: Key) -> None:
    won = race(24, lambda n: table.write(Put(item(key, by=n), when(Absent()))))
    assert won == 1


def test_of_many_transactions_over_the_same_items_one_wins(table: Table, key: Key) -> None:
    other = beside(key, "other")
    won = race(
        24,
        lambda n: table.transact(
            Put(item(key, by=n), when(Absent())), Put(item(other, by=n), when(Absent()))
        ),
    )
    assert won == 1
    one, two = table.get(key), table.get(other)
    assert one
    assert two
    assert one["by"] == two["by"]


def test_of_many_steps_on_a_version_each_is_taken_once(table: Table, key: Key) -> None:
    table.write(Put(item(key, version=1)))
    step = when(Is("version", 1))
    won = race(24, lambda _: table.write(Update(key, set={"version": 2}, when=step)))
    assert won == 1


# --- What only DynamoDB does, from a client that answers as it would


class Scripted:
    """A DynamoDB client that fails as told, then answers."""

    def __init__(self, *codes: str, reasons: tuple[str, ...] = ()) -> None:
        self.codes = list(codes)
        self.reasons = reasons
        self.calls = 0

    def put_item(self, **_: Any) -> dict[str, Any]:
        self.calls += 1
        if self.codes:
            response: Any = {"Error": {"Code": self.codes.pop(0), "Message": "x"}}
            if self.reasons:
                response["CancellationReasons"] = [{"Code": reason} for reason in self.reasons]
            raise ClientError(response, "PutItem")
        return {}

    transact_write_items = put_item

    def batch_get_item(self, *, RequestItems: dict[str, Any]) -> dict[str, Any]:  # noqa: N803
        """Answers one key a time, or with a code left none, as under throttling."""
        self.calls += 1
        if self.codes:
            self.codes.pop()
            return {"Responses": {}, "UnprocessedKeys": RequestItems}
        ((name, asked),) = RequestItems.items()
        first, *rest = asked["Keys"]
        left = {name: asked | {"Keys": rest}} if rest else {}
        return {"Responses": {name: [first]}, "UnprocessedKeys": left}


def scripted(*codes: str, reasons: tuple[str, ...] = ()) -> tuple[DynamoTable, Scripted]:
    client = Scripted(*codes, reasons=reasons)
    return DynamoTable(client, "t"), client  # type: ignore[arg-type]  # a part of the client


KEY = Key("p", "s")


def test_a_write_that_meets_a_transaction_waits_for_it() -> None:
    table, client = scripted("TransactionConflictException", "TransactionConflictException")
    table.write(Put(item(KEY)))
    assert client.calls == 3


def test_a_write_that_never_gets_past_transactions_is_busy() -> None:
    table, client = scripted(*["TransactionConflictException"] * 9)
    with pytest.raises(Busy):
        table.write(Put(item(KEY)))
    assert client.calls == 4


@pytest.mark.parametrize("code", ["ValidationException", "AccessDeniedException"])
def test_a_request_that_dynamodb_refuses_is_our_bug_and_not_a_condition(code: str) -> None:
    table, client = scripted(code)
    with pytest.raises(ClientError):
        table.write(Put(item(KEY)))
    assert client.calls == 1
    table, client = scripted(code)
    with pytest.raises(ClientError):
        table.transact(Put(item(KEY)))


@pytest.mark.parametrize(
    "reasons",
    [
        ("ConditionalCheckFailed", "None"),
        ("None", "TransactionConflict"),
        ("ConditionalCheckFailed", "TransactionConflict"),
    ],
)
def test_a_transaction_lost_to_another_is_a_failed_condition(reasons: tuple[str, ...]) -> None:
    table, _ = scripted("TransactionCanceledException", reasons=reasons)
    with pytest.raises(ConditionFailed):
        table.transact(Put(item(KEY)))


def test_a_transaction_that_failed_otherwise_is_no_failed_condition() -> None:
    table, _ = scripted("TransactionCanceledException", reasons=("None", "ValidationError"))
    with pytest.raises(ClientError):
        table.transact(Put(item(KEY)))


@pytest.mark.parametrize("reason", ["ThrottlingError", "ProvisionedThroughputExceeded"])
def test_a_transaction_that_was_throttled_is_an_outage(reason: str) -> None:
    reasons = ("None", reason, "ConditionalCheckFailed")
    table, _ = scripted("TransactionCanceledException", reasons=reasons)
    with pytest.raises(TableUnavailable):
        table.transact(Put(item(KEY)))


def refusal(code: str, status: int = 400, **more: Any) -> ClientError:
    about: Any = {"HTTPStatusCode": status, "RetryAttempts": more.pop("again", 0)}
    response: Any = {"Error": {"Code": code, "Message": "x"}, "ResponseMetadata": about}
    return ClientError(response | more, "PutItem")


class Broken:
    """A DynamoDB client whose every request fails."""

    def __init__(self, error: Exception) -> None:
        self.error = error
        self.calls = 0

    def put_item(self, **_: Any) -> Any:
        self.calls += 1
        raise self.error

    get_item = batch_get_item = transact_write_items = paginate = put_item

    def get_paginator(self, _: str) -> Broken:
        return self


def broken(error: Exception) -> tuple[DynamoTable, Broken]:
    client = Broken(error)
    return DynamoTable(client, "t"), client  # type: ignore[arg-type]  # a part of the client


REQUESTS: dict[str, Callable[[DynamoTable], object]] = {
    "get": lambda table: table.get(KEY),
    "get_many": lambda table: table.get_many([KEY]),
    "query": lambda table: table.query("p"),
    "keys_of_user": lambda table: table.keys_of_user("u"),
    "count_of_config": lambda table: table.count_of_config("c"),
    "write": lambda table: table.write(Put(item(KEY))),
    "transact": lambda table: table.transact(Put(item(KEY))),
}
OUTAGES = {
    "refused": EndpointConnectionError(endpoint_url="https://dynamodb.example"),
    "no answer": ReadTimeoutError(endpoint_url="https://dynamodb.example"),
    "cut off": ConnectionClosedError(endpoint_url="https://dynamodb.example"),
    "500": refusal("InternalServerError", 500),
    "503": refusal("ServiceUnavailable", 503),
    "throttled": refusal("ThrottlingException"),
    "too hot": refusal("ProvisionedThroughputExceededException"),
    "too much": refusal("RequestLimitExceeded"),
}


@pytest.mark.parametrize("outage", OUTAGES)
@pytest.mark.parametrize("request_", REQUESTS)
def test_an_outage_is_told_as_such_and_nothing_is_sent_again(request_: str, outage: str) -> None:
    table, client = broken(OUTAGES[outage])
    with pytest.raises(TableUnavailable) as told:
        REQUESTS[request_](table)
    assert client.calls == 1
    assert ("not known" in str(told.value)) is (request_ in ("write", "transact"))


@pytest.mark.parametrize("request_", REQUESTS)
def test_a_request_that_is_wrong_is_no_outage(request_: str) -> None:
    table, _ = broken(refusal("ValidationException"))
    with pytest.raises(ClientError):
        REQUESTS[request_](table)


def test_a_write_whose_answer_was_lost_is_not_refused_for_its_own_sake() -> None:
    """botocore sends it again, and then what it wrote is in its way."""
    mine = {"pk": {"S": "p"}, "sk": {"S": "s"}, "id": {"S": "1"}}
    put = Put(item(KEY, id="1"), when(Absent()))
    table, _ = broken(refusal("ConditionalCheckFailedException", again=1, Item=mine))
    table.write(put)
    for error in (
        refusal("ConditionalCheckFailedException", again=1, Item=mine | {"id": {"S": "2"}}),
        refusal("ConditionalCheckFailedException", Item=mine),
    ):
        table, _ = broken(error)
        with pytest.raises(ConditionFailed):
            table.write(put)


def test_what_a_batch_left_unread_is_asked_for_again() -> None:
    table, client = scripted()
    keys = [Key("p", "1"), Key("p", "2")]
    assert set(table.get_many(keys)) == set(keys)
    assert client.calls == 2


def test_a_batch_that_stays_unread_is_busy() -> None:
    table, client = scripted(*["throttled"] * 9)
    with pytest.raises(Busy):
        table.get_many([KEY])
    assert client.calls == 4


def test_what_carries_a_user_is_found_by_the_user_and_nothing_else_is(
    table: Table, key: Key
) -> None:
    user = uuid.uuid4().hex
    mine = [beside(key, "a"), Key(f"Q#{user}", "b")]
    for owned in mine:
        table.write(Put(item(owned, user=user)))
    table.write(Put(item(beside(key, "c"), user=f"{user}x")))
    table.write(Put(item(beside(key, "d"))))
    assert sorted(table.keys_of_user(user), key=repr) == sorted(mine, key=repr)
    assert table.keys_of_user(uuid.uuid4().hex) == []


def test_what_carries_a_config_is_counted_by_it_and_nothing_else_is(table: Table, key: Key) -> None:
    config = uuid.uuid4().hex
    for number in range(3):
        table.write(Put(item(beside(key, f"{number}"), config=config, user="u")))
    table.write(Put(item(beside(key, "other"), config=f"{config}x")))
    table.write(Put(item(beside(key, "none"))))
    assert table.count_of_config(config) == 3
    table.write(Delete(beside(key, "0")))
    assert table.count_of_config(config) == 2
    assert table.count_of_config(uuid.uuid4().hex) == 0


def test_counting_adds_up_the_pages() -> None:
    class Paged:
        def get_paginator(self, operation: str) -> Paged:
            assert operation == "query"
            return self

        def paginate(self, **request: Any) -> list[dict[str, int]]:
            assert (request["IndexName"], request["Select"]) == ("ByConfig", "COUNT")
            return [{"Count": 9000}, {"Count": 0}, {"Count": 34}]

    table = DynamoTable(Paged(), "t")  # type: ignore[arg-type]  # a part of the client
    assert table.count_of_config("c") == 9034


def test_a_number_is_added_to_and_begins_at_zero(table: Table, key: Key) -> None:
    table.write(Update(key, add={"n": 2}))
    table.write(Update(key, set={"x": 1}, add={"n": -1}, when=when(Below("n", 3))))
    assert table.get(key) == item(key, n=1, x=1)
    with pytest.raises(ConditionFailed):
        table.write(Update(key, add={"n": 1}, when=when(Below("n", 1))))
    assert table.get(key) == item(key, n=1, x=1)


def test_of_many_at_once_just_as_many_as_may_are_counted(table: Table, key: Key) -> None:
    table.write(Put(item(key, n=0)))

    def counts(_: int) -> bool:
        try:
            table.write(Update(key, add={"n": 1}, when=when(Below("n", 5))))
        except ConditionFailed:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(counts, range(24))) == 5
    assert table.get(key) == item(key, n=5)
