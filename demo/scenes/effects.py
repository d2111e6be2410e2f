# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Effects of a camera on a picture: lens, shutter, sensor and compression."""

import cv2
import numpy as np
from numpy.typing import NDArray

from .camera import Floats

__all__ = ['photograph']


def _blurred(image: Floats, rng: np.random.Generator, scale: float) -> Floats:
    kind = rng.random()
    if kind < 0.45:
        return cv2.GaussianBlur(image, (0, 0), max(0.3, rng.uniform(0.4, 1.5) * scale))
    if kind < 0.6:
        length, angle = rng.uniform(2, 7) * scale, rng.uniform(0, np.pi)
        size = int(np.ceil(length)) // 2 * 2 + 3
        kernel = np.zeros((size, size), np.float32)
        center = size // 2
        for step in np.linspace(-length / 2, length / 2, 4 * size):
            x, y = center + step * np.cos(angle), center + step * np.sin(angle)
            kernel[round(y), round(x)] += 1
        return cv2.filter2D(image, -1, kernel / kernel.sum())
    return image


def photograph(image: Floats, rng: np.random.Generator) -> NDArray[np.uint8]:
    """
    Apply exposure, white balance, vignette, blur, noise and JPEG artifacts.

    :param image: (height, width, 3) float32 BGR, 0..1.
    :return: the same size as uint8; strengths are scaled to the picture's size.
    """
    height, width = image.shape[:2]
    scale = max(height, width) / 1280
    gain = np.exp(rng.normal(0.14, 0.16)) * np.exp(rng.normal(0, 0.05, 3))
    image = _blurred(image * gain.astype(np.float32), rng, scale)
    x = np.linspace(-1, 1, width, dtype=np.float32)[None, :]
    y = np.linspace(-1, 1, height, dtype=np.float32)[:, None] * np.float32(height / width)
    image = image * (1 - np.float32(rng.uniform(0.0, 0.3)) * (x * x + y * y))[..., None]
    curve = rng.uniform(-0.25, 0.45)
    image = np.clip(image, 0, 1)
    image = image + np.float32(curve) * image * (1 - image) * (2 * image - 1)
    level = rng.uniform(0.003, 0.03) * min(1.0, scale**0.5 + 0.1)
    noise = rng.standard_normal((height, width), dtype=np.float32)
    chroma = rng.standard_normal((height // 2 + 1, width // 2 + 1, 3), dtype=np.float32)
    chroma = cv2.resize(chroma, (width, height), interpolation=cv2.INTER_LINEAR)
    grain = (noise[..., None] + chroma * np.float32(0.6)) * (0.5 + 0.7 * image)
    pixels = np.round((image + np.float32(level) * grain) * 255)
    result = np.clip(pixels, 0, 255).astype(np.uint8)
    if rng.random() < 0.6:
        quality = int(rng.integers(55, 96))
        _, coded = cv2.imencode('.jpg', result, [cv2.IMWRITE_JPEG_QUALITY, quality])
        result = cv2.imdecode(coded, cv2.IMREAD_COLOR)
    return result
