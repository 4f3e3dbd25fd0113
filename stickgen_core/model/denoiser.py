"""The denoiser: noisy stick motion, a time and conditions in; clean motion, physics and actions out.

- one token per frame and person, people interleaved in time, a learned embedding tells them apart
- RMSNorm before each branch, SwiGLU with hidden width 4d, rotary positions (both people of a frame share one), QK-norm: 16 d^2 a layer
- bidirectional attention; absent people and padding are never attended to and their content never matters
- the text vector plus a fixed sinusoidal time code goes through the text projection; the result is the prefix token and is also
  added to every frame token (as prefix alone the text was obeyed 0.30 of the time after 500 steps, this way 0.94 after 400)
- camera, action and actor features are added to the frame tokens; a hidden action adds nothing; no text is a learned null vector
- with images: an image encoder and a fusion turn text, image and viewpoint into the vector that the projection reads
- outputs of every branch and head start at zero, so that the first prediction is the mean motion and gradients reach all of it
- three heads, each with a target: motion, physics, action
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from stickgen_core.errors import ConfigError
from stickgen_core.model.config import ModelConfig
from stickgen_core.model.images import build_fusion, build_image_encoder
from stickgen_core.skeleton.physics import PHYSICS_NAMES

CAMERA_FEATURES = ("x", "y", "zoom")


@dataclass(frozen=True)
class Conditions:
    """What the denoiser is told besides the noisy motion; every field but the text may be missing.

    text [B,E]   has_text [B] bool   actions [B,T,A] long, -1 hidden   camera [B,T,3]   image [B,3,H,W]   viewpoint [B,V]   has_image [B] bool
    """

    text: Tensor
    has_text: Tensor
    actions: Tensor | None = None
    camera: Tensor | None = None
    image: Tensor | None = None
    viewpoint: Tensor | None = None
    has_image: Tensor | None = None


@dataclass(frozen=True)
class Prediction:
    """motion [B,T,A,W] and physics [B,T,A,6] normalised, action logits [B,T,A,K], hidden [B,T,A,d] before the heads."""

    motion: Tensor
    physics: Tensor
    actions: Tensor
    hidden: Tensor


class RMSNorm(nn.Module):
    """x / rms(x) * scale over the last dimension, statistics in float32."""

    def __init__(self, width: int, eps: float):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        return F.rms_norm(x, (x.shape[-1],), self.weight.to(x.dtype), self.eps)


def rotary(positions: Tensor, head_dim: int, base: float) -> tuple[Tensor, Tensor]:
    """Cosine and sine [N, head_dim] of rotary angles for token positions [N]."""
    rates = base ** (-torch.arange(0, head_dim, 2, device=positions.device, dtype=torch.float32) / head_dim)
    angles = positions.float()[:, None] * rates
    return torch.cat([angles.cos()] * 2, -1), torch.cat([angles.sin()] * 2, -1)


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary embedding of [B,H,N,head_dim]: the two halves are the pairs' coordinates."""
    left, right = x.chunk(2, -1)
    return x * cos.to(x.dtype) + torch.cat([-right, left], -1) * sin.to(x.dtype)


class Attention(nn.Module):
    def __init__(self, config: ModelConfig):
        super().__init__()
        d = config.d_model
        self.heads, self.head_dim = config.nhead, config.head_dim
        self.query_key_value = nn.Linear(d, 3 * d)
        self.output = nn.Linear(d, d)
        self.query_norm = RMSNorm(self.head_dim, config.norm_eps)
        self.key_norm = RMSNorm(self.head_dim, config.norm_eps)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, attend: Tensor | None) -> Tensor:
        batch, tokens, width = x.shape
        split = self.query_key_value(x).view(batch, tokens, 3, self.heads, self.head_dim).permute(2, 0, 3, 1, 4)
        query, key, value = split.unbind(0)
        query, key = rotate(self.query_norm(query), cos, sin), rotate(self.key_norm(key), cos, sin)
        mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=attend)
        return self.output(mixed.transpose(1, 2).reshape(batch, tokens, width))


