"""What changed between two versions of a corpus, and why."""

from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa

from stickgen_core.corpus.index import BASE_SCHEMA, PLACEMENT, annotation_names
from stickgen_core.corpus.shards import DIGEST_BYTES, FIELDS
from stickgen_core.corpus.store import Corpus


@dataclass(frozen=True)
class Diff:
    """Clips by id.

    removed       id -> reason, from the new version's ledger; "not in its input" where it was never read
    changed       id -> what of it differs: fields, "texts", index columns
    annotations   column -> how many of the common clips have another value; "added" and "removed" columns count them all
    causes        what differs in how the two were made: "recipe", "input canonical/amass"
    """

    added: tuple[str, ...]
    removed: Mapping[str, str]
    changed: Mapping[str, tuple[str, ...]]
    annotations: Mapping[str, int]
    causes: tuple[str, ...]

    @property
    def empty(self) -> bool:
        return not (self.added or self.removed or self.changed or self.annotations)


def diff(old: Corpus, new: Corpus) -> Diff:
    """Compare by id and digest; only clips whose digest differs are opened."""
    before = dict(zip(old.ids, old.index["digest"].to_pylist(), strict=True))
    after = dict(zip(new.ids, new.index["digest"].to_pylist(), strict=True))
    reasons = {row["id"]: f"{row['stage']}: {row['reason']}" for row in new.ledger().to_pylist() if row["id"]}
    common = [clip_id for clip_id in old.ids if clip_id in after]
    return Diff(
        added=tuple(clip_id for clip_id in new.ids if clip_id not in before),
        removed={clip_id: reasons.get(clip_id, "not in its input") for clip_id in old.ids if clip_id not in after},
        changed={clip_id: _what_changed(old, new, clip_id) for clip_id in common if before[clip_id] != after[clip_id]},
        annotations=_annotation_changes(old, new, common),
        causes=_causes(old, new),
    )


def _what_changed(old: Corpus, new: Corpus, clip_id: str) -> tuple[str, ...]:
    i, j = old.position(clip_id), new.position(clip_id)
    a, b = old.field_digests(i), new.field_digests(j)
    fields = [
        name
        for n, name in enumerate(FIELDS)
        if a[n * DIGEST_BYTES : (n + 1) * DIGEST_BYTES] != b[n * DIGEST_BYTES : (n + 1) * DIGEST_BYTES]
    ]
    texts = ["texts"] if old.texts(i) != new.texts(j) else []
    left, right = old.index.slice(i, 1).to_pylist()[0], new.index.slice(j, 1).to_pylist()[0]
    columns = [name for name in BASE_SCHEMA.names if name not in (*PLACEMENT, "digest") and left[name] != right[name]]
    return (*fields, *texts, *columns)


def _annotation_changes(old: Corpus, new: Corpus, common: list[str]) -> dict[str, int]:
    left, right = set(annotation_names(old.index)), set(annotation_names(new.index))
    changes = {f"{name} (added)": len(common) for name in sorted(right - left)} | {
        f"{name} (removed)": len(common) for name in sorted(left - right)
    }
    rows_old = pa.array([old.position(clip_id) for clip_id in common], pa.int64())
    rows_new = pa.array([new.position(clip_id) for clip_id in common], pa.int64())
    for name in sorted(left & right):
        before, after = old.index[name].take(rows_old).to_pylist(), new.index[name].take(rows_new).to_pylist()
        count = sum(a != b for a, b in zip(before, after, strict=True))
        if count:
            changes[name] = count
    return changes


def _causes(old: Corpus, new: Corpus) -> tuple[str, ...]:
    was, now = dict(old.manifest.parents), dict(new.manifest.parents)
    inputs = [f"input {name}" for name in sorted({*was, *now}) if was.get(name) != now.get(name)]
    return (*(["recipe"] if old.manifest.recipe != new.manifest.recipe else []), *inputs)
