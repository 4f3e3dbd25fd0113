"""Merging again after a change looks at what changed, and gives to the bit what a merge from nothing gives."""

import json
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stickgen_core.corpus import CorpusWriter
from stickgen_core.corpus.ledger import by_reason
from stickgen_core.curation import find_leaks, merge
from stickgen_core.curation.config import CurationConfig, DuplicatesConfig, MergeConfig
from stickgen_core.curation.duplicates import equal_motions, near_duplicates
from stickgen_core.curation.splits import assign_splits, connected
from tests.core.curation.curation_motions import walk
from tests.core.curation.test_curation_merge import clip

CONFIG = CurationConfig(infeasible="relax", merge=MergeConfig(max_source_fraction=0.5))
NAMES = ("alpha", "beta", "gamma", "delta")
# Few motions for many clips: sources share bit-equal ones (the same number) and near copies (the same number, another hair).
TAKES = [walk(80 + 5 * n, stride_hz=0.6 + 0.05 * n, seed=n) for n in range(6)]


def source(folder, pool, name, seed):
    draw = np.random.default_rng(seed)
    with CorpusWriter(folder, shards=pool, name=f"canonical/{name}") as writer:
        for n in range(draw.integers(3, 9)):
            take, hair = int(draw.integers(len(TAKES))), 0.0004 * int(draw.integers(3))
            official = draw.choice(["train", "val", "test", ""]) or None
            texts = tuple(f"{name} says {word}" for word in range(draw.integers(3)))
            made = clip(f"{name}/{n}", TAKES[take] + hair, texts=texts, official_split=official)
            extra = {"origins": [f"gamma/{draw.integers(3)}"]} if draw.random() < 0.2 else {}
            writer.add(replace(made, extra=extra))
        return writer.publish()


@pytest.mark.parametrize("seed", range(3))
def test_any_change_of_sources_gives_what_a_fresh_merge_gives(seed, tmp_path):
    draw, cache = np.random.default_rng([7, seed]), tmp_path / "cache"
    corpora = {name: source(tmp_path / f"{name} first", tmp_path / "shards", name, [seed, n]) for n, name in enumerate(NAMES)}
    changed = ""
    for turn in range(4):
        there = [corpora[name] for name in draw.permutation(list(corpora))]
        looked = set()
        found = merge(there, CONFIG, tmp_path / "kept", cache=cache, progress=lambda label, *_, looked=looked: looked.add(label))
        fresh = merge(there, CONFIG, tmp_path / f"fresh {turn}")
        assert found.digest == fresh.digest and found.ledger().equals(fresh.ledger())
        assert found.manifest.notes["near_duplicates"] == fresh.manifest.notes["near_duplicates"]
        assert looked == ({f"score canonical/{name}" for name in corpora} if turn == 0 else {f"score canonical/{changed}"})
        changed = str(draw.choice(NAMES))
        corpora[changed] = source(tmp_path / f"{changed} {turn}", tmp_path / "shards", changed, [seed, 100 + turn])
        if turn == 1:  # one leaves as well
            corpora.pop(next(name for name in NAMES if name != changed))
    assert found.verify() == [] and not [leak for leak in find_leaks(found, CONFIG) if leak.blocking]


def test_only_what_changed_is_searched_for_among_the_others(tmp_path, monkeypatch):
    from stickgen_core.curation import neighbours

    asked = []
    search = near_duplicates

    def watched(*args):
        asked.append(int(args[-2].sum()))
        return search(*args)

    monkeypatch.setattr(neighbours, "near_duplicates", watched)
    corpora = [source(tmp_path / name, tmp_path / "shards", name, n) for n, name in enumerate(NAMES)]
    merge(corpora, CONFIG, tmp_path / "m", cache=tmp_path / "cache")
    corpora[2] = source(tmp_path / "gamma again", tmp_path / "shards", "gamma", 99)
    merge(corpora, CONFIG, tmp_path / "m", cache=tmp_path / "cache")
    merge(corpora, CONFIG, tmp_path / "elsewhere", cache=tmp_path / "cache")
    assert asked == [asked[0], len(corpora[2])] and asked[0] > asked[1]


