"""Prompt to motion: a checkpoint, its own text encoder, the sampler, and the gate that judges what comes out.

The same request gives the same bits: noise is drawn by name from (seed, prompt, its place in the batch, attempt), never from a global stream.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from stickgen_core.curation.config import SafetyConfig
from stickgen_core.curation.safety import SafetyResult
from stickgen_core.errors import MissingInput, StickgenError
from stickgen_core.generation.conditions import Conditioner
from stickgen_core.generation.config import GenerationConfig
from stickgen_core.generation.draw import draw
from stickgen_core.generation.gate import Gate
from stickgen_core.generation.request import Limits, Plan, Request, settle
from stickgen_core.generation.timed import agreeing, stitched
from stickgen_core.model.denoiser import Denoiser
from stickgen_core.model.normalise import Normaliser, Statistics
from stickgen_core.records.manifest import find_manifest
from stickgen_core.records.seeds import generator
from stickgen_core.rendering.scene import Caption, Scene, scene_of_motion
from stickgen_core.skeleton import physics
from stickgen_core.text.config import TextConfig
from stickgen_core.text.encoders import Encoder, encoder_for
from stickgen_core.training.checkpoints import checkpoint_file, load_model
from stickgen_core.training.config import RunConfig

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Generated:
    """motion [T, A, W] and physics [T, A, 6] float32 in metres, camera [T, 3], actions [T, A] as asked.

    accepted   False: the gate rejected all `attempts` samples; this is the one it minded least, `reason` says why
    preview    the one-step conditional mean, not a sample: never measure it
    captions   what holds when: one for an ordinary prompt, one a part for a timed one
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
    captions: tuple[Caption, ...] = ()


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
        self.limits = Limits(self.fps, run.data.max_frames, run.model.max_actors, run.model.num_actions, model.multimodal)
        self._conditions = Conditioner(encoder, run.data.parallax_image_size, config, self.device)

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

    def plans(self, request: Request) -> list[Plan]:
        """The request with every bound held; raises the one line that says what is wrong with it."""
        return settle(request, self.config, self.run.sampler, self.limits)

    def generate(self, request: Request | str | Sequence[str], progress: Progress | None = None, **values: Any) -> list[Generated]:
        """One motion a prompt; a rejected one is drawn again up to `max_attempts` times, then returned with its reason or refused.

        progress   ("attempt n", steps done, steps) while sampling; an exception from it ends the work
        """
        if not isinstance(request, Request):
            request = Request((request,) if isinstance(request, str) else tuple(request), **values)
        results: dict[int, Generated] = {}
        for plan in self.plans(request):
            results |= self._fulfilled(plan, progress)
        return [results[place] for place in sorted(results)]

    def check_motion_safety(self, motion: Any) -> SafetyResult:
        """The gate's verdict on any motion [T, W] or [T, A, W] in metres, array or tensor."""
        return self.gate.judge(motion.detach().cpu().numpy() if isinstance(motion, torch.Tensor) else np.asarray(motion), self.fps)

    def scene(self, result: Generated, action_names: Sequence[str] = ()) -> Scene:
        """The result ready to be drawn or written as a `.motion` file; a camera is kept only where one was asked for."""
        moving = bool(np.ptp(result.camera, axis=0).any())
        meta = {"source": "generated", "prompt": result.prompt, "seed": result.seed, "model": self.run.name, "checkpoint": self.digest}
        meta |= {"preview": result.preview, "accepted": result.accepted} | ({"reason": result.reason} if result.reason else {})
        return scene_of_motion(
            result.motion, result.fps, result.captions or result.prompt, id=f"{self.run.name}-{result.seed}", physics=result.physics,
            action_names=action_names, actions=result.actions if (result.actions >= 0).any() else None,
            camera=result.camera if moving else None, meta=meta,
        )  # fmt: skip

    def _fulfilled(self, plan: Plan, progress: Progress | None) -> dict[int, Generated]:
        """Results by their place in the request; of several rejected samples the best one stays."""
        best: dict[int, Generated] = {}
        still_open = list(range(len(plan.prompts)))
        vectors = self._conditions.vectors([window.text for window in plan.windows] or plan.prompts)
        for attempt in range(self.config.max_attempts if self.enable_safety_check else 1):
            label = f"attempt {attempt + 1}"
            watch = None if progress is None else lambda done, total, label=label: progress(label, done, total)
            motions = (
                self._timeline(plan, vectors, attempt, watch) if plan.windows else self._batch(plan, still_open, vectors, attempt, watch)
            )
            for n, motion in zip(still_open, motions, strict=True):
                found = self._judged(plan, n, motion)
                best[n] = replace(found if n not in best else max(best[n], found, key=_standing), attempts=attempt + 1)
            still_open = [n for n in still_open if not best[n].accepted]
            if not still_open:
                break
        refused = next((result for result in best.values() if not result.accepted), None)
        if refused and plan.refuse:
            raise StickgenError(f"prompt {refused.prompt!r}: rejected {refused.attempts} times by the safety gate: {refused.reason}")
        return {plan.places[n]: result for n, result in best.items()}

    def _batch(self, plan: Plan, chosen: list[int], vectors: np.ndarray, attempt: int, watch: Any) -> np.ndarray:
        """[len(chosen), T, A, W] float32 metres."""
        shape = (plan.frames, plan.actors, self.run.model.input_dim)
        noise = np.stack([generator(plan.seed, "noise", plan.prompts[n], plan.places[n], attempt).standard_normal(shape) for n in chosen])
        texts = [plan.prompts[n] for n in chosen]
        asked = self._conditions.of(plan, texts, vectors[chosen], [(0, plan.frames)] * len(chosen))
        against = self._conditions.against(plan, asked)
        found = draw(self.model, self.run.objective, plan.sampler, asked, self._conditions.tensor(noise), negative=against, watch=watch)
        return self.normaliser.metres(found).float().cpu().numpy()

    def _timeline(self, plan: Plan, vectors: np.ndarray, attempt: int, watch: Any) -> np.ndarray:
        """[1, T, A, W]: the windows of a timed prompt drawn together over one timeline of noise."""
        width, longest = self.run.model.input_dim, max(window.stop - window.start for window in plan.windows)
        line = generator(plan.seed, "noise", plan.prompts[0], plan.places[0], attempt).standard_normal((plan.frames, plan.actors, width))
        noise = np.zeros((len(plan.windows), longest, plan.actors, width))
        valid = torch.zeros(noise.shape[:3], dtype=torch.bool, device=self.device)
        for n, window in enumerate(plan.windows):
            noise[n, : window.stop - window.start] = line[window.start : window.stop]
            valid[n, : window.stop - window.start] = True
        asked = self._conditions.of(plan, [w.text for w in plan.windows], vectors, [(w.start, w.stop) for w in plan.windows])
        against = self._conditions.against(plan, asked)
        found = draw(self.model, self.run.objective, plan.sampler, asked, self._conditions.tensor(noise), valid=valid, negative=against,
                     mend=agreeing(self.normaliser, plan.windows), watch=watch)  # fmt: skip
        metres = self.normaliser.metres(found).float()
        whole, _ = stitched([metres[n, : w.stop - w.start] for n, w in enumerate(plan.windows)], plan.windows)
        return whole.cpu().numpy()[None]

    def _judged(self, plan: Plan, n: int, motion: np.ndarray) -> Generated:
        if not np.isfinite(motion).all():
            raise StickgenError(f"prompt {plan.prompts[n]!r}: the model gave non-finite numbers; the checkpoint is not usable")
        safety = self.gate.judge(motion, self.fps) if self.enable_safety_check else None
        reason = self.gate.reason(safety) if safety else ""
        numbers = physics(motion.astype(np.float64), self.fps).astype(np.float32)
        return Generated(
            plan.prompts[n], motion, numbers, plan.camera, plan.actions, self.fps, plan.seed, not reason, reason, 1,
            not plan.sampler.use_diffusion, safety, self._captions(plan, n),
        )  # fmt: skip

    def _captions(self, plan: Plan, n: int) -> tuple[Caption, ...]:
        if not plan.windows:
            return (Caption(plan.prompts[n], 0.0, plan.frames / self.fps),) if plan.prompts[n].strip() else ()
        edges = [0, *((a.stop + b.start) // 2 for a, b in zip(plan.windows, plan.windows[1:], strict=False)), plan.frames]
        return tuple(Caption(w.text, edges[k] / self.fps, edges[k + 1] / self.fps) for k, w in enumerate(plan.windows))


def _standing(result: Generated) -> tuple[bool, float]:
    """Accepted ones first, then by the gate's score."""
    return result.accepted, result.safety.overall_score if result.safety else 1.0


def _same_encoder(file: Path, meta: dict[str, Any], encoder: Encoder) -> None:
    """Refuse an encoder whose digest differs from the one that the checkpoint or its manifest records."""
    manifest = find_manifest(file.parent)
    recorded = meta.get("encoder_digest") or (manifest.notes.get("encoder_digest") if manifest else None)
    if recorded and recorded != encoder.digest:
        raise StickgenError(
            f"{file}: trained with text encoder {str(recorded)[:12]}, text.encoder gives {encoder.digest[:12]} ({encoder.card.name}); set text.encoder"
        )
