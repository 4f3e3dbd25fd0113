"""The outcomes of all parts as one corpus: rows, ledger, and counts that add up."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa

from stickgen_core.canonical.parts import Outcome, Part, recording_of
from stickgen_core.corpus.index import index_table
from stickgen_core.corpus.ledger import LedgerRow, by_reason, ledger_table
from stickgen_core.errors import StickgenError
from stickgen_core.sources.reader import LeftOut
from stickgen_core.sources.registry import SourceSpec

# Labels without an action that a manifest names; all of them are counted.
MOST_LABELS = 200


@dataclass
class Gathered:
    """A conversion's result before it is published.

    rows      of the index
    drops     of the ledger
    outcomes  of each unit, by its key
    used      folders of the parts that the rows come from
    skipped   files that were left out by a rule
    kept      recordings with at least one clip
    reasons   how many recordings were dropped for each
    """

    rows: pa.Table
    outcomes: dict[str, Outcome]
    used: set[Path]
    width: int
    skipped: int
    drops: list[LedgerRow] = field(default_factory=list)
    kept: int = 0
    reasons: Counter[str] = field(default_factory=Counter)

    @property
    def made(self) -> int:
        """Clips, windows and files that came up: what rows and drops add up to."""
        return sum(outcome.made for outcome in self.outcomes.values()) + self.skipped


def gathered(spec: SourceSpec, parts: Iterable[Part], wanted: Mapping[str, str], skipped: Sequence[LeftOut]) -> Gathered:
    """Exactly the wanted units (key -> signature), from whatever parts have them."""
    held: dict[str, Part] = {}
    for part in parts:
        for key, outcome in part.outcomes.items():
            if key not in held and wanted.get(key) == outcome.signature:
                held[key] = part
    lost = sorted(set(wanted) - set(held))
    if lost:
        raise StickgenError(f"canonical/{spec.name}: {len(lost)} files changed while they were read, e.g. {lost[0]}; run again")
    used = {part.corpus.folder: part.corpus for part in held.values()}
    width = max((int(corpus.manifest.counts["motion_width"]) for corpus in used.values()), default=0)
    whole = Gathered(index_table([]), {key: held[key].outcomes[key] for key in sorted(held)}, set(used), width, len(skipped))
    chosen: dict[Path, list[int]] = {place: [] for place in used}
    taken: set[str] = set()
    # In the order of their keys: which of two clips of one id is kept does not depend on how the work was divided.
    for key, outcome in whole.outcomes.items():
        corpus = held[key].corpus
        rows = [LedgerRow(**row) for row in outcome.drops]
        kept = set[str]()
        for clip_id in outcome.clips:
            name = recording_of(spec.name, clip_id)
            if clip_id in taken:
                rows.append(LedgerRow(name, "", "store", "duplicate_id", f"{clip_id}: another file has a recording of that key"))
            else:
                kept.add(name)
                chosen[corpus.folder].append(corpus.position(clip_id))
        taken.update(outcome.clips)
        _count(whole, kept, rows)
    whole.drops += [LedgerRow(one.file, "", "discover", one.reason, one.detail, file=one.file) for one in skipped]
    whole.reasons.update(one.reason for one in skipped)
    tables = [corpus.index.take(pa.array(chosen[place], pa.int64())) for place, corpus in used.items()]
    whole.rows = pa.concat_tables([index_table([]), *tables], promote_options="default")
    if whole.made != whole.rows.num_rows + len(whole.drops):
        raise StickgenError(
            f"canonical/{spec.name}: counts do not add up: {whole.made} read, {whole.rows.num_rows} kept + {len(whole.drops)} dropped"
        )
    return whole


def _count(whole: Gathered, kept: set[str], drops: Sequence[LedgerRow]) -> None:
    """Add a unit's recordings: those with a clip are kept; of the others the first reason counts."""
    whole.drops += drops
    whole.kept += len(kept)
    lost = set[str]()
    for row in drops:
        if row.stage == "read" or row.unit not in kept | lost:
            whole.reasons[row.reason] += 1
        lost.add(row.unit)


def require_usable(spec: SourceSpec, raw: Path, whole: Gathered) -> None:
    """Raise if nothing came of a data set, or if it does not stand on its feet."""
    name, outcomes, drops = f"canonical/{spec.name}", whole.outcomes, whole.drops
    if not whole.rows.num_rows:
        reasons = "; ".join(f"{count} {reason}" for reason, count in list(by_reason(ledger_table(drops)).items())[:4])
        example = f", e.g. {drops[0].file or drops[0].unit}: {drops[0].detail}" if drops else ""
        raise StickgenError(
            f"{name}: nothing usable in {raw}: {len(outcomes)} units read, {reasons}{example}; looked for {', '.join(spec.layout)}"
        )
    upright, frames = sum(o.upright for o in outcomes.values()), sum(o.person_frames for o in outcomes.values())
    if 2 * upright < frames:
        raise StickgenError(
            f"{name}: feet are above the head in {1 - upright / frames:.0%} of all frames, so {spec.axes} is not how this data stands;"
            f" set `axes` in configs/datasets/{spec.name}.yaml"
        )


def recordings(spec: SourceSpec, whole: Gathered) -> dict[str, object]:
    """Recordings read, kept (at least one clip) and dropped, each counted on its own; a file that gave none counts as one."""
    read, dropped = sum(max(1, outcome.recordings) for outcome in whole.outcomes.values()) + whole.skipped, whole.reasons.total()
    if read != whole.kept + dropped:
        raise StickgenError(f"canonical/{spec.name}: counts do not add up: {read} recordings read, {whole.kept} kept, {dropped} dropped")
    return {"read": read, "kept": whole.kept, "dropped": dropped, "by_reason": dict(sorted(whole.reasons.items()))}


def notes_of(whole: Gathered, limit: int | None) -> dict[str, object]:
    """What a corpus says of its conversion: units, how upright, labels that no table knows."""
    outcomes = whole.outcomes
    unmapped: Counter[str] = Counter()
    for outcome in outcomes.values():
        unmapped.update(outcome.unmapped)
    frames = sum(outcome.person_frames for outcome in outcomes.values())
    return {
        "units": len(outcomes), "units_without_clips": sum(not outcome.clips for outcome in outcomes.values()),
        "upright_share": round(sum(outcome.upright for outcome in outcomes.values()) / max(frames, 1), 4),
        "unmapped_labels": dict(sorted(unmapped.items(), key=lambda item: (-item[1], item[0]))[:MOST_LABELS]),
        "unmapped_total": unmapped.total(), "unmapped_kinds": len(unmapped), "limit": limit,
    }  # fmt: skip