@pytest.mark.parametrize("harm", ["flip", "cut"])
def test_a_damaged_measurement_is_made_again(harm, tmp_path):
    corpora = [source(tmp_path / name, tmp_path / "shards", name, n) for n, name in enumerate(NAMES)]
    fresh = merge(corpora, CONFIG, tmp_path / "a", cache=tmp_path / "cache")
    for path in (tmp_path / "cache").iterdir():
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data if harm == "flip" else data[: len(data) // 2])
    assert merge(corpora, CONFIG, tmp_path / "b", cache=tmp_path / "cache").digest == fresh.digest
    assert len(list((tmp_path / "cache").iterdir())) == len(NAMES) + 1


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 60), st.booleans(), st.booleans())
def test_the_search_finds_what_comparing_all_finds(seed, n, labelled, some):
    draw, config = np.random.default_rng(seed), DuplicatesConfig()
    points = draw.normal(0, 0.1, (max(n // 4, 1), 216))[draw.integers(0, max(n // 4, 1), n)] + draw.normal(0, 0.006, (n, 216))
    points = points.astype(np.float32)
    moves, frames, actors = draw.uniform(0, 0.15, n) * (draw.random(n) < 0.9), draw.integers(90, 100, n), draw.integers(1, 3, n)
    labels, fresh = (draw.integers(0, 3, n) if labelled else None), (draw.random(n) < 0.3 if some else None)
    cut = n // 3
    found = near_duplicates([points[:cut], points[cut:]], moves, frames, actors, config, labels, fresh)
    reach = np.minimum(config.distance_m, config.distance_share * moves)
    wanted = []
    for i in range(n):
        for j in range(i + 1, n):
            apart = np.sqrt(((points[i].astype(float) - points[j]) ** 2).sum() / 72)
            if (
                apart <= min(reach[i], reach[j]) and min(reach[i], reach[j]) > 0 and actors[i] == actors[j]
                and abs(np.log(frames[i] / frames[j])) <= config.length_share
                and (labels is None or labels[i] != labels[j]) and (fresh is None or fresh[i] or fresh[j])
            ):  # fmt: skip
                wanted.append((i, j, round(float(apart), 5)))
    assert list(zip(found.first.tolist(), found.second.tolist(), np.round(found.distance_m, 5).tolist(), strict=True)) == wanted


@given(st.lists(st.sampled_from("abcdef"), max_size=20))
def test_equal_motions_are_grouped_in_order_of_appearance(digests):
    groups = [g.tolist() for g in equal_motions(pa.chunked_array([pa.array(digests, pa.string())]))]
    assert groups == [[n for n, d in enumerate(digests) if d == one] for one in dict.fromkeys(digests) if digests.count(one) > 1]


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_a_group_is_what_is_joined_by_any_chain_of_rows(seed):
    draw = np.random.default_rng(seed)
    n = int(draw.integers(1, 15))
    origin = [f"o{v}" for v in draw.integers(0, 8, n)]
    others = [[f"o{v}" for v in draw.integers(0, 12, draw.integers(0, 3))] for _ in range(n)]
    same = draw.integers(0, n, (draw.integers(0, 4), 2))
    table = pa.table({
        "source": ["a"] * n, "origin": origin, "official_split": pa.nulls(n, pa.string()),
        "extra_json": [json.dumps({"origins": o} if o else {}) for o in others],
    })  # fmt: skip
    groups = {name: {name} for name in {*origin, *(o for row in others for o in row)}}
    joins = [(origin[i], o) for i, row in enumerate(others) for o in row] + [(origin[a], origin[b]) for a, b in same]
    for a, b in joins:
        whole = groups[a] | groups[b]
        groups.update(dict.fromkeys(whole, whole))
    found = assign_splits(table, CONFIG.splits, same=same)
    assert found.group.tolist() == [min(groups[name]) for name in origin]


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 12), st.lists(st.tuples(st.integers(0, 11), st.integers(0, 11)), max_size=14))
def test_numbers_are_connected_through_any_chain(count, pairs):
    pairs = [(a % count, b % count) for a, b in pairs]
    groups = {n: {n} for n in range(count)}
    for a, b in pairs:
        whole = groups[a] | groups[b]
        groups.update(dict.fromkeys(whole, whole))
    found = connected(count, np.array(pairs, np.int64).reshape(-1, 2))
    assert found.tolist() == [min(groups[n]) for n in range(count)]


def test_reasons_are_counted_with_the_most_frequent_first():
    assert list(by_reason(pa.table({"reason": ["b", "a", "b", "c"]})).items()) == [("b", 2), ("a", 1), ("c", 1)]
