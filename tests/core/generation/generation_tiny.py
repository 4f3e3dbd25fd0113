"""A generator that answers in milliseconds: the real classes at the smallest size, with weights that are not trained."""

from pathlib import Path

import numpy as np
import torch

from stickgen_core.config import load
from stickgen_core.generation import GenerationConfig
from stickgen_core.generation.generator import Generator
from stickgen_core.generation.service.service import Service
from stickgen_core.model.denoiser import build_model
from stickgen_core.model.normalise import Statistics
from stickgen_core.rendering import RenderingConfig
from stickgen_core.text.config import TextConfig
from stickgen_core.text.encoders import encoder_for
from stickgen_core.training.config import run_config

torch.set_num_threads(1)
ROOT = Path(__file__).resolve().parents[3]
TEXT = TextConfig(encoder="hashing", hashing_width=32)
SIZES = [
    "model.d_model=32", "model.image_feature_dim=32", "data.parallax_image_size=[32,32]", "model.num_layers=1", "model.nhead=2",
    "model.embedding_dim=32", 'model.expected_parameters={"motion_only":null,"multimodal":null}', "sampler.diffusion_steps=3",
    "sampler.use_diffusion=true",
]  # fmt: skip


def config(**changes):
    return load(GenerationConfig, [ROOT / "configs/defaults/generation.yaml"]).model_copy(update=changes)


def statistics():
    ones = np.ones(20)
    return Statistics(ones * 0, ones * 0.1, ones, ones, np.zeros(6), np.ones(6), "corpus", "train", 1, 100, 25.0)


def run():
    return run_config(ROOT / "configs", "test", "small", "pretrain", SIZES)


def tiny(seed=0, **options):
    torch.manual_seed(seed)
    changes = options.pop("changes", {})
    model = build_model(run().model, options.pop("multimodal", False))
    with torch.no_grad():  # a fresh model answers zero; this one must answer its input
        for weights in model.parameters():
            weights.add_(0.2 * torch.randn_like(weights))
    return Generator(model, run(), statistics(), encoder_for(TEXT), config(**changes), **options)


def service(generator=None, **changes):
    """A service of a tiny generator; `changes` are of its service section."""
    generator = generator or tiny(enable_safety_check=False)
    section = generator.config.service.model_copy(update=changes)
    generator.config = generator.config.model_copy(update={"service": section})
    return Service(generator, RenderingConfig(width_px=160, height_px=120), ("stand", "walk"))
