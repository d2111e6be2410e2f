# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Augmentation of whole batches on the device that trains."""

import torch
from torch import Tensor
import torch.nn.functional as F

from .loss import Targets

__all__ = ['augment']

_PAD = 114 / 255


def _uniform(shape: tuple[int, ...], low: float, high: float, rng: torch.Generator) -> Tensor:
    return torch.rand(shape, generator=rng, device=rng.device) * (high - low) + low


def _warp(
    images: Tensor,
    targets: Targets,
    size: tuple[int, int],
    scale: Tensor,
    flip: Tensor,
    center: Tensor,
) -> tuple[Tensor, Targets]:
    """
    Scale, mirror and place pictures on a gray canvas.

    :param images: (batch, 3, h, w) float in 0..1.
    :param size: (height, width) of the canvas.
    :param scale: (batch,) canvas pixels for one of the picture.
    :param flip: (batch,) 1 or -1; `center` (batch, 2) x, y of the picture's middle.
    """
    height, width = size
    rows, cols = images.shape[2:]
    theta = torch.zeros(len(images), 2, 3, device=images.device)
    theta[:, 0, 0] = flip * width / (scale * cols)
    theta[:, 1, 1] = height / (scale * rows)
    theta[:, 0, 2] = flip * (width - 2 * center[:, 0]) / (scale * cols)
    theta[:, 1, 2] = (height - 2 * center[:, 1]) / (scale * rows)
    grid = F.affine_grid(theta, [len(images), 3, height, width], align_corners=False)
    canvas = F.grid_sample(images - _PAD, grid, align_corners=False) + _PAD
    x = (targets.boxes[..., 0::2] - cols / 2) * (scale * flip)[:, None, None]
    y = (targets.boxes[..., 1::2] - rows / 2) * scale[:, None, None]
    x, y = x + center[:, None, :1], y + center[:, None, 1:]
    boxes = torch.stack([x.amin(-1), y.amin(-1), x.amax(-1), y.amax(-1)], -1)
    return canvas, Targets(boxes, targets.classes, targets.valid)


def _crop(targets: Targets, low: Tensor, high: Tensor, keep: float) -> Targets:
    """Cut boxes at the (batch, 2) corners; forget those of which less than `keep` is left."""
    boxes = targets.boxes
    cut = torch.cat(
        [
            torch.maximum(boxes[..., :2], low[:, None]),
            torch.minimum(boxes[..., 2:], high[:, None]),
        ],
        -1,
    )
    cut[..., 2:] = torch.maximum(cut[..., 2:], cut[..., :2])
    area = (boxes[..., 2:] - boxes[..., :2]).prod(-1)
    side = cut[..., 2:] - cut[..., :2]
    valid = targets.valid & (side.prod(-1) > keep * area) & (side.amin(-1) > 2.5)
    return Targets(cut * valid[..., None], targets.classes, valid)


def _one(
    images: Tensor, targets: Targets, size: tuple[int, int], strength: float, rng: torch.Generator
) -> tuple[Tensor, Targets]:
    """Show each picture alone, as letterboxing would, but scaled and moved at random."""
    count, height, width = len(images), *size
    fit = min(width / images.shape[3], height / images.shape[2])
    scale = fit * torch.exp(_uniform((count,), -0.5 * strength, 0.45 * strength, rng))
    flip = torch.where(_uniform((count,), 0, 1, rng) < 0.5, 1.0, -1.0)
    span = torch.stack([width - scale * images.shape[3], height - scale * images.shape[2]], 1)
    middle = torch.tensor([width / 2, height / 2], device=images.device)
    center = middle + span.abs() * _uniform((count, 2), -0.5, 0.5, rng) * min(1.0, 2 * strength)
    canvas, moved = _warp(images, targets, size, scale, flip, center)
    half = torch.stack([scale * images.shape[3], scale * images.shape[2]], 1) / 2
    low = torch.maximum(center - half, torch.zeros_like(center))
    high = torch.minimum(center + half, 2 * middle)
    return canvas, _crop(moved, low, high, 0.25)


