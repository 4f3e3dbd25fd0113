"""`stickgen corpus …` and `stickgen export-pt`: look into a corpus, check it, change its layout."""

import argparse
import json
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from stickgen_core.corpus import Corpus
from stickgen_core.corpus.descent import Known, known_of, manifests_below
from stickgen_core.corpus.ledger import by_reason
from stickgen_core.corpus.repair import set_damaged_aside
from stickgen_core.corpus.verify import verify_folder
from stickgen_core.errors import ConfigError, MissingInput, StickgenError
from stickgen_core.settings import Settings
from stickgen_pipeline.commands.common import answer, corpus_folder, corpus_steps, note, settings_of, size, table
from stickgen_pipeline.graph import steps_of
from stickgen_pipeline.witness import history_of

MOST_ROWS = 200
_SAFE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")


def _open(settings: Settings, name: str) -> Corpus:
    return Corpus.open(corpus_folder(settings, name))


def verify(options: argparse.Namespace) -> int:
    """Recompute every digest of the named corpora, or of all that are there, with text vectors and .pt exports."""
    settings = settings_of(options)
    folders = [corpus_folder(settings, name) for name in options.corpus] or [step.folder for step in corpus_steps(steps_of(settings))]
    if not folders:
        raise MissingInput(f"{settings.places.data}: no corpus here yet; run `stickgen build`")
    problems = {}
    for number, folder in enumerate(folders, 1):
        note(f"verifying {number}/{len(folders)} {folder}")
        problems[str(folder)] = verify_folder(folder)
    if not options.corpus:
        problems |= _other_problems(settings)
    lines = [f"{folder}: {'; '.join(found) if found else 'every digest holds'}" for folder, found in problems.items()]
    if options.repair:
        moved = set_damaged_aside(folders)
        lines += [f"set aside {path}" for path in moved] or ["no shard is damaged"]
        lines += ["`stickgen build` writes them again"] if moved else []
    answer(options, problems, "\n".join(lines))
    return 1 if any(problems.values()) else 0


def _other_problems(settings: Settings) -> dict[str, list[str]]:
    """What is wrong with text vectors and with exports, and with every other manifest that carries a seal: a damaged one may not even say what it is of."""
    found: dict[str, list[str]] = {}
    for path in manifests_below([settings.places.data]):
        try:
            known = known_of(path)
            found |= _problems_of(known)
        except StickgenError as error:
            found[str(path)] = [str(error)]
    return found


def _problems_of(known: Known) -> dict[str, list[str]]:
    from stickgen_core.corpus.export_pt import verify_pt
    from stickgen_core.corpus.withdrawal import EXPORT_KIND
    from stickgen_core.records.manifest import read_manifest, seal_problems
    from stickgen_core.text.tokens import verify_tokens
    from stickgen_core.text.vectors import verify_vectors

    if known.kind in ("text_vectors", EXPORT_KIND):
        note(f"verifying {known.path}")
    if known.kind == "text_vectors":
        return {str(known.path): [*verify_vectors(known.path), *verify_tokens(known.path)]}
    if known.kind == EXPORT_KIND:
        return {str(known.path): verify_pt(known.path)}
    if known.kind in ("corpus", "token_states"):  # looked at as what they are a part of
        return {}
    wrong = seal_problems(known.path, read_manifest(known.path))
    return {str(known.path): wrong} if wrong else {}


def show(options: argparse.Namespace) -> int:
    """Counts and histograms of a corpus, or everything known of one clip."""
    from stickgen_core.corpus.statistics import statistics

    corpus = _open(settings_of(options), options.corpus)
    if options.clip is None:
        values = {"folder": str(corpus.folder), "manifest": {"recipe": corpus.manifest.recipe, "parents": dict(corpus.manifest.parents)},
                  "dropped": by_reason(corpus.ledger()), **statistics(corpus)}  # fmt: skip
        return answer(options, values, _summary(values))
    position = corpus.position(options.clip)
    row = corpus.index.slice(position, 1).to_pylist()[0]
    row["texts"] = [asdict(text) for text in corpus.texts(position)]
    return answer(
        options, row, "\n".join(f"{name:18}  {json.dumps(value, ensure_ascii=False, default=str)}" for name, value in row.items())
    )


