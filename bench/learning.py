"""Does small learn from a built corpus within a processor budget: losses as they pass, then what held-out samples are named.

    python -m bench.learning train DATA OUT [--steps 2000] [-c section.key=value ...]
    python -m bench.learning judge DATA OUT EVALUATOR [--split test] [--samples 256] [--sampling-steps 20] [--guidance 2.5 ...]

DATA is a built data root (`data/demo`), OUT the checkpoint's folder; asking again goes on from where it was. The run is `configs/small.yaml` with
the corpus' own text width and whatever -c changes. Processor seconds, over all calls, stand beside each validation in `OUT.cpu.jsonl`. EVALUATOR
is a folder: what judges is trained there on the corpus' train split if it is not there yet (-c evaluation.evaluator.key=value).
"""

import argparse
import json
import resource
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import torch

from stickgen_core.corpus import Corpus
from stickgen_core.evaluation.items import Items, choose, read_items
from stickgen_core.evaluation.judge import Judge
from stickgen_core.evaluation.sampling import Sampler
from stickgen_core.evaluation.teaching import train_evaluator
from stickgen_core.model.denoiser import Conditions
from stickgen_core.model.paths import clean_from_output, coloured, noised
from stickgen_core.records.seeds import generator
from stickgen_core.settings import load_settings
from stickgen_core.text.vectors import TextVectors
from stickgen_core.training.config import run_config
from stickgen_core.training.loop import train
from stickgen_core.training.statistics import motion_statistics

CONFIGS = Path(__file__).parents[1] / "configs"
SHOWN = ("action_accuracy", "r_precision_text_to_motion_3", "energy_ratio", "jerk_ratio")
TIMES = (0.1, 0.3, 0.5, 0.8, 0.95)


def opened(data: Path) -> tuple[Corpus, TextVectors]:
    corpus = Corpus.open(data / "curated" / "pretrain_data_embedded")
    return corpus, TextVectors.open(data / "text_vectors" / str(corpus.manifest.notes["encoder_digest"]))


