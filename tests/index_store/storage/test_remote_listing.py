"""Listings come in the order of whole keys from servers that have another order."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from index_store.errors import TransientError, UnfitStoreError
from index_store.storage.remote_listing import list_in_order

NAMES = ["a/b", "a-b", "a.b/c", "a/a/z", "a0", "b", "a/a.z", "ab/c", "a-b/x", "é/x"]
MOMENT = datetime(2026, 1, 1, tzinfo=UTC)


def as_strings(name: str) -> object:
    return name.encode()


def by_folder(name: str) -> object:
    return name.split("/")


class Server:
    """Answers pages of a listing, in an order of its own."""

    def __init__(self, names: list[str], order: Callable[[str], Any], page: int) -> None:
        self.names = sorted(names, key=order)
        self.order = order
        self.page = page
        self.asked: list[Mapping[str, object]] = []

    def __call__(self, place: Mapping[str, object]) -> Mapping[str, Any]:
        self.asked.append(place)
        prefix, start = str(place["Prefix"]), str(place.get("StartAfter", ""))
        names = [name for name in self.names if name.startswith(prefix)]
        if "Delimiter" in place:
            cut = [prefix + name[len(prefix) :].partition("/")[0] for name in names]
            marked = [
                found + "/" if name != found else name
                for name, found in zip(names, cut, strict=True)
            ]
            names = list(dict.fromkeys(marked))
        elif start:
            names = [name for name in names if self.order(name) > self.order(start)]
        at = int(str(place.get("ContinuationToken", 0)))
        part, rest = names[at : at + self.page], names[at + self.page :]
        page: dict[str, Any] = {
            "Contents": [
                {"Key": name, "Size": 1, "LastModified": MOMENT}
                for name in part
                if not name.endswith("/")
            ],
            "CommonPrefixes": [{"Prefix": name} for name in part if name.endswith("/")],
            "IsTruncated": bool(rest),
        }
        return {**page, "NextContinuationToken": str(at + self.page)} if rest else page


def keys(server: Server, prefix: str = "", after: str = "") -> list[str]:
    return [entry.key for entry in list_in_order(server, "root/", prefix, after)]


@pytest.fixture(params=[as_strings, by_folder])
def order(request: pytest.FixtureRequest) -> Callable[[str], Any]:
    return request.param


@pytest.mark.parametrize("page", [1000, 2])
@pytest.mark.parametrize("prefix", ["", "a", "a/", "a/a", "ab", "nothing/"])
@pytest.mark.parametrize("after", ["", "a", "a-b", "a.b/c", "a/a.z", "a/\U0010ffff", "zz"])
def test_order_is_that_of_whole_keys(
    order: Callable[[str], Any], page: int, prefix: str, after: str
):
    names = [name for name in NAMES if name not in {"a/a.z", "a/a/z"}] if page == 2 else NAMES
    server = Server([f"root/{name}" for name in names], order, page)
    expected = [name for name in sorted(names) if name.startswith(prefix) and name > after]
    assert keys(server, prefix, after) == expected


def test_a_long_folder_is_not_asked_for_from_its_beginning():
    names = [f"root/c/log/{number:012d}.json" for number in range(1, 3000)]
    server = Server(names, as_strings, 1000)
    assert keys(server, "c/log/", "c/log/000000002990.json") == [
        name.removeprefix("root/") for name in names[2990:]
    ]
    assert len(server.asked) == 1


def test_no_page_is_asked_for_that_nobody_needs():
    server = Server([f"root/c/{number}" for number in range(3000)], as_strings, 1000)
    assert next(iter(list_in_order(server, "root/", "c/", ""))).key == "c/0"
    assert len(server.asked) == 1


def test_a_listing_in_no_order_is_refused():
    server = Server([f"root/c/{number:04d}" for number in range(30)], as_strings, 10)
    server.names.reverse()
    with pytest.raises(UnfitStoreError, match="the store lists c/0010 after c/0029"):
        keys(server, "c/")


def test_marks_of_folders_are_left_out():
    server = Server(["root/c/", "root/c/a", "root/c/b/"], as_strings, 10)
    assert keys(server, "c/") == ["c/a"]


@pytest.mark.parametrize("token", [None, "0"])
def test_a_listing_that_breaks_off_is_an_error(token: str | None):
    def endless(_: Mapping[str, object]) -> Mapping[str, Any]:
        return {"IsTruncated": True, "NextContinuationToken": token}

    with pytest.raises(TransientError, match="listing root/c/ breaks off"):
        list(list_in_order(endless, "root/", "c/", ""))
