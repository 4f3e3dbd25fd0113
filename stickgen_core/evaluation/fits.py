"""May this evaluator judge this checkpoint on this corpus? Parts that were not made for each other are refused, each in one line."""

from collections.abc import Mapping
from pathlib import Path

from stickgen_core.corpus import Corpus
from stickgen_core.errors import StickgenError
from stickgen_core.evaluation.evaluator import Evaluator
from stickgen_core.evaluation.sampling import Sampler
from stickgen_core.records.manifest import find_manifest


def evaluator_fits(evaluator: Evaluator, corpus: Corpus, width: int) -> None:
    """The evaluator saw the training clips of this very corpus, and judges motion of this width."""
    if len(evaluator.scale.mean) != width:
        raise StickgenError(
            f"evaluator judges {len(evaluator.scale.mean)} numbers a frame, {corpus.manifest.name} has {width}; train it on this layout"
        )
    taught = evaluator.card.get("corpus")
    if taught != corpus.digest:
        raise StickgenError(
            f"evaluator {evaluator.digest[:12]}: taught on corpus {str(taught)[:12]}, {corpus.manifest.name} is {corpus.digest[:12]}; "
            "its training clips may be among those judged: build evaluation/evaluator again"
        )


def checkpoint_fits(sampler: Sampler, corpus: Corpus, current: Mapping[str, str]) -> None:
    """The checkpoint read this corpus' training clips, scaled by their statistics, through the encoder that embedded its captions.

    current   corpus name -> digest as it is now; a checkpoint that names another digest for one of them is stale
    """
    file = str(sampler.meta["file"])
    sampler.statistics.require_width(int(corpus.manifest.counts.get("motion_width", sampler.statistics.width)))
    if sampler.statistics.source != corpus.digest:
        raise StickgenError(
            f"{file}: scaled by statistics of corpus {sampler.statistics.source[:12]}, {corpus.manifest.name} is {corpus.digest[:12]}; "
            "its training clips may be among those judged: train it on this corpus, or judge it on its own"
        )
    known = {corpus.manifest.name: corpus.digest, **current}
    for name, digest in dict(sampler.meta.get("parents") or {}).items():
        if name in known and known[name] != digest:
            raise StickgenError(f"{file}: trained on {name} {str(digest)[:12]}, which is {known[name][:12]} now; train it again")
    manifest = find_manifest(Path(file).parent)
    wanted = sampler.meta.get("encoder_digest") or (manifest.notes.get("encoder_digest") if manifest else None)
    found = corpus.manifest.notes.get("encoder_digest")
    if wanted and found and wanted != found:
        raise StickgenError(f"{file}: trained with text encoder {wanted[:12]}, {corpus.manifest.name} was embedded with {found[:12]}")