def _four(
    images: Tensor, targets: Targets, size: tuple[int, int], rng: torch.Generator
) -> tuple[Tensor, Targets]:
    """Show four pictures of the batch at once, that meet at a random point."""
    count, height, width = len(images), *size
    full = torch.tensor([width, height], device=images.device, dtype=torch.float32)
    split = full * _uniform((count, 2), 0.3, 0.7, rng)
    canvas = torch.full((count, 3, height, width), _PAD, device=images.device)
    right = torch.arange(width, device=images.device) >= split[:, :1]
    below = torch.arange(height, device=images.device) >= split[:, 1:]
    parts = []
    for corner in range(4):
        sign = torch.tensor([corner % 2, corner // 2], device=images.device)
        low, high = split * sign, split + (full - split) * sign
        fit = min(width / images.shape[3], height / images.shape[2])
        scale = fit * _uniform((count,), 0.45, 1.0, rng)
        half = torch.stack([scale * images.shape[3], scale * images.shape[2]], 1) / 2
        middle = (low + high) / 2
        slack = (half - (high - low) / 2).clamp(0)
        center = middle + slack * _uniform((count, 2), -1, 1, rng)
        flip = torch.where(_uniform((count,), 0, 1, rng) < 0.5, 1.0, -1.0)
        roll = [torch.roll(t, corner, 0) for t in (images, *targets)]
        piece, moved = _warp(roll[0], Targets(*roll[1:]), size, scale, flip, center)
        across = right if corner % 2 else ~right
        down = below if corner // 2 else ~below
        canvas = torch.where((across[:, None, :] & down[:, :, None])[:, None], piece, canvas)
        parts.append(
            _crop(
                moved, torch.maximum(low, center - half), torch.minimum(high, center + half), 0.35
            )
        )
    merged = Targets(*(torch.cat(fields, 1) for fields in zip(*parts, strict=True)))
    order = merged.valid.to(torch.int8).argsort(dim=1, descending=True, stable=True)
    order = order[:, : targets.valid.shape[1] * 3 // 2]
    return canvas, Targets(
        merged.boxes.gather(1, order[..., None].expand(-1, -1, 4)),
        merged.classes.gather(1, order),
        merged.valid.gather(1, order),
    )


def _color(images: Tensor, strength: float, rng: torch.Generator) -> Tensor:
    count = len(images)
    gain = torch.exp(_uniform((count, 3, 1, 1), -0.08, 0.08, rng) * strength)
    light = torch.exp(_uniform((count, 1, 1, 1), -0.35, 0.35, rng) * strength)
    gray = images.mean(1, keepdim=True)
    vivid = 1 + _uniform((count, 1, 1, 1), -0.5, 0.4, rng) * strength
    images = (gray + (images - gray) * vivid) * gain * light
    middle = images.mean((1, 2, 3), keepdim=True)
    images = middle + (images - middle) * (
        1 + _uniform((count, 1, 1, 1), -0.3, 0.3, rng) * strength
    )
    noisy = (_uniform((count, 1, 1, 1), 0, 1, rng) < 0.3) * _uniform(
        (count, 1, 1, 1), 0, 0.03, rng
    )
    noise = torch.randn(images.shape, generator=rng, device=images.device)
    return (images + noise * noisy).clamp(0, 1)


def augment(
    images: Tensor,
    targets: Targets,
    size: tuple[int, int],
    strength: float,
    mosaic: float,
    rng: torch.Generator,
) -> tuple[Tensor, Targets]:
    """
    Make a training batch.

    :param images: (batch, 3, h, w) uint8 RGB.
    :param size: (height, width) of the network's input.
    :param strength: 1 for strong, 0 for plain letterboxing with mirroring.
    :param mosaic: share of the batch that shows four pictures, 0..1.
    """
    pictures = images.float() / 255
    fours = round(len(images) * mosaic)
    canvas, moved = _one(
        pictures[fours:], Targets(*(t[fours:] for t in targets)), size, strength, rng
    )
    if fours:
        many, merged = _four(pictures[:fours], Targets(*(t[:fours] for t in targets)), size, rng)
        extra = merged.valid.shape[1] - moved.valid.shape[1]
        moved = Targets(
            F.pad(moved.boxes, (0, 0, 0, extra)),
            F.pad(moved.classes, (0, extra)),
            F.pad(moved.valid, (0, extra)),
        )
        canvas = torch.cat([many, canvas])
        moved = Targets(*(torch.cat(pair) for pair in zip(merged, moved, strict=True)))
    return _color(canvas, max(strength, 0.3), rng), moved
