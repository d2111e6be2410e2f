# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Sequences of pictures in which the camera and the objects of a scene move, with true ids."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .backdrop import draw_backdrop
from .camera import Camera, Floats
from .effects import photograph
from .objects import build_object, CLASS_NAMES
from .render import Layer, trace_layer
from .scene import (
    _box,
    _compose,
    _moved,
    _Plan,
    _plan,
    _visible,
    MIN_SIDE_PX,
    MIN_VISIBLE,
)
from .solids import Solid, turned

__all__ = ['render_sequence', 'SequenceFrame', 'TrackedObject']

_KINDS = 3
_NEAREST_M, _FARTHEST_M = 1.9, 9.0
# What comes closer to the camera than this is not drawn.
_CLOSEST_M = 0.4


@dataclass(frozen=True, slots=True)
class TrackedObject:
    """
    One object of a frame.

    :param track_id: number of the object in its sequence, from 1.
    :param class_id: index of CLASS_NAMES.
    :param bbox_xyxy: left, top, right, bottom in pixels, tight around its visible pixels.
    :param visible_fraction: visible share of its area, 0..1.
    :param is_counted: whether it is large and visible enough to be found; a tracker may report
        or miss the others.
    """

    track_id: int
    class_id: int
    bbox_xyxy: tuple[int, int, int, int]
    visible_fraction: float
    is_counted: bool


@dataclass(frozen=True, slots=True)
class SequenceFrame:
    """
    One picture of a sequence.

    :param stamp_s: time since the first frame in seconds.
    :param image_bgr: (height, width, 3) uint8; (0, 0, 3) if only the objects are traced.
    """

    stamp_s: float
    image_bgr: NDArray[np.uint8]
    objects: tuple[TrackedObject, ...]


@dataclass(frozen=True, slots=True)
class _Mover:
    """An object that goes to and fro on the ground, with its size and turns."""

    solid: Solid
    track_id: int
    center: Floats
    swing: Floats
    period_s: float
    phase: float
    spin: float

    def at(self, time_s: float) -> Solid:
        """Return the solid at a time in seconds."""
        part = (time_s / self.period_s + self.phase) % 1.0
        along = 4 * abs(part - 0.5) - 1
        x, y = self.center + self.swing * along
        rotation = turned(self.spin * time_s) @ self.solid.rotation
        return _moved(replace(self.solid, rotation=rotation), float(x), float(y))


@dataclass(frozen=True, slots=True)
class _Sequence:
    """A place, its moving objects, and the path of the camera."""

    plan: _Plan
    movers: tuple[_Mover, ...]
    pan: tuple[float, float]
    sway: tuple[float, float]
    forward: float
    shake: float

    def camera(self, time_s: float) -> Camera:
        """Return the camera at a time: it drives, sways, pans and shakes."""
        start = self.plan.camera
        angle = self.pan[0] * np.sin(2 * np.pi * time_s / self.pan[1])
        x = self.sway[0] * np.sin(2 * np.pi * time_s / self.sway[1])
        nod = self.shake * np.sin(2 * np.pi * 1.7 * time_s)
        moved = start.position + np.array([x, self.forward * time_s, 0.0], np.float32)
        turn = turned(float(angle), float(nod))
        return replace(start, position=moved, rotation=(start.rotation @ turn.T))


def _plan_sequence(seed: int, size: tuple[int, int], objects: int) -> _Sequence:
    plan = _plan(seed, size)
    rng = np.random.Generator(np.random.PCG64([seed, 4]))
    limit = min(_FARTHEST_M, plan.place.wall_m - 1.6)
    kinds = rng.choice(len(CLASS_NAMES), _KINDS, replace=False)
    depths = np.linspace(_NEAREST_M, max(limit, 4.5), objects) + rng.uniform(-0.15, 0.15, objects)
    movers = []
    for number, depth in enumerate(depths, 1):
        solid = build_object(int(rng.choice(kinds)), rng)
        half = 0.5 * plan.camera.width / plan.camera.focal_px * depth
        still = rng.random() < 0.25
        width = 0.0 if still else rng.uniform(0.3, 1.1) * half
        center = np.array([rng.uniform(-0.8, 0.8) * half, depth])
        speed = rng.uniform(0.25, 1.3)
        swing = np.array([width, rng.uniform(-0.12, 0.12) * (not still)])
        period = max(4 * width / speed, 3.0)
        spin = 0.0 if still else float(rng.normal(0, 0.4))
        movers.append(_Mover(solid, number, center, swing, period, rng.random(), spin))
    return _Sequence(
        plan,
        tuple(movers),
        (float(rng.uniform(0.05, 0.22)), float(rng.uniform(4, 8))),
        (float(rng.uniform(0.05, 0.3)), float(rng.uniform(3, 7))),
        float(rng.uniform(0.0, 0.22)),
        float(rng.uniform(0.0, 0.012)),
    )


def _trace(
    sequence: _Sequence, time_s: float
) -> tuple[_Plan, list[tuple[Solid, Layer]], list[int]]:
    """Trace the objects at a time, farthest first; return their ids, too."""
    camera = sequence.camera(time_s)
    present = [(mover.at(time_s), mover.track_id) for mover in sequence.movers]
    present.sort(key=lambda pair: -float(np.hypot(*(pair[0].position - camera.position)[:2])))
    plan = replace(sequence.plan, camera=camera, solids=tuple(solid for solid, _ in present))
    layers, ids = [], []
    for solid, number in present:
        if camera.project(solid.corners())[1].min() < _CLOSEST_M:
            continue
        layer = trace_layer(solid, camera, plan.light)
        if layer is not None:
            layers.append((solid, layer))
            ids.append(number)
    return plan, layers, ids


def _describe(
    layers: list[tuple[Solid, Layer]], ids: list[int], size: tuple[int, int]
) -> tuple[TrackedObject, ...]:
    shortest = MIN_SIDE_PX * max(size) / 1280
    objects = []
    for (solid, layer), number, mask in zip(layers, ids, _visible(layers, size), strict=True):
        box = _box(layer, mask)
        if box is None:
            continue
        share = min(1.0, float(mask.sum()) / max(layer.full_area, 1.0))
        counted = share >= MIN_VISIBLE and min(box[2] - box[0], box[3] - box[1]) >= shortest
        objects.append(TrackedObject(number, solid.class_id, box, round(share, 4), counted))
    return tuple(objects)


def render_sequence(
    seed: int,
    frames: int,
    rate_hz: float = 20.0,
    size: tuple[int, int] = (512, 288),
    objects: int = 12,
    *,
    draw: bool = True,
) -> Iterator[SequenceFrame]:
    """
    Draw a sequence: objects of three kinds cross and hide each other before a moving camera.

    :param seed: any non-negative integer; the same one gives the same sequence.
    :param frames: number of frames.
    :param objects: number of objects; not all are in view.
    :param draw: draw the pictures; without them the objects are found in a fraction of the time.
    """
    sequence = _plan_sequence(seed, size, objects)
    pixels: NDArray[np.uint8] = np.zeros((0, 0, 3), np.uint8)
    for number in range(frames):
        plan, layers, ids = _trace(sequence, number / rate_hz)
        if draw:
            backdrop = draw_backdrop(
                plan.camera, plan.place, np.random.Generator(np.random.PCG64([seed, 2]))
            )
            image = _compose(backdrop, plan, layers)
            pixels = photograph(image, np.random.Generator(np.random.PCG64([seed, 3])))
        yield SequenceFrame(number / rate_hz, pixels, _describe(layers, ids, size))
