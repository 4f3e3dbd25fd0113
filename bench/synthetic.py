"""The synthetic source: accepted clips a second of one core, share accepted, words, memory; validators, truth check and captions included.

Time is of the processor, so that a busy machine hardly counts. Writing to disk is not included.
"""

import resource
import time
from pathlib import Path

from bench.measure import Measure
from stickgen_core.sources.registry import load_registry
from stickgen_core.sources.synthetic import SyntheticReader

CONFIGS = Path(__file__).resolve().parents[1] / "configs"
# The length that the targets speak of.
FRAMES = 150
CLIPS, QUICK_CLIPS = 3000, 400
# Indices whose first proposals are looked at; memory is compared between the first and the last of so many parts.
PARTS = 4


def run(quick: bool) -> list[Measure]:
    """Figures over the first indices of the source as configured."""
    source = SyntheticReader(load_registry(CONFIGS / "datasets")["synthetic"])
    count = QUICK_CLIPS if quick else CLIPS
    source.clip(0)
    frames = first_time = 0
    captions: set[str] = set()
    words: set[str] = set()
    actions: set[int] = set()
    peaks = []
    started = time.process_time()
    for index in range(count):
        clip = source.clip(index)
        frames += clip.joints.shape[0]
        first_time += clip.extra["attempt"] == 0
        captions.add(clip.texts[0].text)
        words.update(w.strip(".,;:") for t in clip.texts for w in t.text.lower().split())
        actions.update(label.action for label in clip.labels)
        if (index + 1) % (count // PARTS) == 0:
            peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    seconds = time.process_time() - started
    return [
        Measure(
            "clips_of_150_frames_per_core_s",
            frames / FRAMES / seconds,
            "clips/s",
            f"{count / seconds:.0f} clips/s of {frames / count:.0f} frames",
            100,
        ),
        Measure("first_proposal_accepted", first_time / count, "share", at_least=0.95),
        Measure("distinct_first_captions", len(captions) / count, "share", at_least=0.6),
        Measure("distinct_words", len(words), "words", at_least=400),
        Measure("actions_seen", len(actions), "actions", "all of configs/actions.yaml", at_least=None if quick else 64),
        Measure("memory_growth_over_the_run", peaks[-1] - peaks[0], "MB", f"peak {peaks[-1]:.0f} MB", at_most=8),
    ]
