"""Speed of the synthetic source: accepted clips of 150 frames a second of one core, share accepted, memory at the start and the end.

`python -m bench.synthetic [--clips 1000]`: validators, truth check and captions included, writing to disk not.
"""

import argparse
import json
import resource
import time
from collections import Counter
from pathlib import Path

from bench.measure import machine
from stickgen_core.sources.registry import load_registry
from stickgen_core.sources.synthetic import SyntheticReader

CONFIGS = Path(__file__).resolve().parents[1] / "configs"
FRAMES = 150


def run(clips: int) -> dict[str, float]:
    """Figures over the first `clips` indices; time is of the processor, so a busy machine does not count."""
    source = SyntheticReader(load_registry(CONFIGS / "datasets")["synthetic"])
    source.clip(0)
    first = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    frames, attempts = 0, Counter[int]()
    texts: set[str] = set()
    words: set[str] = set()
    started = time.process_time()
    for index in range(clips):
        clip = source.clip(index)
        frames += clip.joints.shape[0]
        attempts[clip.extra["attempt"]] += 1
        texts.add(clip.texts[0].text)
        words.update(w.strip(".,;:") for t in clip.texts for w in t.text.lower().split())
    seconds = time.process_time() - started
    return {
        "clips_per_core_s": clips / seconds,
        "clips_of_150_frames_per_core_s": frames / FRAMES / seconds,
        "mean_frames": frames / clips,
        "first_proposal_accepted": attempts[0] / clips,
        "distinct_first_captions": len(texts) / clips,
        "distinct_words": len(words),
        "memory_growth_mb": (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - first) / 1024,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=int, default=1000)
    print(json.dumps({"measured": run(parser.parse_args().clips), "machine": machine()}, indent=1, default=str))


if __name__ == "__main__":
    main()
