# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""
A small anchor-free detector with two sets of heads.

One set learns from many anchor points per object and needs non-maximum suppression afterwards; the
other learns from one point per object and does not.
"""

from typing import NamedTuple

import torch
from torch import nn, Tensor

__all__ = ['decode_boxes', 'DemoDetector', 'grid_points', 'HeadOutput', 'STRIDES']

STRIDES = (8, 16, 32)
_BINS = 16


class HeadOutput(NamedTuple):
    """Logits of one set of heads: (batch, points, 4, bins) distances, (batch, points, classes)."""

    distances: Tensor
    scores: Tensor


def _conv(
    inputs: int, outputs: int, kernel: int = 1, stride: int = 1, groups: int = 1
) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs, eps=1e-3, momentum=0.03),
        nn.ReLU(inplace=True),
    )


def _separable(inputs: int, outputs: int, stride: int = 1, kernel: int = 3) -> nn.Sequential:
    return nn.Sequential(_conv(inputs, inputs, kernel, stride, inputs), _conv(inputs, outputs))


class _Residual(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(_conv(channels, channels, 3), _conv(channels, channels, 3))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)


class _Stage(nn.Module):
    """Half of the channels pass through residual blocks; every block's output is kept."""

    def __init__(self, channels: int, depth: int) -> None:
        super().__init__()
        half = channels // 2
        self.keep, self.work = _conv(channels, half), _conv(channels, half)
        self.blocks = nn.ModuleList(_Residual(half) for _ in range(depth))
        self.merge = _conv(half * (depth + 2), channels)

    def forward(self, x: Tensor) -> Tensor:
        parts = [self.keep(x), self.work(x)]
        for block in self.blocks:
            parts.append(block(parts[-1]))
        return self.merge(torch.cat(parts, 1))


class _Pooled(nn.Module):
    """Widen the view by pooling three times in a row."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        half = channels // 2
        self.enter, self.merge = _conv(channels, half), _conv(half * 4, channels)
        self.pool = nn.MaxPool2d(5, 1, 2)

    def forward(self, x: Tensor) -> Tensor:
        parts = [self.enter(x)]
        for _ in range(3):
            parts.append(self.pool(parts[-1]))
        return self.merge(torch.cat(parts, 1))


class _Neck(nn.Module):
    """Carry coarse features to the fine levels and back."""

    def __init__(self, inputs: tuple[int, int, int], width: int) -> None:
        super().__init__()
        self.lateral = nn.ModuleList(_conv(channels, width) for channels in inputs)
        self.down = nn.ModuleList(_separable(width, width, 2, 5) for _ in range(2))
        self.mix = nn.ModuleList(
            nn.Sequential(_separable(2 * width, width, 1, 5), _separable(width, width))
            for _ in range(4)
        )
        self.up = nn.Upsample(scale_factor=2.0, mode='nearest')

    def forward(self, features: list[Tensor]) -> list[Tensor]:
        fine, middle, coarse = (layer(f) for layer, f in zip(self.lateral, features, strict=True))
        middle = self.mix[0](torch.cat([middle, self.up(coarse)], 1))
        fine = self.mix[1](torch.cat([fine, self.up(middle)], 1))
        middle = self.mix[2](torch.cat([self.down[0](fine), middle], 1))
        coarse = self.mix[3](torch.cat([self.down[1](middle), coarse], 1))
        return [fine, middle, coarse]


class _Heads(nn.Module):
    """One set of heads: distances to the four sides as distributions, and class scores."""

    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        self.classes = classes
        self.sides = nn.ModuleList(
            nn.Sequential(
                _separable(width, width, 1, 5),
                _separable(width, width),
                nn.Conv2d(width, 4 * _BINS, 1),
            )
            for _ in STRIDES
        )
        self.scores = nn.ModuleList(
            nn.Sequential(
                _separable(width, width), _separable(width, width), nn.Conv2d(width, classes, 1)
            )
            for _ in STRIDES
        )
        for head in self.scores:
            nn.init.constant_(head[-1].bias, -5.5)
        for head in self.sides:
            nn.init.constant_(head[-1].bias, 1.0)

    def forward(self, features: list[Tensor]) -> HeadOutput:
        sides = torch.cat([h(f).flatten(2) for h, f in zip(self.sides, features, strict=True)], 2)
        scores = torch.cat(
            [h(f).flatten(2) for h, f in zip(self.scores, features, strict=True)], 2
        )
        sides = sides.transpose(1, 2).reshape(-1, sides.shape[2], 4, _BINS)
        return HeadOutput(sides, scores.transpose(1, 2))


class DemoDetector(nn.Module):
    """
    Backbone, neck and both sets of heads.

    :param classes: number of classes.
    :param widths: channels at strides 2, 4, 8, 16 and 32.
    """

    def __init__(
        self, classes: int, widths: tuple[int, ...] = (16, 32, 64, 96, 128), neck: int = 64
    ) -> None:
        super().__init__()
        two, four, eight, sixteen, thirty_two = widths
        self.stem = nn.Sequential(_conv(3, two, 3, 2), _conv(two, four, 3, 2), _Stage(four, 1))
        self.stages = nn.ModuleList(
            [
                nn.Sequential(_conv(four, eight, 3, 2), _Stage(eight, 2)),
                nn.Sequential(_conv(eight, sixteen, 3, 2), _Stage(sixteen, 2)),
                nn.Sequential(
                    _conv(sixteen, thirty_two, 3, 2), _Stage(thirty_two, 1), _Pooled(thirty_two)
                ),
            ]
        )
        self.neck = _Neck((eight, sixteen, thirty_two), neck)
        self.many = _Heads(neck, classes)
        self.one = _Heads(neck, classes)

    def features(self, images: Tensor) -> list[Tensor]:
        """Return the neck's three levels for (batch, 3, height, width) RGB in 0..1."""
        x = self.stem(images)
        levels = []
        for stage in self.stages:
            x = stage(x)
            levels.append(x)
        return self.neck(levels)

    def forward(self, images: Tensor) -> tuple[HeadOutput, HeadOutput]:
        features = self.features(images)
        return self.many(features), self.one(features)


def grid_points(
    height: int, width: int, device: torch.device | str = 'cpu'
) -> tuple[Tensor, Tensor]:
    """Return (points, 2) centers x, y in pixels and (points, 1) strides, finest level first."""
    points, strides = [], []
    for stride in STRIDES:
        y = (torch.arange(height // stride, device=device) + 0.5) * stride
        x = (torch.arange(width // stride, device=device) + 0.5) * stride
        grid = torch.stack(torch.meshgrid(y, x, indexing='ij')[::-1], -1).reshape(-1, 2)
        points.append(grid)
        strides.append(torch.full((len(grid), 1), float(stride), device=device))
    return torch.cat(points), torch.cat(strides)


def decode_boxes(distances: Tensor, points: Tensor, strides: Tensor) -> Tensor:
    """
    Turn distributions into boxes.

    :param distances: (batch, points, 4, bins) logits.
    :return: (batch, points, 4) x1, y1, x2, y2 in pixels of the input.
    """
    bins = torch.arange(_BINS, dtype=distances.dtype, device=distances.device)
    sides = (distances.softmax(-1) * bins).sum(-1) * strides
    return torch.cat([points - sides[..., :2], points + sides[..., 2:]], -1)
