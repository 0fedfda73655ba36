"""The retention policy: what is kept and why, what is retired, what is deleted."""

from collections.abc import Iterable, Mapping

import pytest

from index_store.artifacts import Artifact
from index_store.errors import UsageError
from index_store.log_records import LogState, PublishedVersion
from index_store.retention import (
    FoundObject,
    Inventory,
    RetentionPolicy,
    forbidden_references,
    plan_expiry,
    unlisted,
)

HOUR = 3_600_000
NOW = 1000 * HOUR


def version(number: int) -> str:
    return f"{number:064x}"


def manifest_key(number: int) -> str:
    return f"docs/versions/{version(number)}/manifest.json"


def published(number: int) -> PublishedVersion:
    return PublishedVersion(
        version=version(number),
        manifest=Artifact(key=manifest_key(number), size_bytes=1, sha256=version(number)),
        parent=None,
        published_at_ms=0,
        run="run",
        seq=number,
    )


def inventory(
    refers: Mapping[int, Iterable[str]],
    *,
    extra: Mapping[str, int] | None = None,
    ages_h: Mapping[int, int] | None = None,
    **state: object,
) -> Inventory:
    """Versions with the names of their files, each a hundred hours old unless told otherwise."""
    versions = {version(number): published(number) for number in refers}
    references = {
        version(number): {manifest_key(number): 1, **{f"docs/{name}": 1 for name in names}}
        for number, names in refers.items()
    }
    keys = {key for each in references.values() for key in each}
    ages = {**dict.fromkeys(keys, 100), **{f"docs/{k}": age for k, age in (extra or {}).items()}}
    record_ages = {**dict.fromkeys(range(1, 50), 100), **(ages_h or {})}
    return Inventory(
        state=LogState(seq=49, versions=versions, **state),
        record_ms={seq: NOW - age * HOUR for seq, age in record_ages.items()},
        references=references,
        objects={
            key: FoundObject(key=key, size_bytes=1, modified_ms=NOW - age * HOUR)
            for key, age in ages.items()
        },
        now_ms=NOW,
    )


def policy(keep_last: int = 1, **options: object) -> RetentionPolicy:
    return RetentionPolicy(keep_last=keep_last, **options)


def names(found: Iterable[FoundObject]) -> set[str]:
    return {each.key.removeprefix("docs/") for each in found}


def test_versions_are_kept_for_a_reason_and_the_strongest_is_told():
    plan = plan_expiry(
        inventory(
            dict.fromkeys(range(1, 9), ()),
            channels={"candidate": version(7), "production": version(5)},
            history={"production": (version(1), version(4))},
            pins={"audit": version(2)},
            ages_h={6: 3},
        ),
        policy(),
    )
    assert plan.kept == {
        version(7): "channel candidate",
        version(5): "channel production",
        version(2): "pin audit",
        version(4): "channel production before",
        version(8): "one of the last 1",
        version(6): "younger than the grace",
    }
    assert plan.versions == (version(1), version(3))


def test_the_last_versions_are_kept():
    plan = plan_expiry(inventory(dict.fromkeys(range(1, 15), ())), RetentionPolicy())
    assert plan.versions == tuple(version(number) for number in range(1, 5))


def test_what_a_kept_version_shares_is_not_retired():
    plan = plan_expiry(
        inventory(
            {1: ["shards/a/index.faiss", "catalog/old"], 2: ["shards/a/index.faiss", "catalog/new"]}
        ),
        policy(),
    )
    assert plan.versions == (version(1),)
    assert names(plan.retire) == {"catalog/old", f"versions/{version(1)}/manifest.json"}
    assert not plan.is_empty
    assert plan.delete == ()


def test_what_belongs_to_versions_and_shards_goes_and_stays_with_them():
    plan = plan_expiry(
        inventory(
            {1: ["shards/a/index.faiss"], 2: ["shards/b/index.faiss"]},
            extra={
                "shards/a/shard.json": 100,
                "shards/b/shard.json": 100,
                "shards/b/index-other.faiss": 100,
                f"versions/{version(1)}/report.json": 100,
                f"versions/{version(2)}/report.json": 100,
            },
        ),
        policy(),
    )
    assert names(plan.retire) == {
        "shards/a/index.faiss",
        "shards/a/shard.json",
        "shards/b/index-other.faiss",
        f"versions/{version(1)}/manifest.json",
        f"versions/{version(1)}/report.json",
    }