class SwiGLU(nn.Module):
    """Gate and value in one matrix product; no biases, as documented."""

    def __init__(self, width: int):
        super().__init__()
        self.gate_value = nn.Linear(width, 8 * width, bias=False)
        self.output = nn.Linear(4 * width, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        gate, value = self.gate_value(x).chunk(2, -1)
        return self.output(F.silu(gate) * value)


class Layer(nn.Module):
    def __init__(self, config: ModelConfig):
        super().__init__()
        self.attention_norm = RMSNorm(config.d_model, config.norm_eps)
        self.attention = Attention(config)
        self.feed_norm = RMSNorm(config.d_model, config.norm_eps)
        self.feed = SwiGLU(config.d_model)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, attend: Tensor | None) -> Tensor:
        x = x + self.dropout(self.attention(self.attention_norm(x), cos, sin, attend))
        return x + self.dropout(self.feed(self.feed_norm(x)))


class TransformerEncoder(nn.Module):
    def __init__(self, config: ModelConfig):
        super().__init__()
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.num_layers))
        self.norm = RMSNorm(config.d_model, config.norm_eps)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, attend: Tensor | None) -> Tensor:
        for layer in self.layers:
            x = layer(x, cos, sin, attend)
        return self.norm(x)


def _embedding(inputs: int, hidden: int, width: int, dropout: float) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, hidden), nn.GELU(), nn.Linear(hidden, width), nn.LayerNorm(width), nn.Dropout(dropout))


def _head(width: int, hidden: int, outputs: int, dropout: float) -> nn.Sequential:
    return nn.Sequential(nn.Linear(width, hidden), nn.GELU(), nn.Dropout(dropout), nn.Linear(hidden, outputs))


