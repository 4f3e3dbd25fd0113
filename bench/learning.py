"""Does small learn from a built corpus within a processor budget: the losses as they pass, then time and memory.

    python -m bench.learning DATA OUT [--steps 2000] [-c section.key=value ...]

DATA is a built data root (`data/demo`), OUT the checkpoint's folder; asking again goes on from where it was. The run is `configs/small.yaml` with
the corpus' own text width and whatever -c changes. `stickgen evaluate --checkpoint OUT` judges what came of it.
"""

import argparse
import resource
import time
from pathlib import Path

from stickgen_core.corpus import Corpus
from stickgen_core.text.vectors import TextVectors
from stickgen_core.training.config import run_config
from stickgen_core.training.loop import train
from stickgen_core.training.statistics import motion_statistics

CONFIGS = Path(__file__).parents[1] / "configs"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--profile", default="full")
    parser.add_argument("-c", "--config-override", action="append", default=[], dest="overrides")
    chosen = parser.parse_args()
    corpus = Corpus.open(chosen.data / "curated" / "pretrain_data_embedded")
    vectors = TextVectors.open(chosen.data / "text_vectors" / str(corpus.manifest.notes["encoder_digest"]))
    width = vectors.vectors(corpus.index["text_keys"][0].as_py()[:1]).shape[1]
    own = [
        f"model.embedding_dim={width}",
        "model.expected_parameters.motion_only=null",
        f"training.steps={chosen.steps}",
        "training.device=cpu",
    ]
    run = run_config(CONFIGS, chosen.profile, "small", "pretrain", [*own, *chosen.overrides])
    began, cpu = time.perf_counter(), time.process_time()
    result = train(
        run,
        corpus,
        vectors,
        motion_statistics(corpus),
        chosen.out,
        progress=lambda label, done, total: print(label, done, total, flush=True),
    )
    print(f"{result.stopped} at {result.step}: {time.perf_counter() - began:.0f} s, {time.process_time() - cpu:.0f} CPU-s, "
          f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB; {dict(result.metrics)}")  # fmt: skip


if __name__ == "__main__":
    main()
