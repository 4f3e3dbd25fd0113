"""Pictures against words alone, on prompts that only a picture makes unambiguous: does the multimodal model know which arm is meant?

A clip swings one arm; its text says "the arm on the left (right) of the picture". Which arm that is depends on where the picture was taken
from, before or behind the figure. A model of words alone can only guess; both models see the same clips, texts, steps and seeds.

    python -m bench multimodal
"""

import tempfile
from pathlib import Path

import numpy as np
import torch

from bench.measure import Measure
from stickgen_core.corpus import Clip, Corpus
from stickgen_core.generation.draw import draw
from stickgen_core.model.denoiser import Conditions
from stickgen_core.model.normalise import Normaliser
from stickgen_core.records.seeds import generator
from stickgen_core.rendering import RenderingConfig
from stickgen_core.rendering.parallax import parallax_view, write_parallax
from stickgen_core.skeleton.sticks import stick_layout
from stickgen_core.training.checkpoints import load_model
from stickgen_core.training.config import RunConfig
from stickgen_core.training.images import ParallaxImages
from stickgen_core.training.loop import train
from stickgen_core.training.statistics import motion_statistics
from tests.core.rendering.rendering_people import walker
from tests.core.training.training_factory import FPS, WordVectors, clip_of, corpus_of, tiny_run

SEED, FRAMES, PIXELS, HELD_OUT = 7, 40, 64, 64
SIDES = ("left", "right")


def run(quick: bool) -> list[Measure]:
    """Share of held-out clips whose asked arm is the one that moves, for both models, with the guess and the picture taken away."""
    clips, steps = (96, 60) if quick else (256, 300)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        corpus = _corpus(root, clips + HELD_OUT)
        write_parallax([corpus.clip(n) for n in range(len(corpus))], root / "views", _config(), fps=FPS, seed=SEED, actors=len(corpus))
        found = {}
        for name in ("words", "pictures"):
            run_config = _run(root, steps, pictures=name == "pictures")
            train(run_config, corpus, WordVectors(64), motion_statistics(corpus), root / name)
            found[name] = _obeyed(root / name, run_config, corpus, shown=name == "pictures")
        blind = _obeyed(root / "pictures", _run(root, steps, pictures=True), corpus, shown=False)
    n = f"of {HELD_OUT} held-out clips; {clips} clips, {steps} steps"
    return [
        Measure(
            "words and pictures", found["pictures"], f"obeyed, {n}", against=f"words alone {found['words']:.2f}", at_least=found["words"]
        ),
        Measure("words alone", found["words"], f"obeyed, {n}", against="a guess 0.50"),
        Measure("the same model without its picture", blind, f"obeyed, {n}", against="a guess 0.50"),
    ]


def _config() -> RenderingConfig:
    plain = RenderingConfig()
    parallax = plain.parallax.model_copy(update={"size_px": PIXELS, "views": 1, "elevation_deg": (0.0, 15.0)})
    return plain.model_copy(update={"parallax": parallax})


def _corpus(root: Path, count: int) -> Corpus:
    """Clips until `count` of them are seen clearly from before or behind; the text is written from the picture's point of view."""
    clips: list[Clip] = []
    number = 0
    while len(clips) < count:
        made = _swing(f"made/{number:05d}", number)
        number += 1
        _, view, _ = parallax_view(made[0], 0, 0, _config(), FPS, SEED)
        across = float(np.cos(view.azimuth[0]))  # the body faces +Z: 1 from before, −1 from behind
        if abs(across) < 0.5:
            continue
        on_the_right = (across > 0) == (made[1] == "left")
        clips.append(clip_of(made[0].id, made[2], f"swings the arm on the {SIDES[on_the_right]} of the picture", 0))
    return corpus_of(root, clips, validation=HELD_OUT)


def _swing(name: str, number: int) -> tuple[Clip, str, np.ndarray]:
    """A standing body whose one arm swings; which one, how fast and when is drawn."""
    random = generator(SEED, "swing", number)
    side = SIDES[int(random.integers(2))]
    joints = walker(FRAMES, speed=0.0, wave=False)
    time = np.arange(FRAMES) / FPS
    from stickgen_core.skeleton.body import JOINT

    swing = 0.45 * (0.5 - 0.5 * np.cos(2 * np.pi * random.uniform(0.6, 1.2) * time + random.uniform(0, 6)))
    for joint, share in ((f"{side}_elbow", 0.5), (f"{side}_wrist", 1.4)):
        joints[:, 0, JOINT[joint], 1] += share * swing
    return clip_of(name, joints, "", 0), side, joints


def _run(root: Path, steps: int, pictures: bool) -> RunConfig:
    return tiny_run(
        "model.d_model=64", "model.num_layers=2", "model.nhead=2", "model.embedding_dim=64", "model.image_feature_dim=64",
        'model.expected_parameters={"motion_only":null,"multimodal":null}', f"data.parallax_root={root / 'views'}",
        f"data.parallax_image_size=[{PIXELS},{PIXELS}]", f"data.use_parallax_augmentation={str(pictures).lower()}", "training.batch_size=16",
        "training.grad_accumulation_steps=1", f"training.steps={steps}", "training.warmup_steps=20", "training.learning_rate=0.002",
        "data.token_budget=4096", "sampler.diffusion_steps=8", "sampler.use_diffusion=true", "sampler.guidance=1.0", "training.ema_decay=0.98",
    )  # fmt: skip


def _obeyed(checkpoint: Path, run_config: RunConfig, corpus: Corpus, shown: bool) -> float:
    """Share of held-out clips in whose sample the true arm swings more than the other."""
    model, run_of, statistics, _ = load_model(checkpoint)
    splits = corpus.column("split")
    held = [n for n in range(len(corpus)) if splits[n] == "val"]
    vectors = WordVectors(64).vectors([corpus.texts(n)[0].text for n in held])
    has = torch.ones(len(held), dtype=torch.bool)
    conditions = Conditions(torch.from_numpy(vectors), has, camera=torch.tensor([0.0, 1.0, 1.0]).expand(len(held), FRAMES, 3))
    if shown:
        conditions = _with_pictures(conditions, run_config, corpus, held)
    noise = torch.from_numpy(generator(SEED, "noise").standard_normal((len(held), FRAMES, 1, model.config.input_dim))).float()
    motion = Normaliser(statistics).metres(draw(model, run_of.objective, run_of.sampler, conditions, noise)).numpy()[:, :, 0]
    points = stick_layout().points
    height = {side: 2 * points.index(f"{side}_wrist") + 1 for side in SIDES}
    right = 0
    for row, n in enumerate(held):
        truth = corpus.arrays(n, "motion")["motion"][:, 0]
        asked = max(SIDES, key=lambda side: np.ptp(truth[:, height[side]]))
        right += asked == max(SIDES, key=lambda side: np.ptp(motion[row, :, height[side]]))
    return right / len(held)


def _with_pictures(conditions: Conditions, run_config: RunConfig, corpus: Corpus, held: list[int]) -> Conditions:
    from dataclasses import replace

    images = ParallaxImages.open(run_config, corpus)
    shots = [images.shot(corpus.ids[n], SEED, 0) for n in held]
    pixels = torch.from_numpy(np.stack([images._decode(shot.file, images.size) for shot in shots if shot]))
    viewpoint = torch.tensor([shot.viewpoint for shot in shots if shot], dtype=torch.float32)
    return replace(conditions, image=pixels, viewpoint=viewpoint, has_image=torch.ones(len(held), dtype=torch.bool))
