"""Gates that several stages share: the store is whole, the counts add up, no recording sits in two splits."""

from collections import defaultdict
from pathlib import Path

from stickgen_core.corpus.repair import shards_of
from stickgen_core.corpus.shards import OpenShard
from stickgen_core.corpus.store import Corpus
from stickgen_core.errors import StickgenError
from stickgen_core.records.manifest import Manifest
from stickgen_pipeline.steps import Check, Verdict


def store_is_whole(manifest: Manifest, folder: Path, fresh: bool) -> Verdict:
    """A new artefact is read back digest by digest; one that is reused must be there with its shards."""
    problems = Corpus.open(folder).verify() if fresh else _missing_shards(folder)
    measured = {"problems": len(problems), "limit": 0, "read_back": fresh}
    return Verdict(not problems, problems[0] if problems else "every digest holds" if fresh else "every shard is there", measured)


def _missing_shards(folder: Path) -> list[str]:
    """Opening a shard reads its ends only: one that was cut off or removed is found in no time, a flipped bit by `corpus verify`."""
    problems = []
    for path in sorted(shards_of(folder)):
        try:
            OpenShard(path)
        except StickgenError as error:
            problems.append(str(error))
    return problems


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


STORE_IS_WHOLE = Check("store_is_whole", "Every shard, row and digest of the corpus holds.", store_is_whole)
COUNTS_ADD_UP = Check("counts_add_up", "Kept plus dropped is what was read; every drop has its reason in the ledger.", counts_add_up)
NO_LEAK = Check("no_leak", "No recording has clips in two splits.", no_leak)