def _summary(values: Mapping[str, Any]) -> str:
    sources = values["sources"]
    assert isinstance(sources, dict)
    columns = ("clips", "frames", "hours", "origins", "captions")

    def row(name: str, found: Mapping[str, Any]) -> tuple[object, ...]:
        lacking = found.get("missing", {})
        apart = ", ".join(f"{n} {column}" for column, n in found.get("outliers", {}).items()) or "none"
        return (
            name,
            *(found.get(column, 0) for column in columns),
            *(lacking.get(what, 0) for what in ("text", "action", "camera")),
            apart,
        )

    rows = [row(name, found) for name, found in sources.items()]
    total = row("all", values)
    dropped = values["dropped"]
    assert isinstance(dropped, dict)
    lines = [
        f"{values['folder']}  {values['digest']}",
        table(("source", *columns, "no text", "no action", "no camera", "outliers"), [*rows, total]),
    ]
    if dropped:
        lines.append("dropped: " + ", ".join(f"{reason} {count}" for reason, count in dropped.items()))
    return "\n".join(lines)


def query(options: argparse.Namespace) -> int:
    """SQL over `clips`, `texts` and `ledger`."""
    from stickgen_core.corpus.query import query as ask

    found = ask(_open(settings_of(options), options.corpus), options.sql)
    rows = found.to_pylist()
    text = table(found.column_names, [tuple(row.values()) for row in rows[:MOST_ROWS]])
    more = f"\n... {len(rows) - MOST_ROWS} more rows; --json gives all" if len(rows) > MOST_ROWS else ""
    return answer(options, rows, text + more)


def diff(options: argparse.Namespace) -> int:
    """What came, went and changed, and why; exit code 1 if they differ."""
    from stickgen_core.corpus.diff import diff as compare

    settings = settings_of(options)
    found = compare(_open(settings, options.old), _open(settings, options.new))
    lines = [
        f"causes: {', '.join(found.causes) or 'none'}",
        f"added {len(found.added)}, removed {len(found.removed)}, changed {len(found.changed)}",
    ]
    lines += [f"  dropped by {why}: {count}" for why, count in Counter(found.removed.values()).most_common()]
    lines += [f"  + {clip}" for clip in found.added[:20]]
    lines += [f"  - {clip}  ({why})" for clip, why in list(found.removed.items())[:20]]
    lines += [f"  ~ {clip}  {', '.join(fields)}" for clip, fields in list(found.changed.items())[:20]]
    lines += [f"  column {name}: {count} clips" for name, count in found.annotations.items()]
    answer(options, asdict(found), "no difference" if found.empty else "\n".join(lines))
    return 0 if found.empty else 1


def sample(options: argparse.Namespace) -> int:
    """A contact sheet: clips that were kept, spread evenly, and clips that were dropped, by reason."""
    from stickgen_pipeline.samples import contact_sheet, samples

    settings = settings_of(options)
    corpus = _open(settings, options.corpus)
    found = samples(settings, corpus, options.count, options.each)
    path = contact_sheet(settings, found, Path(options.output))
    shown = Counter(sample.reason for sample in found)
    dropped = by_reason(corpus.ledger())
    lines = [f"  {reason:20} {count} of {dropped.get(reason, len(corpus))} shown" for reason, count in shown.items()]
    lines += [
        f"  {reason:20} 0 of {count} shown: they never became clips, or their input has changed"
        for reason, count in dropped.items()
        if reason not in shown
    ]
    return answer(options, {"path": str(path), "shown": shown, "dropped": dropped}, "\n".join([str(path), *lines]))


def pack(options: argparse.Namespace) -> int:
    """Copy a corpus with exactly its own rows into a folder that stands alone."""
    from stickgen_core.corpus.rewrite import pack as copy

    packed = copy(_open(settings_of(options), options.corpus), Path(options.target))
    return answer(
        options,
        {"folder": str(packed.folder), "digest": packed.digest, "clips": len(packed)},
        f"{packed.folder}: {len(packed)} clips, {packed.digest}",
    )


def compact(options: argparse.Namespace) -> int:
    """Rewrite a corpus' rows into shards of its own; its digest stays."""
    from stickgen_core.corpus.rewrite import compact as rewrite
    from stickgen_core.corpus.rewrite import usage

    corpus = _open(settings_of(options), options.corpus)
    before = usage(corpus).share
    after = usage(rewrite(corpus)).share
    return answer(
        options, {"share_before": before, "share_after": after}, f"used share of its shards: {before:.0%} before, {after:.0%} now"
    )


