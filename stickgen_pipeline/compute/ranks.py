"""One checkpoint by several processes, under torchrun; the graph finds it as if it had trained it itself.

    torchrun --standalone --nproc-per-node=2 -m stickgen_pipeline.compute.ranks small pretrain [--profile full] [-c section.key=value]

Every process computes its share of the micro-batches of each optimiser step (nccl on GPUs, gloo elsewhere); the first one writes. Its inputs
must have been built: `stickgen build corpus`. SIGTERM saves and ends, the same command goes on.
"""

import argparse
import os
import sys

from stickgen_core.errors import StickgenError
from stickgen_core.training.config import STAGES, VARIANTS
from stickgen_pipeline.graph import steps_of
from stickgen_pipeline.profile import resolve
from stickgen_pipeline.steps import Work, inputs_of


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="stickgen_pipeline.compute.ranks", description="Train one checkpoint under torchrun.")
    parser.add_argument("variant", choices=VARIANTS)
    parser.add_argument("stage", choices=STAGES)
    parser.add_argument("--profile", choices=("demo", "full", "test"))
    parser.add_argument("--config-override", "-c", action="append", default=[], metavar="SECTION.KEY=VALUE")
    options = parser.parse_args(arguments)
    first = int(os.environ.get("RANK", 0)) == 0

    def progress(label: str, done: int, total: int) -> None:
        if first:
            print(f"{label} ({done} of {total})", file=sys.stderr, flush=True)

    try:
        steps = steps_of(resolve(options.profile, overrides=options.config_override))
        step = steps[f"checkpoint/{options.variant}_{options.stage}"]
        step.make(Work(step.key, step.folder, step.recipe(), inputs_of(step, steps), progress))
    except StickgenError as error:
        if first:
            print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
