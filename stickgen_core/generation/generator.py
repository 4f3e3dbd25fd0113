"""Prompt to motion: a checkpoint, its own text encoder, the sampler, and the gate that judges what comes out.

The same request gives the same bits: noise is drawn by name from (seed, prompt, its place in the batch, attempt), never from a global stream.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from stickgen_core.curation.config import SafetyConfig
from stickgen_core.curation.safety import SafetyResult
from stickgen_core.errors import MissingInput, StickgenError
from stickgen_core.generation.config import GenerationConfig
from stickgen_core.generation.gate import Gate
from stickgen_core.generation.request import Plan, Request, settle
from stickgen_core.model.denoiser import Conditions, Denoiser
from stickgen_core.model.normalise import Normaliser, Statistics
from stickgen_core.model.sampler import sample
from stickgen_core.records.manifest import find_manifest
from stickgen_core.records.seeds import generator
from stickgen_core.rendering.scene import Scene, scene_of_motion
from stickgen_core.skeleton import physics
from stickgen_core.text.config import TextConfig
from stickgen_core.text.encoders import Encoder, encoder_for
from stickgen_core.training.checkpoints import checkpoint_file, load_model
from stickgen_core.training.config import RunConfig

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Generated:
    """motion [T, A, W] and physics [T, A, 6] float32 in metres, camera [T, 3], actions [T, A] as asked.

    accepted   False: rejected by the gate `attempts` times, `reason` says why for the one returned
    preview    the one-step conditional mean, not a sample: never measure it
    """

    prompt: str
    motion: np.ndarray
    physics: np.ndarray
    camera: np.ndarray
    actions: np.ndarray
    fps: float
    seed: int
    accepted: bool
    reason: str
    attempts: int
    preview: bool
    safety: SafetyResult | None


class Generator:
    """A loaded checkpoint that answers requests; holds no state that a request could change."""

    def __init__(self, model: Denoiser, run: RunConfig, statistics: Statistics, encoder: Encoder, config: GenerationConfig,
                 safety: SafetyConfig | None = None, *, enable_safety_check: bool = True, device: str = "cpu", digest: str = ""):  # fmt: skip
        if encoder.width != run.model.embedding_dim:
            raise StickgenError(
                f"text encoder gives {encoder.width} numbers, the checkpoint expects {run.model.embedding_dim}; set text.encoder"
            )
        self.model, self.run, self.encoder, self.config = model.to(device).eval(), run, encoder, config
        self.normaliser, self.fps, self.device = Normaliser(statistics, device), float(statistics.fps), torch.device(device)
        self.gate, self.enable_safety_check, self.digest = Gate(config, safety or SafetyConfig()), enable_safety_check, digest

    @classmethod
    def from_checkpoint(cls, path: Path, config: GenerationConfig, text: TextConfig, safety: SafetyConfig | None = None, *,
                        enable_safety_check: bool = True, device: str = "cpu", encoder: Encoder | None = None) -> "Generator":  # fmt: skip
        """Load a checkpoint's folder or file with the encoder it was trained with; without one say how to make it."""
        path = Path(path)
        try:
            file = checkpoint_file(path)
        except MissingInput:
            raise MissingInput(f"{path}: no trained model here; make one with `stickgen build` (or `make demo`) and try again") from None
        model, run, statistics, meta = load_model(file, device)
        encoder = encoder or encoder_for(text)
        _same_encoder(file, meta, encoder)
        digest = str(meta.get("weights_digest", ""))
        return cls(model, run, statistics, encoder, config, safety, enable_safety_check=enable_safety_check, device=device, digest=digest)

    def generate(self, request: Request | str | Sequence[str], progress: Progress | None = None, **values: Any) -> list[Generated]:
        """One motion a prompt; a rejected one is drawn again up to `max_attempts` times, then returned with its reason or refused."""
        if not isinstance(request, Request):
            request = Request((request,) if isinstance(request, str) else tuple(request), **values)
        plan = settle(
            request,
            self.config,
            self.run.sampler,
            self.fps,
            self.run.model.max_actors,
            self.run.data.max_frames,
            self.run.model.num_actions,
        )
        vectors = self._text(plan.prompts)
        results: list[Generated | None] = [None] * len(plan.prompts)
        open_places = list(range(len(plan.prompts)))
        for attempt in range(self.config.max_attempts if self.enable_safety_check else 1):
            motions = self._sample(plan, open_places, vectors, attempt)
            for place, motion in zip(open_places, motions, strict=True):
                results[place] = self._judged(plan, place, motion, attempt + 1)
            open_places = [place for place in open_places if not _done(results[place])]
            if progress:
                progress("generate", len(plan.prompts) - len(open_places), len(plan.prompts))
            if not open_places:
                break
        finished = [result for result in results if result is not None]
        refused = next((result for result in finished if not result.accepted), None)
        if refused and self.config.on_rejection == "refuse":
            raise StickgenError(f"prompt {refused.prompt!r}: rejected {refused.attempts} times by the safety gate: {refused.reason}")
        return finished

    def check_motion_safety(self, motion: Any) -> SafetyResult:
        """The gate's verdict on any motion [T, W] or [T, A, W] in metres, array or tensor."""
        return self.gate.judge(motion.detach().cpu().numpy() if isinstance(motion, torch.Tensor) else np.asarray(motion), self.fps)

    def scene(self, result: Generated, action_names: Sequence[str] = ()) -> Scene:
        """The result ready to be drawn or written as a `.motion` file; a camera is kept only where one was asked for."""
        moving = bool(np.ptp(result.camera, axis=0).any())
        meta = {"source": "generated", "prompt": result.prompt, "seed": result.seed, "model": self.run.name, "checkpoint": self.digest}
        meta |= {"preview": result.preview, "accepted": result.accepted} | ({"reason": result.reason} if result.reason else {})
        return scene_of_motion(
            result.motion, result.fps, result.prompt, id=f"{self.run.name}-{result.seed}", physics=result.physics, action_names=action_names,
            actions=result.actions if (result.actions >= 0).any() else None, camera=result.camera if moving else None, meta=meta,
        )  # fmt: skip

    def _text(self, prompts: Sequence[str]) -> np.ndarray:
        vectors = np.zeros((len(prompts), self.encoder.width), np.float32)
        told = [place for place, prompt in enumerate(prompts) if prompt.strip()]
        if told:
            vectors[told] = self.encoder.encode([prompts[place] for place in told])
        return vectors

    def _sample(self, plan: Plan, places: list[int], vectors: np.ndarray, attempt: int) -> np.ndarray:
        """[len(places), T, A, W] float32 metres."""
        shape = (plan.frames, plan.actors, self.run.model.input_dim)
        noise = np.stack([generator(plan.seed, "noise", plan.prompts[n], n, attempt).standard_normal(shape) for n in places])
        conditions = Conditions(
            text=self._tensor(vectors[places]),
            has_text=torch.tensor([bool(plan.prompts[n].strip()) for n in places], device=self.device),
            actions=torch.from_numpy(plan.actions).to(self.device).expand(len(places), *plan.actions.shape),
            camera=self._tensor(plan.camera).expand(len(places), *plan.camera.shape),
        )
        found = sample(self.model, self.run.objective, plan.sampler, conditions, self._tensor(noise))
        return self.normaliser.metres(found).float().cpu().numpy()

    def _tensor(self, values: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32)).to(self.device)

    def _judged(self, plan: Plan, place: int, motion: np.ndarray, attempts: int) -> Generated:
        safety = self.gate.judge(motion, self.fps) if self.enable_safety_check else None
        reason = self.gate.reason(safety) if safety else ""
        if not np.isfinite(motion).all():
            raise StickgenError(f"prompt {plan.prompts[place]!r}: the model gave non-finite numbers; the checkpoint is not usable")
        numbers = physics(motion.astype(np.float64), self.fps).astype(np.float32)
        return Generated(
            plan.prompts[place], motion, numbers, plan.camera, plan.actions, self.fps, plan.seed, not reason, reason, attempts,
            not plan.sampler.use_diffusion, safety,
        )  # fmt: skip


def _done(result: Generated | None) -> bool:
    return result is not None and result.accepted


def _same_encoder(file: Path, meta: dict[str, Any], encoder: Encoder) -> None:
    """Refuse an encoder whose digest differs from the one that the checkpoint or its manifest records."""
    manifest = find_manifest(file.parent)
    recorded = meta.get("encoder_digest") or (manifest.notes.get("encoder_digest") if manifest else None)
    if recorded and recorded != encoder.digest:
        raise StickgenError(
            f"{file}: trained with text encoder {str(recorded)[:12]}, text.encoder gives {encoder.digest[:12]} ({encoder.card.name}); set text.encoder"
        )
