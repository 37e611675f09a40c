"""The last good copy gives back what was put into it, whatever the objects are."""

import gzip
import json
from pathlib import Path

import pytest

from sluice_api.loading import load
from sluice_api.tolerant import Good, Key
from sluice_operator.cluster.resources import CONFIG_MAPS
from sluice_operator.snapshots.last_good import INDEX, LastGood, decode, encode
from support.fake_cluster import FakeCluster

EXAMPLES = sorted(each for each in (Path(__file__).parents[3] / "examples").iterdir() if each.is_dir())


def _good(folder: Path) -> dict[Key, Good]:
    return {
        Key(each.object.kind, each.object.metadata.namespace, each.object.metadata.name): Good(
            each.object.model_copy(update={"status": {}}), 3, "2026-01-01T00:00:00Z"
        )
        for each in load([folder])
    }


@pytest.mark.parametrize("folder", EXAMPLES, ids=lambda folder: folder.name)
def test_every_example_comes_back(folder: Path) -> None:
    good = _good(folder)

    found = decode(encode(good))

    assert {key: (each.object.spec, each.generation, each.created_at) for key, each in found.items()} == {
        key: (each.object.spec, each.generation, each.created_at) for key, each in good.items()
    }
    assert encode(found) == encode(good) == encode(dict(reversed(good.items())))


def test_what_this_version_does_not_know_costs_the_others_nothing() -> None:
    entries = json.loads(gzip.decompress(encode(_good(EXAMPLES[0]))))
    strange = [
        {**entries[0], "kind": "Teapot"},
        {**entries[0], "name": "other", "spec": {"no": "such field"}},
    ]

    found = decode(gzip.compress(json.dumps([*strange, *entries]).encode()))

    assert len(found) == len(entries)


async def test_a_copy_that_is_not_whole_is_not_used() -> None:
    cluster = FakeCluster()
    await LastGood(cluster, "sluice").write(_good(EXAMPLES[0]))
    chunk = next(
        each for each in await cluster.list(CONFIG_MAPS, "sluice") if each["metadata"]["name"] != INDEX
    )
    await cluster.delete(CONFIG_MAPS, "sluice", chunk["metadata"]["name"])

    assert await LastGood(cluster, "sluice").read() == {}