def test_orphans_are_retired_when_they_are_old_and_unknown_folders_left_alone():
    plan = plan_expiry(
        inventory(
            {1: ()},
            extra={
                "catalog/old": 24,
                "catalog/young": 23,
                "shards/x/index.faiss": 30,
                "lexical/what-a-newer-nightpress-makes": 900,
                "format.json": 900,
            },
        ),
        policy(),
    )
    assert names(plan.retire) == {"catalog/old", "shards/x/index.faiss"}
    assert plan.versions == ()


def test_retired_objects_are_deleted_after_the_grace_and_purged_ones_at_once():
    plan = plan_expiry(
        inventory(
            {1: ()},
            extra={"catalog/due": 90, "catalog/waits": 90, "catalog/left": 0},
            ages_h={10: 24, 11: 23, 12: 1},
            retired={"docs/catalog/due": 10, "docs/catalog/waits": 11, "docs/catalog/gone": 10},
            purged={"docs/catalog/left": 12, "docs/catalog/deleted": 12},
        ),
        policy(),
    )
    assert plan.purge == ("docs/catalog/due", "docs/catalog/gone")
    assert names(plan.delete) == {"catalog/due", "catalog/left"}
    assert names(plan.waiting) == {"catalog/waits"}
    assert plan.retire == ()


def test_retired_keys_outside_the_known_folders_are_never_deleted():
    plan = plan_expiry(
        inventory(
            {1: ()},
            extra={"format.json": 100, "log": 100},
            retired={"docs/format.json": 10, "docs/log": 10},
            purged={"docs/format.json": 10},
        ),
        policy(),
    )
    assert plan.is_empty


def test_runs_that_did_not_come_back_are_cleared():
    plan = plan_expiry(
        inventory(
            {1: ()},
            extra={"runs/dead/a": 90, "runs/dead/b": 24, "runs/alive/a": 90, "runs/alive/b": 2},
        ),
        policy(),
    )
    assert names(plan.stale) == {"runs/dead/a", "runs/dead/b"}
    assert not plan.is_empty


def test_condemned_versions_go_at_once_with_what_only_they_refer_to():
    held = inventory(
        {1: ["catalog/secret", "catalog/shared"], 2: ["catalog/shared"], 3: ()},
        ages_h={1: 0},
        channels={"production": version(2)},
        history={"production": (version(1),)},
    )
    plan = plan_expiry(held, policy(5, grace_ms=HOUR * 500, condemned=frozenset({version(1)})))
    assert plan.versions == (version(1),)
    assert names(plan.retire) == {"catalog/secret", f"versions/{version(1)}/manifest.json"}
    for pins, channels, message in (
        ({"x": version(1)}, {}, "is in use by pin x"),
        ({}, {"production": version(1)}, "is in use by channel production"),
    ):
        with pytest.raises(UsageError, match=message):
            plan_expiry(
                inventory({1: ()}, pins=pins, channels=channels),
                policy(condemned=frozenset({version(1)})),
            )
    with pytest.raises(UsageError, match="is not open and cannot be retired"):
        plan_expiry(inventory({1: ()}), policy(condemned=frozenset({version(9)})))


def test_nothing_to_do_is_said():
    assert plan_expiry(inventory({1: ["catalog/a"]}), policy()).is_empty


@pytest.mark.parametrize("options", [{"keep_last": 0}, {"grace_ms": -1}])
def test_a_policy_that_keeps_nothing_is_refused(options: dict[str, int]):
    with pytest.raises(UsageError, match="at least 1 version and have a grace of at least 0"):
        RetentionPolicy(**options)


def test_the_least_that_a_policy_may_keep_is_one_version_and_no_grace():
    assert RetentionPolicy(keep_last=1, grace_ms=0) == policy(grace_ms=0)


def test_a_listing_that_lacks_what_versions_refer_to_is_noticed():
    whole = inventory({1: ["catalog/a"], 2: ["catalog/a", "catalog/b"]})
    assert unlisted(whole) == []
    objects = dict(whole.objects)
    del objects["docs/catalog/b"]
    objects["docs/catalog/a"] = FoundObject(key="docs/catalog/a", size_bytes=9, modified_ms=0)
    short = Inventory(
        state=whole.state,
        record_ms=whole.record_ms,
        references=whole.references,
        objects=objects,
        now_ms=NOW,
    )
    assert unlisted(short) == ["docs/catalog/a", "docs/catalog/b"]


def test_a_reference_to_a_retired_object_is_noticed():
    found = inventory(
        {1: ["catalog/a", "catalog/b"]},
        retired={"docs/catalog/b": 3},
        purged={"docs/catalog/z": 3},
    )
    assert forbidden_references(found) == ["docs/catalog/b"]
