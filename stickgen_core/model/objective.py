"""The objective: one noised forward pass, and the documented loss table term by term.

pose       error of the clean motion, weighted over times
temporal   error of its first and second differences
action     cross-entropy of the action head, only where the action was hidden from the input
physics    velocity, acceleration and momentum: part on the head, the rest on those derived from the predicted motion
diffusion  the same error as the path's velocity sees it: large near the data, where the last sampling steps are
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from stickgen_core.model.config import ObjectiveConfig
from stickgen_core.model.denoiser import Conditions, Denoiser
from stickgen_core.model.losses import Counts, action_error, inner, physics_error, pose_error, temporal_error
from stickgen_core.model.normalise import Normaliser, pelvis_columns
from stickgen_core.model.paths import TimeWeights, clean_from_output, coloured, noised
from stickgen_core.skeleton.physics import physics as physics_of

TERMS = ("pose", "temporal", "action", "physics", "diffusion")


@dataclass(frozen=True)
class Draws:
    """The random part of a step, drawn by clip: noise [B,T,A,W], time [B], hide_text, hide_actions, hide_camera, hide_image [B] bool."""

    noise: Tensor
    time: Tensor
    hide_text: Tensor
    hide_actions: Tensor
    hide_camera: Tensor
    hide_image: Tensor


@dataclass(frozen=True)
class Target:
    """What is to be predicted: motion [B,T,A,W] and physics [B,T,A,6] standardised, actions [B,T,A], valid [B,T,A].

    full    True if no frame of the tensor is padding (known on the host, so that no step waits for the device)
    """

    motion: Tensor
    physics: Tensor
    actions: Tensor
    valid: Tensor
    full: bool


def difference_scales(normaliser: Normaliser, floor: float) -> tuple[Tensor, Tensor, Tensor]:
    """Scales of first and second differences [W], and the share [6] of a standardised physics error that counts.

    A white error e makes first differences of e·sqrt(2) and second ones of e·sqrt(6); central differences at a frame rate f give
    e·f/sqrt(2) for velocities and e·f²·sqrt(6) for accelerations. The pelvis' spread stands for that of the mass centre.
    """
    step = (normaliser.step_std.square() + 2 * floor**2).sqrt()
    bend = (normaliser.bend_std.square() + 6 * floor**2).sqrt()
    u, v = pelvis_columns(normaliser.statistics.width)
    spread = floor * normaliser.std[[u, v]]
    rate = normaliser.fps
    caused = torch.cat([spread * rate / 2**0.5, spread * rate**2 * 6**0.5, spread * rate / 2**0.5])
    return step, bend, normaliser.physics_std / (normaliser.physics_std.square() + caused.square()).sqrt()


class Objective:
    """Config, time weights and scales, made once a run."""

    def __init__(self, config: ObjectiveConfig, normaliser: Normaliser):
        self.config, self.normaliser = config, normaliser
        self.time_weight = TimeWeights(config)
        self.step_scale, self.bend_scale, self.physics_share = difference_scales(normaliser, config.error_floor)
        self.weights = torch.tensor([getattr(config.weights, term) for term in TERMS], device=normaliser.mean.device)

    def hidden(self, conditions: Conditions, draws: Draws, camera_default: Tensor) -> Conditions:
        """The conditions with what the draws hide taken away: no text, actions −1, the default camera, no image."""
        actions, camera, has_image = conditions.actions, conditions.camera, conditions.has_image
        return Conditions(
            text=conditions.text, has_text=conditions.has_text & ~draws.hide_text,
            actions=None if actions is None else torch.where(draws.hide_actions[:, None, None], -1, actions),
            camera=None if camera is None else torch.where(draws.hide_camera[:, None, None], camera_default, camera),
            image=conditions.image, viewpoint=conditions.viewpoint, has_image=None if has_image is None else has_image & ~draws.hide_image,
        )  # fmt: skip

    def terms(self, model: Denoiser, target: Target, shown: Conditions, draws: Draws, counts: Counts) -> tuple[Tensor, Tensor]:
        """Unweighted terms [5] in the order of TERMS, and the last hidden states for gradient shares."""
        c, valid, time = self.config, target.valid, draws.time
        noisy = noised(c.path, target.motion, coloured(draws.noise, c.noise_span_frames), time)
        prediction = model(noisy, time, shown, None if target.full else valid)
        clean = clean_from_output(c.path, c.prediction, prediction.motion.float(), noisy, time)
        late = self.time_weight("auxiliary", time)
        values = [
            pose_error(clean, target.motion, valid, self.time_weight("pose", time), counts.frames),
            temporal_error(clean, target.motion, valid, late, counts, self.step_scale, self.bend_scale, c.acceleration_share),
            action_error(prediction.actions, target.actions, valid, draws.hide_actions, late, counts.labelled),
            self._physics(clean, prediction.physics.float(), target, late, counts),
            pose_error(clean, target.motion, valid, self.time_weight("diffusion", time), counts.frames),
        ]
        return torch.stack(values), prediction.hidden

    def _physics(self, clean: Tensor, head: Tensor, target: Target, late: Tensor, counts: Counts) -> Tensor:
        share = self.config.physics_head_share
        on_head = physics_error(head, target.physics, target.valid, late, counts.frames)
        if clean.shape[1] < 3:
            return share * on_head
        # The first and last frame of a stay are one-sided in the data; the neighbours' padding must not enter here.
        derived = self.normaliser.physics(physics_of(self.normaliser.metres(clean), self.normaliser.fps))[:, 1:-1] * self.physics_share
        on_motion = physics_error(derived, target.physics[:, 1:-1] * self.physics_share, inner(target.valid), late, counts.bends)
        return share * on_head + (1 - share) * on_motion
