"""The loss terms: pure functions of tensors, each summed with its own weights and divided by a count that the caller gives.

The count is that of the whole optimiser step, so that micro-batches and processes add up to exactly the same loss.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F


class Counts(NamedTuple):
    """How many frames of an optimiser step each term averages over (a frame of each person counts).

    frames    present                        steps     with the next frame
    bends     with both neighbours           labelled  with a known action that was hidden from the input
    """

    frames: int
    steps: int
    bends: int
    labelled: int

    def __add__(self, other: "Counts") -> "Counts":  # type: ignore[override]
        return Counts(*(a + b for a, b in zip(self, other, strict=True)))


def tempered(error: Tensor) -> Tensor:
    """Squared error near zero, twice the distance far out: differences over 1/25 s amplify small jitter by hundreds."""
    return 2 * ((1 + error.square()).sqrt() - 1)


def averaged(values: Tensor, keep: Tensor, weight: Tensor, count: int) -> Tensor:
    """values [B,T,A], keep [B,T,A] bool, weight [B] -> []: sum over kept values over the count."""
    return (torch.where(keep, values, 0.0) * weight[:, None, None]).sum() / max(count, 1)


def pose_error(predicted: Tensor, motion: Tensor, valid: Tensor, weight: Tensor, count: int) -> Tensor:
    """Squared error of the clean motion: [B,T,A,W] twice, [B,T,A], [B] -> []. The mean motion scores 1."""
    return averaged((predicted - motion).square().mean(-1), valid, weight, count)


def both(valid: Tensor) -> Tensor:
    """[B,T,A] -> [B,T-1,A]: a frame and the next."""
    return valid[:, 1:] & valid[:, :-1]


def inner(valid: Tensor) -> Tensor:
    """[B,T,A] -> [B,T-2,A]: a frame and both its neighbours."""
    return valid[:, 2:] & valid[:, 1:-1] & valid[:, :-2]


def temporal_error(
    predicted: Tensor, motion: Tensor, valid: Tensor, weight: Tensor, counts: Counts, step_std: Tensor, bend_std: Tensor, bend_share: float
) -> Tensor:
    """Error of first differences, plus a share of second ones, each over its spread in the data.

    Matches motion, never rewards stillness: on a moving clip a frozen prediction scores worse than the truth.
    """
    wrong = predicted - motion
    steps = averaged(tempered(wrong.diff(dim=1) / step_std).mean(-1), both(valid), weight, counts.steps)
    if motion.shape[1] < 3 or not bend_share:
        return steps
    bends = averaged(tempered(wrong.diff(n=2, dim=1) / bend_std).mean(-1), inner(valid), weight, counts.bends)
    return steps + bend_share * bends


def action_error(logits: Tensor, actions: Tensor, valid: Tensor, hidden: Tensor, weight: Tensor, count: int) -> Tensor:
    """Cross-entropy over ln K (a blind guess scores 1), only on frames whose label the input did not show.

    logits [B,T,A,K], actions [B,T,A] long (-1 unknown), hidden [B] bool.
    """
    asked = valid & (actions >= 0) & hidden[:, None, None]
    entropy = F.cross_entropy(logits.float().flatten(0, 2), actions.clamp(min=0).flatten(), reduction="none")
    blind_guess = math.log(logits.shape[-1])
    return averaged(entropy.view(actions.shape) / blind_guess, asked, weight, count)


def physics_error(predicted: Tensor, physics: Tensor, keep: Tensor, weight: Tensor, count: int) -> Tensor:
    """Error of the six standardised physics numbers: [B,T,A,6] twice, [B,T,A], [B] -> []."""
    return averaged(tempered(predicted - physics).mean(-1), keep, weight, count)
