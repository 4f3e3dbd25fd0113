"""Encoding captions in canonical batches against one at a time, and a second run that finds everything in the cache."""

import tempfile
from pathlib import Path

from bench.measure import Measure, interleaved
from stickgen_core.records.seeds import generator
from stickgen_core.text import TextConfig, encoder_for, ensure_vectors

CAPTIONS, QUICK_CAPTIONS = 8192, 512
ONE_AT_A_TIME = 64
WHO = ("a person", "the person", "a man", "someone", "the figure", "a woman")
DOES = ("walks", "runs", "jumps", "turns", "crouches", "waves", "kicks", "sits down", "steps", "dances", "crawls", "balances")
HOW = ("slowly", "in a circle", "to the left", "to the right", "forward", "backward", "twice", "with both arms raised", "and then stops")
WHERE = ("", " on the spot", " across the room", " while looking around", " as if carrying something heavy", " before turning back")


def captions(count: int) -> list[str]:
    """Distinct captions of some 8 to 16 tokens."""
    draw = generator("bench captions")
    found: dict[str, None] = {}
    while len(found) < count:
        who, does, how, where = (str(draw.choice(words)) for words in (WHO, DOES, HOW, WHERE))
        then = f" and {draw.choice(DOES)} {draw.choice(HOW)}" if draw.random() < 0.5 else ""
        found[f"{who} {does} {how}{then}{where}."] = None
    return list(found)


def run(quick: bool) -> list[Measure]:
    texts = captions(QUICK_CAPTIONS if quick else CAPTIONS)
    config = TextConfig()
    encoder = encoder_for(config)
    encoder.encode(texts[:2])  # load the weights
    singles = texts[:ONE_AT_A_TIME]

    def batched() -> None:
        encoder.encode(texts)

    def single() -> None:
        for text in singles:
            encoder.encode_quickly([text])

    times = interleaved({"batched": batched, "single": single}, 1)
    rate, alone = len(texts) / times["batched"].cpu_s, len(singles) / times["single"].cpu_s
    with tempfile.TemporaryDirectory(prefix="stickgen-bench-") as folder:

        def cached() -> None:
            ensure_vectors(
                texts, encoder, Path(folder), flush_rows=config.flush_rows, flush_s=config.flush_s, golden_cosine=config.golden_cosine
            )

        cached()
        again = interleaved({"cached": cached}, 3)["cached"].cpu_s
    return [
        Measure("minilm", rate, "captions/CPU s", f"one at a time {alone:,.0f}"),
        Measure(
            "minilm_batching",
            rate / alone,
            "times faster",
            "one at a time; batches that are not full cost as much",
            at_least=None if quick else 3,
        ),
        Measure("cached", len(texts) / again, "captions/CPU s", "second run, nothing encoded"),
    ]
