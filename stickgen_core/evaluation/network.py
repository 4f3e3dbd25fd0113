"""The networks that judge: a text–motion network with one latent space for both (TMR's shape), and an action classifier of its own.

One token is a patch of frames of one person; two distribution tokens carry mean and log variance; padding is masked everywhere, so an
embedding does not depend on what else is in its batch.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stickgen_core.evaluation.config import EvaluatorConfig


class Block(nn.Module):
    """Pre-norm attention and feed-forward over tokens, [B,L,D] with valid [B,L]."""

    def __init__(self, width: int, heads: int, feedforward: int):
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, feedforward), nn.Linear(feedforward, width)

    def forward(self, x: Tensor, valid: Tensor) -> Tensor:
        b, length, width = x.shape
        q, k, v = self.qkv(self.norm1(x)).view(b, length, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=valid[:, None, None])
        x = x + self.out(mixed.transpose(1, 2).reshape(b, length, width))
        return x + self.down(F.gelu(self.up(self.norm2(x))))


def waves(positions: Tensor, width: int) -> Tensor:
    """Sinusoidal code of integer positions: [...] -> [..., width]."""
    rates = torch.exp(torch.arange(0, width, 2, device=positions.device) * (-math.log(10000.0) / width))
    angles = positions.unsqueeze(-1).float() * rates
    return torch.cat([angles.sin(), angles.cos()], -1)


class MotionTokens(nn.Module):
    """Patches of one person's frames as tokens: patches [B,L,P·W], place [B,L], person [B,L] -> [B,L,D]."""

    def __init__(self, patch_width: int, width: int, max_actors: int):
        super().__init__()
        self.project = nn.Linear(patch_width, width)
        self.person = nn.Embedding(max_actors, width)

    def forward(self, patches: Tensor, place: Tensor, person: Tensor) -> Tensor:
        return self.project(patches) + waves(place, self.project.out_features) + self.person(person)


class Distribution(nn.Module):
    """Tokens -> mean and log variance of a latent, read from two learned tokens put in front: [B,L,D] -> [B,D], [B,D]."""

    def __init__(self, config: EvaluatorConfig):
        super().__init__()
        self.readers = nn.Parameter(0.02 * torch.randn(2, config.width))
        self.blocks = nn.ModuleList(Block(config.width, config.heads, config.feedforward) for _ in range(config.layers))
        self.norm = nn.LayerNorm(config.width)

    def forward(self, tokens: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
        x = torch.cat([self.readers.expand(len(tokens), -1, -1), tokens], 1)
        seen = F.pad(valid, (2, 0), value=True)
        for block in self.blocks:
            x = block(x, seen)
        x = self.norm(x[:, :2])
        return x[:, 0], x[:, 1].clamp(-10, 10)


class TextMotion(nn.Module):
    """Both encoders and the decoder that keeps the latent about motion (TMR found that the reconstruction matters)."""

    def __init__(self, config: EvaluatorConfig, patch_width: int, words: int, state_width: int = 0):
        super().__init__()
        self.motion_tokens = MotionTokens(patch_width, config.width, config.max_actors)
        self.motion_encoder = Distribution(config)
        self.words = nn.Linear(state_width, config.width) if state_width else nn.Embedding(words, config.width)
        self.text_encoder = Distribution(config)
        self.place = nn.Embedding(config.max_actors, config.width)
        self.decoder = nn.ModuleList(Block(config.width, config.heads, config.feedforward) for _ in range(config.decoder_layers))
        self.draw = nn.Linear(config.width, patch_width)

    def encode_motion(self, patches: Tensor, place: Tensor, person: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
        return self.motion_encoder(self.motion_tokens(patches, place, person), valid)

    def encode_text(self, words: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
        """Word numbers [B,L], or a language model's states [B,L,H] -> mean and log variance."""
        place = torch.arange(words.shape[1], device=words.device)
        tokens = self.words(words)
        return self.text_encoder(tokens + waves(place, tokens.shape[-1]), valid)

    def decode(self, latent: Tensor, place: Tensor, person: Tensor, valid: Tensor) -> Tensor:
        """A latent -> the patches it stands for: [B,D] -> [B,L,P·W]."""
        x = latent[:, None] + waves(place, latent.shape[-1]) + self.place(person)
        for block in self.decoder:
            x = block(x, valid)
        return self.draw(x)


class ActionClassifier(nn.Module):
    """Motion tokens -> logits over actions, by attention and a masked mean."""

    def __init__(self, config: EvaluatorConfig, patch_width: int, actions: int):
        super().__init__()
        width = config.classifier_width
        self.tokens = MotionTokens(patch_width, width, config.max_actors)
        self.blocks = nn.ModuleList(Block(width, config.heads, 2 * width) for _ in range(config.classifier_layers))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, actions)

    def forward(self, patches: Tensor, place: Tensor, person: Tensor, valid: Tensor) -> Tensor:
        x = self.tokens(patches, place, person)
        for block in self.blocks:
            x = block(x, valid)
        weights = valid[..., None].to(x.dtype)
        return self.head(self.norm((x * weights).sum(1) / weights.sum(1).clamp(min=1)))


def contrastive(text: Tensor, motion: Tensor, same: Tensor, temperature: float) -> Tensor:
    """Symmetric InfoNCE on cosines; pairs whose captions say the same are not negatives: [B,D], [B,D], bool [B,B] -> []."""
    logits = F.normalize(text, dim=-1) @ F.normalize(motion, dim=-1).T / temperature
    own = torch.eye(len(logits), dtype=torch.bool, device=logits.device)
    logits = logits.masked_fill(same & ~own, -1e4)
    target = torch.arange(len(logits), device=logits.device)
    return (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2


def divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL of a diagonal Gaussian from the unit one, mean over entries."""
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).mean()
