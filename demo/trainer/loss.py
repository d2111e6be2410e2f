# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Assignment of points to objects, and the loss."""

from typing import NamedTuple

import torch
from torch import Tensor
import torch.nn.functional as F

from .network import decode_boxes, HeadOutput

__all__ = ['Assignment', 'assign', 'detection_loss', 'Targets']

_SCORE_POWER, _IOU_POWER = 0.5, 6.0


class Targets(NamedTuple):
    """Padded truth: (batch, most, 4) boxes in pixels, (batch, most) classes and validity."""

    boxes: Tensor
    classes: Tensor
    valid: Tensor


class Assignment(NamedTuple):
    """For every point: its (batch, points) object, and how good a match it is, 0 if none."""

    index: Tensor
    weight: Tensor


def _pair_iou(a: Tensor, b: Tensor) -> Tensor:
    """Return the IoU of boxes that broadcast against each other, (..., 4) each."""
    wide = (torch.minimum(a[..., 2], b[..., 2]) - torch.maximum(a[..., 0], b[..., 0])).clamp(0)
    high = (torch.minimum(a[..., 3], b[..., 3]) - torch.maximum(a[..., 1], b[..., 1])).clamp(0)
    shared = wide * high
    areas = (a[..., 2] - a[..., 0]) * (a[..., 3] - a[..., 1]) + (b[..., 2] - b[..., 0]) * (
        b[..., 3] - b[..., 1]
    )
    return shared / (areas - shared).clamp(1e-6)


@torch.no_grad()
def assign(
    boxes: Tensor, scores: Tensor, points: Tensor, strides: Tensor, targets: Targets, count: int
) -> Assignment:
    """
    Assign to each object the `count` points that predict it best.

    A point stands for candidates inside the object's box, or within one stride of its center so
    that thin objects have some. The quality of a prediction is score^0.5 * iou^6; a point that
    is a candidate of several objects goes to the one with the largest overlap.

    :param boxes: (batch, points, 4) predicted; `scores` (batch, points, classes) in 0..1.
    """
    iou = _pair_iou(boxes[:, None], targets.boxes[:, :, None])
    wanted = targets.classes[:, :, None].expand(-1, -1, boxes.shape[1])
    score = scores.transpose(1, 2).gather(1, wanted)
    x, y, reach = points[:, 0], points[:, 1], strides[:, 0]
    x1, y1, x2, y2 = (targets.boxes[:, :, i, None] for i in range(4))
    inside = (x > x1) & (x < x2) & (y > y1) & (y < y2)
    near = ((x - (x1 + x2) / 2).abs() < reach) & ((y - (y1 + y2) / 2).abs() < reach)
    able = (inside | near) & targets.valid[:, :, None]
    quality = score.pow(_SCORE_POWER) * iou.pow(_IOU_POWER) * able
    best, at = (quality + able * 1e-12).topk(count, -1)
    chosen = torch.zeros_like(quality).scatter_(-1, at, (best > 0).to(quality.dtype))
    index = (chosen * (iou + 1e-6)).argmax(1)
    mine = F.one_hot(index, targets.boxes.shape[1]).transpose(1, 2).to(quality.dtype) * chosen
    quality = quality * mine
    top_quality = quality.amax(-1, keepdim=True).clamp(1e-12)
    top_iou = (iou * mine).amax(-1, keepdim=True)
    return Assignment(index, (quality / top_quality * top_iou).amax(1))


def _box_cost(predicted: Tensor, truth: Tensor) -> Tensor:
    """Return 1 - CIoU of (n, 4) boxes."""
    iou = _pair_iou(predicted, truth)
    hull = torch.maximum(predicted[:, 2:], truth[:, 2:]) - torch.minimum(
        predicted[:, :2], truth[:, :2]
    )
    diagonal = hull.pow(2).sum(-1).clamp(1e-6)
    apart = (predicted[:, :2] + predicted[:, 2:] - truth[:, :2] - truth[:, 2:]).pow(2).sum(-1) / 4
    size, true_size = predicted[:, 2:] - predicted[:, :2], truth[:, 2:] - truth[:, :2]
    angle = torch.atan(true_size[:, 0] / true_size[:, 1].clamp(1e-6)) - torch.atan(
        size[:, 0] / size[:, 1].clamp(1e-6)
    )
    shape = angle.pow(2) * (4 / torch.pi**2)
    with torch.no_grad():
        pull = shape / (1 - iou + shape).clamp(1e-6)
    return 1 - iou + apart / diagonal + pull * shape


def _side_cost(logits: Tensor, sides: Tensor) -> Tensor:
    """
    Return the cross entropy against the two bins that enclose the true distances.

    :param logits: (n, 4, bins); `sides` (n, 4) in strides.
    """
    last = logits.shape[-1] - 1
    sides = sides.clamp(0, last - 0.01)
    low = sides.floor()
    share = sides - low
    logs = logits.log_softmax(-1)
    below = logs.gather(-1, low.long()[..., None])[..., 0]
    above = logs.gather(-1, low.long()[..., None] + 1)[..., 0]
    return -(below * (1 - share) + above * share).mean(-1)


def detection_loss(
    output: HeadOutput, points: Tensor, strides: Tensor, targets: Targets, count: int
) -> tuple[Tensor, Tensor]:
    """Return the loss of one set of heads and its three (class, box, side) terms."""
    logits, scores = output.distances.float(), output.scores.float()
    boxes = decode_boxes(logits, points, strides)
    found = assign(boxes.detach(), scores.detach().sigmoid(), points, strides, targets, count)
    classes = targets.classes.gather(1, found.index)
    aims = F.one_hot(classes, scores.shape[-1]).float() * found.weight[..., None]
    total = found.weight.sum().clamp(1.0)
    score_cost = F.binary_cross_entropy_with_logits(scores, aims, reduction='sum') / total
    picked = found.weight > 0
    weight = found.weight[picked]
    truth = targets.boxes.gather(1, found.index[..., None].expand(-1, -1, 4))[picked]
    box_cost = (_box_cost(boxes[picked], truth) * weight).sum() / total
    where = points.expand(len(boxes), -1, -1)[picked]
    sides = torch.cat([where - truth[:, :2], truth[:, 2:] - where], -1)
    sides = sides / strides.expand(len(boxes), -1, -1)[picked]
    side_cost = (_side_cost(logits[picked], sides) * weight).sum() / total
    loss = score_cost + 7.5 * box_cost + 1.5 * side_cost
    return loss, torch.stack([score_cost, box_cost, side_cost]).detach()
