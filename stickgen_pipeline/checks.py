"""Gates that several stages share: the store is whole, the counts add up, no recording sits in two splits."""

from collections import defaultdict
from functools import partial
from pathlib import Path

from stickgen_core.corpus.read_back import ReadBack, stamps
from stickgen_core.corpus.repair import shards_of
from stickgen_core.corpus.shards import OpenShard
from stickgen_core.corpus.store import Corpus
from stickgen_core.corpus.verify import verify_folder
from stickgen_core.errors import StickgenError
from stickgen_core.records.manifest import Manifest, find_manifest, lost_files
from stickgen_core.settings import Settings
from stickgen_pipeline.steps import Check, Verdict

READ_BACK = ".steps/read_back"  # among the receipts: losing it costs a second reading


def store_is_whole(settings: Settings) -> Check:
    """The gate of a profile's corpora; what it has read is remembered in the machine's own state, never in an artefact."""
    return Check(
        "store_is_whole", "Every shard, row and digest of the corpus holds.",
        partial(_store_is_whole, settings.places.data / READ_BACK, settings.places.text_vectors),
    )  # fmt: skip


def _store_is_whole(memory: Path, text_vectors: Path, manifest: Manifest, folder: Path, fresh: bool) -> Verdict:
    """A new artefact is read back digest by digest, but for clips that were and whose shards are unchanged; a reused one must be there."""
    if not fresh:
        problems = [*_missing_shards(folder), *_missing_vectors(text_vectors, manifest)]
        return Verdict(
            not problems, problems[0] if problems else "every shard is there", {"problems": len(problems), "limit": 0, "read_back": 0}
        )
    seen, now, index = ReadBack(memory), stamps(shards_of(folder)), Corpus.open(folder).index
    whole = seen.unchanged(now)
    known = seen.known(index, whole)
    problems = verify_folder(folder, whole, known)
    if not problems:
        seen.note(manifest.name, index, now)
    read = len(known) - int(known.sum())
    measured = {"problems": len(problems), "limit": 0, "read_back": read, "known_from_before": len(known) - read}
    text = f"every digest holds ({read} clips read, {len(known) - read} as they were when they were read)"
    return Verdict(not problems, problems[0] if problems else text, measured)


def _missing_shards(folder: Path) -> list[str]:
    """Opening a shard reads its ends only: one that was cut off or removed is found in no time, a flipped bit by `corpus verify`."""
    problems = []
    for path in sorted(shards_of(folder)):
        try:
            OpenShard(path)
        except StickgenError as error:
            problems.append(str(error))
    return problems


def _missing_vectors(text_vectors: Path, manifest: Manifest) -> list[str]:
    """Files of the text vectors that an embedded corpus names; one that is lost is made again by embedding again."""
    if "encoder_digest" not in manifest.notes:
        return []
    folder = text_vectors / str(manifest.notes["encoder_digest"])
    vectors = find_manifest(folder)
    lost = ["manifest.json"] if vectors is None else lost_files(folder, vectors)
    return [f"{folder / name}: missing or cut off" for name in lost]


def counts_add_up(manifest: Manifest, folder: Path, fresh: bool) -> Verdict:
    """Clips kept + rows of the ledger = what the stage read."""
    corpus = Corpus.open(folder)
    kept, dropped = len(corpus), corpus.ledger().num_rows
    read = int(manifest.counts.get("read", kept + dropped))
    measured = {"kept": kept, "dropped": dropped, "read": read}
    return Verdict(
        kept == int(manifest.counts["clips"]) and read == kept + dropped, f"{kept} kept + {dropped} dropped of {read} read", measured
    )


def no_leak(manifest: Manifest, folder: Path, fresh: bool) -> Verdict:
    """All clips of an origin recording share one split."""
    corpus = Corpus.open(folder)
    splits: dict[str, set[str]] = defaultdict(set)
    for origin, split in zip(corpus.column("origin").tolist(), corpus.column("split").tolist(), strict=True):
        splits[origin].add(split)
    leaks = sorted(origin for origin, found in splits.items() if len(found) > 1)
    text = f"{len(leaks)} origins are in two splits, first {leaks[0]}" if leaks else f"{len(splits)} origins, each in one split"
    return Verdict(not leaks, text, {"leaks": len(leaks), "limit": 0, "origins": len(splits)})


COUNTS_ADD_UP = Check("counts_add_up", "Kept plus dropped is what was read; every drop has its reason in the ledger.", counts_add_up)
NO_LEAK = Check("no_leak", "No recording has clips in two splits.", no_leak)