def learn(chosen: argparse.Namespace) -> None:
    corpus, vectors = opened(chosen.data)
    own = [
        f"model.embedding_dim={vectors.width}",
        "model.expected_parameters.motion_only=null",
        f"training.steps={chosen.steps}",
        "training.device=cpu",
    ]
    run = run_config(CONFIGS, chosen.profile, "small", "pretrain", [*own, *chosen.overrides])
    beside = chosen.out.with_name(f"{chosen.out.name}.cpu.jsonl")
    before = max((json.loads(line)["cpu_s"] for line in beside.read_text().splitlines()), default=0.0) if beside.exists() else 0.0
    began, cpu = time.perf_counter(), time.process_time()

    def watch(figures: Mapping[str, float]) -> None:
        spent = round(before + time.process_time() - cpu, 1)
        with beside.open("a") as file:
            file.write(json.dumps({"cpu_s": spent, **figures}) + "\n")
        print("validation", int(figures["step"]), f"{figures.get('val_loss', np.nan):.4f} after {spent:.0f} CPU-s", flush=True)

    chosen.out.parent.mkdir(parents=True, exist_ok=True)
    result = train(
        run, corpus, vectors, motion_statistics(corpus), chosen.out, watch=watch,
        progress=lambda label, done, total: print(label, done, total, flush=True),
    )  # fmt: skip
    print(f"{result.stopped} at {result.step}: {time.perf_counter() - began:.0f} s, {before + time.process_time() - cpu:.0f} CPU-s, "
          f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB; {dict(result.metrics)}")  # fmt: skip


def estimates(sampler: Sampler, items: Items) -> Iterator[tuple[float, Items, float]]:
    """What the model makes of the real clips with noise of each time: (time, its one-step estimates, squared error over the data's variance)."""
    objective, scale = sampler.run.objective, sampler.normaliser
    for t in TIMES:
        motions, wrong, count = [], 0.0, 0
        for n in range(len(items)):
            clean = scale.motion(torch.from_numpy(np.asarray(items.motions[n], np.float32)))[None]
            valid = torch.from_numpy(np.array(items.present[n]))[None]
            clean = torch.where(valid[..., None], clean, 0.0)
            white = generator("estimate", items.ids[n], str(t)).standard_normal(clean.shape, dtype=np.float32)
            time_, text = torch.tensor([t]), torch.from_numpy(np.array(sampler.vectors.vectors([items.keys[n]])))
            noisy = noised(objective.path, clean, coloured(torch.from_numpy(white), objective.noise_span_frames), time_)
            with torch.no_grad():
                camera = torch.tensor([0.0, 1.0, 1.0]).expand(1, clean.shape[1], 3)
                output = sampler.model.motion(noisy, time_, Conditions(text, torch.ones(1, dtype=torch.bool), camera=camera), valid)
                guess = clean_from_output(objective.path, objective.prediction, output, noisy, time_)
            wrong += float((guess - clean)[valid].square().sum())
            count += int(valid.sum()) * clean.shape[-1]
            motions.append(torch.where(valid[..., None], scale.metres(guess), 0.0)[0].numpy())
        yield t, items.with_motions(motions, items.present), wrong / count


def judge(chosen: argparse.Namespace) -> None:
    corpus, vectors = opened(chosen.data)
    config = load_settings(chosen.profile, overrides=[*chosen.overrides, f"evaluation.samples={chosen.samples}"]).config.evaluation
    cpu = time.process_time()
    evaluator = train_evaluator(corpus, config, chosen.evaluator)
    print(f"evaluator: {time.process_time() - cpu:.0f} CPU-s; {evaluator.card.get('held_out')}", flush=True)
    sampler = Sampler.of(chosen.out, vectors, seed=config.seed, steps=chosen.sampling_steps, batch=config.batch)
    items = read_items(corpus, choose(corpus, chosen.split, chosen.samples, config.seed), config.seed).cut(sampler.run.data.max_frames)
    judging = Judge(evaluator, config, items, sampler.statistics.fps)
    print(f"{chosen.split}, N = {len(items)}, {chosen.sampling_steps} steps; chance:",
          {name: round(value, 4) for name, value in judging.chance(items).items() if name in ("action_accuracy", "action_accuracy_uniform", SHOWN[1])})  # fmt: skip
    shuffled = items.with_captions(generator(config.seed, "shuffled").permutation(len(items)))
    show("real", judging, items)
    show("real, shuffled captions", judging, shuffled)
    for guidance in chosen.guidance:
        cpu = time.process_time()
        drawn = sampler.with_settings(guidance=guidance).draw(items)
        show(f"model, guidance {guidance:g} ({time.process_time() - cpu:.0f} CPU-s)", judging, drawn)
    if chosen.estimates:
        few = items.take(range(min(len(items), chosen.estimates)))
        for t, guess, error in estimates(sampler, few):
            named = (evaluator.name_actions(guess) == few.actions)[few.actions >= 0].mean()
            print(f"estimate at t = {t}: squared error {error:.4f}, named right {named:.3f}", flush=True)


def show(name: str, judging: Judge, items: Items) -> None:
    found = judging.measure(items)
    print(f"{name}: " + ", ".join(f"{key} {m.value:.3f} [{m.low:.3f}, {m.high:.3f}]" for key in SHOWN
                                  if (m := found[key]).value is not None and m.low is not None and m.high is not None), flush=True)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    kinds = parser.add_subparsers(required=True)
    for name, act in (("train", learn), ("judge", judge)):
        kind = kinds.add_parser(name)
        kind.set_defaults(act=act)
        kind.add_argument("data", type=Path)
        kind.add_argument("out", type=Path)
        kind.add_argument("-c", "--config-override", action="append", default=[], dest="overrides")
        if name == "train":
            kind.add_argument("--steps", type=int, default=2000)
            kind.add_argument("--profile", default="full")
        else:
            kind.add_argument("evaluator", type=Path)
            kind.add_argument("--profile", default="demo")
            kind.add_argument("--split", default="test")
            kind.add_argument("--samples", type=int, default=256)
            kind.add_argument("--sampling-steps", type=int, default=20)
            kind.add_argument("--guidance", type=float, nargs="+", default=[2.5])
            kind.add_argument("--estimates", type=int, default=0, help="so many real clips with noise of each time, estimated in one step")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    chosen.act(chosen)


if __name__ == "__main__":
    main()