class Denoiser(nn.Module):
    """See the module's first lines; `multimodal` adds the image encoder and the fusion."""

    def __init__(self, config: ModelConfig, multimodal: bool = False):
        super().__init__()
        d, drop = config.d_model, config.dropout
        self.config, self.multimodal = config, multimodal
        self.text_projection = nn.Sequential(
            nn.Linear(config.embedding_dim, 2 * d), nn.GELU(), nn.Dropout(drop), nn.Linear(2 * d, d), nn.LayerNorm(d), nn.Dropout(drop)
        )
        self.null_text = nn.Parameter(torch.zeros(config.embedding_dim))
        self.motion_embedding = _embedding(config.input_dim, d, d, drop)
        self.action_embedding = nn.Embedding(config.num_actions, config.action_embedding_dim)
        self.action_projection = nn.Sequential(nn.Linear(config.action_embedding_dim, d), nn.LayerNorm(d), nn.Dropout(drop))
        self.camera_projection = _embedding(len(CAMERA_FEATURES), d // 4, d, drop)
        self.actor_embedding = nn.Embedding(config.max_actors, d)
        self.transformer_encoder = TransformerEncoder(config)
        self.pose_decoder = _head(d, d, config.output_dim, drop)
        self.physics_decoder = _head(d, d, len(PHYSICS_NAMES), drop)
        self.action_predictor = _head(d, d // 2, config.num_actions, drop)
        if multimodal:
            self.image_encoder = build_image_encoder(config.image_encoder, config.image_feature_dim)
            self.fusion = build_fusion(
                config.fusion, config.embedding_dim, config.image_feature_dim, config.image_camera_dim, config.embedding_dim, drop
            )
        self._initialise()

    def _initialise(self) -> None:
        """Xavier matrices, unit-scale embeddings over sqrt(d); whatever ends a branch or a head starts at zero."""
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        nn.init.normal_(self.action_embedding.weight)
        nn.init.normal_(self.actor_embedding.weight, std=0.1)
        ends = [self.pose_decoder[-1], self.physics_decoder[-1], self.action_predictor[-1]]
        for layer in self.transformer_encoder.layers:
            ends += [layer.attention.output, layer.feed.output]
        for end in ends:
            nn.init.zeros_(end.weight)

    def forward(self, noisy: Tensor, time: Tensor, conditions: Conditions, valid: Tensor | None = None) -> Prediction:
        """noisy [B,T,A,W], time [B] in [0,1] (1 is data), valid [B,T,A] bool or None where every token is real."""
        hidden = self.hidden(noisy, time, conditions, valid)
        return Prediction(self.pose_decoder(hidden), self.physics_decoder(hidden), self.action_predictor(hidden), hidden)

    def motion(self, noisy: Tensor, time: Tensor, conditions: Conditions, valid: Tensor | None = None) -> Tensor:
        """The motion alone, for sampling."""
        return self.pose_decoder(self.hidden(noisy, time, conditions, valid))

    def hidden(self, noisy: Tensor, time: Tensor, conditions: Conditions, valid: Tensor | None) -> Tensor:
        """[B,T,A,d] before the heads."""
        batch, frames, actors, _ = noisy.shape
        if actors > self.config.max_actors:
            raise ConfigError(f"{actors} people in a clip, the model knows {self.config.max_actors}; raise model.max_actors")
        condition = self.condition(time, conditions)
        x = self._frame_tokens(noisy, conditions, valid) + condition[:, None, None]
        tokens = torch.cat([condition[:, None], x.reshape(batch, frames * actors, -1)], 1)
        places = torch.arange(1, frames + 1, device=noisy.device).repeat_interleave(actors)
        cos, sin = rotary(F.pad(places, (1, 0)), self.config.head_dim, self.config.rope_base)
        attend = None if valid is None else F.pad(valid.reshape(batch, -1), (1, 0), value=True)[:, None, None]
        return self.transformer_encoder(tokens, cos, sin, attend)[:, 1:].view(batch, frames, actors, -1)

    def condition(self, time: Tensor, conditions: Conditions) -> Tensor:
        """Text (or its absence), image and time as one vector [B,d]. Unit text vectors are scaled to unit variance first."""
        text = torch.where(conditions.has_text[:, None], conditions.text * math.sqrt(self.config.embedding_dim), self.null_text)
        if self.multimodal:
            text = self._with_image(text, conditions)
        return self.text_projection(text + self.time_code(time).to(text.dtype))

    def _with_image(self, text: Tensor, conditions: Conditions) -> Tensor:
        if conditions.image is None or conditions.has_image is None or conditions.viewpoint is None:
            return text
        feature = self.image_encoder(conditions.image)
        fused = self.fusion(text, feature, conditions.viewpoint)
        return torch.where(conditions.has_image[:, None], fused, text)

    def time_code(self, time: Tensor) -> Tensor:
        """Fixed sinusoids [B,E] of times [B]: periods from 2 pi down to 2 pi / time_frequency_max, equally spaced in logarithm."""
        pairs = self.config.embedding_dim // 2
        rates = torch.logspace(0, math.log10(self.config.time_frequency_max), pairs, device=time.device)
        angles = time.float()[:, None] * rates
        return torch.cat([angles.sin(), angles.cos()], -1)

    def _frame_tokens(self, noisy: Tensor, conditions: Conditions, valid: Tensor | None) -> Tensor:
        if valid is not None:
            noisy = torch.where(valid[..., None], noisy, 0.0)
        x = self.motion_embedding(noisy) + self.actor_embedding.weight[: noisy.shape[2]]
        if conditions.camera is not None:
            x = x + self.camera_projection(conditions.camera)[:, :, None]
        if conditions.actions is not None:
            known = (conditions.actions >= 0)[..., None]
            x = x + self.action_projection(self.action_embedding(conditions.actions.clamp(min=0))) * known
        return x


def build_model(config: ModelConfig, multimodal: bool = False) -> Denoiser:
    """A fresh denoiser; refuses a size other than the one that the configuration promises."""
    model = Denoiser(config, multimodal)
    expected = config.expected_parameters.multimodal if multimodal else config.expected_parameters.motion_only
    found = sum(p.numel() for p in model.parameters())
    if expected is not None and found != expected:
        kind = "multimodal" if multimodal else "motion_only"
        raise ConfigError(
            f"model: {found:,} parameters, but model.expected_parameters.{kind} is {expected:,}; correct one or set it to null"
        )
    return model
