# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Images of every encoding that the kernel reads, also in memory as of messages."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from trt_detector.gpu.kernels.letterbox import KERNEL_ENCODINGS
from trt_detector.image.image import Image
from trt_detector.image.reusable_memory import ReusableMemory

PLANAR = {'nv12', 'nv21'}
SHARED_COLOUR = PLANAR | {'yuv422', 'uyvy', 'yuv422_yuy2', 'yuyv'}
# Of the pixels in a message, after its header.
OFFSET = 68


def make_image(encoding: str, width: int, height: int, padding: int = 0, seed: int = 1) -> Image:
    """Return noise over a gradient, with rows that are longer than the pixels."""
    if encoding in SHARED_COLOUR:
        width += width % 2
    if encoding in PLANAR:
        height += height % 2
    step = width * KERNEL_ENCODINGS[encoding][1] + padding
    rows = height * 3 // 2 if encoding in PLANAR else height
    random = np.random.default_rng(seed)
    ramp = np.linspace(0, 255, step)[None] * np.linspace(1, 0.3, rows)[:, None]
    noise = random.integers(-60, 60, (rows, step))
    data = np.clip(ramp + noise, 0, 255).astype(np.uint8).reshape(-1)
    return Image.from_buffer(data, width=width, height=height, encoding=encoding, step=step)


def make_memory(image: Image) -> ReusableMemory:
    """Make memory for an image."""
    return ReusableMemory(OFFSET + image.data.size)


def arrive(image: Image, memory: ReusableMemory) -> Image:
    """Write an image to memory as a message does."""
    data = np.frombuffer(memory.map, np.uint8, image.data.size, OFFSET)
    data[:] = image.data
    return replace(image, data=data, memory=memory)
