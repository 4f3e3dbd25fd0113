"""Image encoders and fusions: a rendered view, its viewpoint and the text become the one vector that conditions the denoiser.

Group normalisation stands where batch normalisation is usual, at the same parameter count: a prediction must not depend on
its batch neighbours, nor on how a batch is split over processes.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from stickgen_core.model.config import FusionName, ImageEncoderName

RGB = 3
GROUPS = 8


def build_image_encoder(name: ImageEncoderName, features: int) -> nn.Module:
    """image [B,3,H,W] -> [B,features]."""
    return {"lightweight_cnn": LightweightCnn, "resnet": ResNet18, "mini_vit": MiniVit}[name](features)


def build_fusion(name: FusionName, text: int, image: int, viewpoint: int, output: int, dropout: float) -> nn.Module:
    """(text [B,text], image [B,image], viewpoint [B,viewpoint]) -> [B,output]."""
    return {"gated": Gated, "concat": Concat, "film": Film, "cross_attention": CrossAttention}[name](
        text, image, viewpoint, output, dropout
    )


def _conv(inputs: int, outputs: int, kernel: int, stride: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False), nn.GroupNorm(GROUPS, outputs))


class LightweightCnn(nn.Sequential):
    """Five stride-2 convolutions to 512 channels, pooled (2.1M at 1,024 features)."""

    CHANNELS = (32, 64, 128, 256, 512)

    def __init__(self, features: int):
        blocks: list[nn.Module] = []
        before = RGB
        for n, channels in enumerate(self.CHANNELS):
            blocks += [_conv(before, channels, 7 if n == 0 else 3, 2), nn.GELU()]
            before = channels
        super().__init__(*blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(before, features), nn.LayerNorm(features))


class ResidualBlock(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int):
        super().__init__()
        self.first, self.second = _conv(inputs, outputs, 3, stride), _conv(outputs, outputs, 3, 1)
        self.skip = nn.Identity() if inputs == outputs and stride == 1 else _conv(inputs, outputs, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        return F.gelu(self.skip(x) + self.second(F.gelu(self.first(x))))


class ResNet18(nn.Sequential):
    """The 18-layer residual layout, from scratch (11.7M at 1,024 features)."""

    WIDTHS = (64, 128, 256, 512)

    def __init__(self, features: int):
        stages: list[nn.Module] = [_conv(RGB, self.WIDTHS[0], 7, 2), nn.GELU(), nn.MaxPool2d(3, 2, 1)]
        before = self.WIDTHS[0]
        for n, width in enumerate(self.WIDTHS):
            stages += [ResidualBlock(before, width, 1 if n == 0 else 2), ResidualBlock(width, width, 1)]
            before = width
        super().__init__(*stages, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(before, features), nn.LayerNorm(features))


class MiniVit(nn.Module):
    """16-pixel patches, five pre-norm layers of width 256, fixed 2-D positions for any image size (4.4M, within the documented 4–5M)."""

    PATCH, WIDTH, LAYERS, HEADS = 16, 256, 5, 8

    def __init__(self, features: int):
        super().__init__()
        self.patches = nn.Conv2d(RGB, self.WIDTH, self.PATCH, self.PATCH)
        layer = nn.TransformerEncoderLayer(
            self.WIDTH, self.HEADS, 4 * self.WIDTH, 0.0, "gelu", batch_first=True, norm_first=True
        )  # fmt: skip
        self.layers = nn.TransformerEncoder(layer, self.LAYERS, nn.LayerNorm(self.WIDTH), enable_nested_tensor=False)
        self.output = nn.Linear(self.WIDTH, features)

    def forward(self, image: Tensor) -> Tensor:
        grid = self.patches(image)
        tokens = grid.flatten(2).transpose(1, 2) + self._positions(grid.shape[-2], grid.shape[-1], grid.device)
        return self.output(self.layers(tokens).mean(1))

    def _positions(self, rows: int, columns: int, device: torch.device) -> Tensor:
        """Half of the width codes the row, half the column."""
        quarter = self.WIDTH // 4
        rates = torch.exp(-math.log(1e4) * torch.arange(quarter, device=device) / quarter)

        def code(count: int) -> Tensor:
            angles = torch.arange(count, device=device)[:, None] * rates
            return torch.cat([angles.sin(), angles.cos()], -1)

        down, right = code(rows), code(columns)
        return torch.cat([down.repeat_interleave(columns, 0), right.repeat(rows, 1)], -1)


def _viewpoint(inputs: int, hidden: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, hidden), nn.GELU(), nn.Linear(hidden, outputs))


class Gated(nn.Module):
    """Each modality projected, weighed by its own sigmoid gate, summed (2.4M)."""

    def __init__(self, text: int, image: int, viewpoint: int, output: int, dropout: float):
        super().__init__()
        self.projections = nn.ModuleList([nn.Linear(text, output), nn.Linear(image, output), _viewpoint(viewpoint, output // 4, output)])
        self.gates = nn.ModuleList(nn.Linear(width, 1) for width in (text, image, viewpoint))
        self.norm, self.dropout = nn.LayerNorm(output), nn.Dropout(dropout)

    def forward(self, text: Tensor, image: Tensor, viewpoint: Tensor) -> Tensor:
        parts = zip(self.gates, self.projections, (text, image, viewpoint), strict=True)
        return self.dropout(self.norm(sum(torch.sigmoid(gate(x)) * project(x) for gate, project, x in parts)))


class Concat(nn.Module):
    """All three side by side through a two-layer network (6.3M; the documented 2.1M would need a hidden width near 680)."""

    def __init__(self, text: int, image: int, viewpoint: int, output: int, dropout: float):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(text + image + viewpoint, 2 * output),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(2 * output, output),
            nn.LayerNorm(output),
        )

    def forward(self, text: Tensor, image: Tensor, viewpoint: Tensor) -> Tensor:
        return self.layers(torch.cat([text, image, viewpoint], -1))


class Film(nn.Module):
    """The text's features scaled and shifted by image and viewpoint (4.2M; the documented 2.2M is half of one scale-and-shift pair)."""

    def __init__(self, text: int, image: int, viewpoint: int, output: int, dropout: float):
        super().__init__()
        self.text = nn.Linear(text, output)
        self.image_scale, self.image_shift = nn.Linear(image, output), nn.Linear(image, output)
        self.view_scale, self.view_shift = _viewpoint(viewpoint, output // 2, output), _viewpoint(viewpoint, output // 2, output)
        self.norm, self.dropout = nn.LayerNorm(output), nn.Dropout(dropout)

    def forward(self, text: Tensor, image: Tensor, viewpoint: Tensor) -> Tensor:
        scale = 1 + self.image_scale(image) + self.view_scale(viewpoint)
        return self.dropout(self.norm(self.text(text) * scale + self.image_shift(image) + self.view_shift(viewpoint)))


class CrossAttention(nn.Module):
    """The text asks the three modalities, then a feed-forward network (15.0M)."""

    HEADS = 8

    def __init__(self, text: int, image: int, viewpoint: int, output: int, dropout: float):
        super().__init__()
        self.text, self.image = nn.Linear(text, output), nn.Linear(image, output)
        self.viewpoint = _viewpoint(viewpoint, output // 4, output)
        self.attention = nn.MultiheadAttention(output, self.HEADS, dropout, batch_first=True)
        self.feed = nn.Sequential(nn.Linear(output, 4 * output), nn.GELU(), nn.Dropout(dropout), nn.Linear(4 * output, output))
        self.attention_norm, self.feed_norm = nn.LayerNorm(output), nn.LayerNorm(output)

    def forward(self, text: Tensor, image: Tensor, viewpoint: Tensor) -> Tensor:
        tokens = torch.stack([self.text(text), self.image(image), self.viewpoint(viewpoint)], 1)
        query = tokens[:, :1]
        x = self.attention_norm(query + self.attention(query, tokens, tokens, need_weights=False)[0])[:, 0]
        return self.feed_norm(x + self.feed(x))
