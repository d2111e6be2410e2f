# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Render training scenes in worker processes and keep them on the device that trains."""

from collections.abc import Iterator, Sequence
import multiprocessing
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from scenes import render_scene
import torch
from torch import Tensor

from .loss import Targets

__all__ = ['Batches', 'Rendered', 'rendered_scenes', 'SceneStore', 'STORED_SIZE']

STORED_SIZE = (640, 360)
"""Width and height of a stored scene in pixels."""
_FULL_SIZE = (1280, 720)
_MOST_OBJECTS = 20


class Rendered(NamedTuple):
    """A scene as (3, 360, 640) uint8 RGB, (n, 4) float32 boxes in its pixels, (n,) classes."""

    image: NDArray[np.uint8]
    boxes: NDArray[np.float32]
    classes: NDArray[np.int64]


def _render(seed: int) -> Rendered:
    """
    Render a training scene.

    Every fourth one is rendered at full size and then shrunk without smoothing, as a camera's
    picture is before inference, so that the network sees the noise and aliasing of both.
    """
    cv2.setNumThreads(1)
    full = seed % 4 == 0
    scene = render_scene(seed, _FULL_SIZE if full else STORED_SIZE)
    image = scene.image_bgr
    if full:
        image = cv2.resize(image, STORED_SIZE, interpolation=cv2.INTER_LINEAR)
    scale = STORED_SIZE[0] / scene.image_bgr.shape[1]
    boxes = np.array([o.bbox_xyxy for o in scene.objects], np.float32).reshape(-1, 4) * scale
    classes = np.array([o.class_id for o in scene.objects], np.int64)
    return Rendered(
        np.ascontiguousarray(image[..., ::-1].transpose(2, 0, 1)),
        boxes.astype(np.float32),
        classes,
    )


def rendered_scenes(seeds: Sequence[int], workers: int) -> Iterator[Rendered]:
    """Render scenes ahead in `workers` processes and yield them in the order of `seeds`."""
    with multiprocessing.get_context('spawn').Pool(workers) as pool:
        yield from pool.imap(_render, seeds, chunksize=8)


class SceneStore:
    """Scenes on a device; `count` of `capacity` places are filled so far."""

    def __init__(self, capacity: int, device: torch.device) -> None:
        width, height = STORED_SIZE
        self.images = torch.empty((capacity, 3, height, width), dtype=torch.uint8, device=device)
        self.boxes = torch.zeros((capacity, _MOST_OBJECTS, 4), device=device)
        self.classes = torch.zeros((capacity, _MOST_OBJECTS), dtype=torch.long, device=device)
        self.valid = torch.zeros((capacity, _MOST_OBJECTS), dtype=torch.bool, device=device)
        self.count = 0

    def take(self, scenes: Iterator[Rendered], wanted: int) -> None:
        """Move the next `wanted` scenes to the device."""
        for _ in range(wanted):
            scene = next(scenes)
            n = len(scene.classes)
            self.images[self.count] = torch.from_numpy(scene.image).to(self.images.device)
            self.boxes[self.count, :n] = torch.from_numpy(scene.boxes).to(self.boxes.device)
            self.classes[self.count, :n] = torch.from_numpy(scene.classes).to(self.boxes.device)
            self.valid[self.count, :n] = True
            self.count += 1

    def batch(self, index: Tensor) -> tuple[Tensor, Targets]:
        """Return (n, 3, 360, 640) uint8 pictures and their objects."""
        return self.images[index], Targets(
            self.boxes[index], self.classes[index], self.valid[index]
        )


class Batches:
    """Random batches of what a store holds; every scene once before any comes again."""

    def __init__(self, store: SceneStore, size: int, rng: torch.Generator) -> None:
        self._store, self._size, self._rng = store, size, rng
        self._order = torch.empty(0, dtype=torch.long, device=rng.device)

    def next(self) -> tuple[Tensor, Targets]:
        if len(self._order) < self._size:
            self._order = torch.randperm(
                self._store.count, generator=self._rng, device=self._rng.device
            )
        index, self._order = self._order[: self._size], self._order[self._size :]
        return self._store.batch(index)