def sweep(options: argparse.Namespace) -> int:
    """Remove shards that neither a corpus nor a pin names."""
    from stickgen_core.corpus.upkeep import sweep_pool
    from stickgen_core.records.pins import pinned_names, pins
    from stickgen_core.records.publish import exclusively
    from stickgen_pipeline.collecting import pinned_shards

    settings = settings_of(options)
    places = settings.places
    places.data.mkdir(parents=True, exist_ok=True)
    # A build names its new shards last: the lock is the builds' own.
    with exclusively(places.data / ".build" / "lock"):
        keep = pinned_shards(history_of(settings).entries, pinned_names(pins(places.pins)))
        swept = sweep_pool(places.data, places.shards, grace_h=options.grace_h, keep=keep)
    values = asdict(swept)
    return answer(options, values, ", ".join(f"{name} {value}" for name, value in values.items()))


def withdraw(options: argparse.Namespace) -> int:
    """Take a source out of everything, for licence reasons; what was trained on it is marked."""
    from stickgen_pipeline.withdrawing import withdraw_source

    done = withdraw_source(settings_of(options), options.source, options.reason)
    stone = done.stone
    lines = [
        f"{stone.source}: {stone.clips} clips withdrawn from {len(stone.corpora)} corpora, {len(stone.shards)} shards, {done.vectors} text "
        f"vectors and {done.measurements} measurement files removed",
        *(f"  removed   {path}" for path in stone.removed),
        *(f"  marked    {path}" for path in stone.derived),
        *(f"  marked    {path}  (made from a version that is gone; it may have held the source)" for path in stone.possible),
        f"run `stickgen build corpus` to merge and curate without it; its raw files in {settings_of(options).places.raw_of(stone.source)} are yours to remove",
    ]
    return answer(options, asdict(done), "\n".join(lines))


def reinstate(options: argparse.Namespace) -> int:
    """Lift a withdrawal."""
    from stickgen_core.corpus.withdrawal import reinstate as lift

    stone = lift(settings_of(options).places.data, options.source)
    return answer(
        options, asdict(stone), f"{stone.source}: the withdrawal of {stone.at} is lifted; `stickgen build` reads its raw files again"
    )


def migrate(options: argparse.Namespace) -> int:
    """Bring an old schema version up to date."""
    from stickgen_core.corpus.migrate import migrate as upgrade

    steps = upgrade(corpus_folder(settings_of(options), options.corpus))
    return answer(
        options, {"migrated": steps}, f"migrated through schema versions {steps}" if steps else "already at the current schema version"
    )


def export_pt(options: argparse.Namespace) -> int:
    """The documented `.pt` file of one corpus or a combined one of several, with text vectors where the corpora carry their keys."""
    from stickgen_pipeline.exporting import default_path, write_pt

    settings = settings_of(options)
    if len(options.corpus) > 1 and not options.output:
        raise ConfigError(
            "several corpora make one combined file: give it a name with -o, as documented train_data.pt or train_data_final.pt"
        )
    corpora = [_open(settings, name) for name in options.corpus]
    path = write_pt(settings, corpora, Path(options.output) if options.output else default_path(corpora[0].folder), joints=options.joints,
                    split=options.split, progress=_counted)  # fmt: skip
    return answer(options, {"path": str(path), "bytes": path.stat().st_size}, f"{path} ({size(path.stat().st_size)})")


def import_pt(options: argparse.Namespace) -> int:
    """A corpus of a foreign `.pt` file."""
    from stickgen_core.corpus.import_pt import import_pt as read

    settings = settings_of(options)
    if not _SAFE_NAME.fullmatch(options.source):
        raise ConfigError(f"--source {options.source!r}: expected letters, digits, - and _ only; it becomes a folder's name")
    folder = Path(options.output) if options.output else settings.places.data / "imported" / options.source
    corpus = read(
        Path(options.file), folder, shards=settings.places.shards, name=f"imported/{options.source}", source=options.source,
        licence=options.licence, fps=settings.config.canonical.fps,
    )  # fmt: skip
    dropped = by_reason(corpus.ledger())
    left = "; left out: " + ", ".join(f"{count} {reason}" for reason, count in dropped.items()) if dropped else ""
    return answer(
        options,
        {"folder": str(folder), "digest": corpus.digest, "clips": len(corpus), "dropped": dropped},
        f"{folder}: {len(corpus)} clips, {corpus.digest}{left}",
    )


def _counted(label: str, done: int, total: int) -> None:
    note(f"{label} {done} of {total}")
