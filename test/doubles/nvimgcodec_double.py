# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Double of nvImageCodec: decodes with OpenCV into memory that the double of CUDA reads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
import contextlib
import enum
import sys
from types import ModuleType
from typing import Any
from unittest import mock

import cv2
import numpy as np

__all__ = ['NvImageCodecDouble', 'nvimgcodec']

# Bytes from the last pixel of a row to the next row.
_PADDING = 5


class ColorSpec(enum.Enum):
    """Color of the decoded pixels."""

    SRGB = 1
    GRAY = 2


class BackendKind(enum.Enum):
    """What decodes."""

    CPU_ONLY = 1
    GPU_ONLY = 2
    HYBRID_CPU_GPU = 3
    HW_GPU_ONLY = 4


class Image:
    """Decoded image in device memory, which is overwritten when the image is freed."""

    def __init__(self, pixels: np.ndarray) -> None:
        height, width, channels = pixels.shape
        step = width * channels + _PADDING
        self._rows = np.full((height, step), 0xA5, np.uint8)
        self._rows[:, : width * channels] = pixels.reshape(height, -1)
        self.__cuda_array_interface__ = {
            'shape': pixels.shape,
            'strides': (step, channels, 1),
            'typestr': '|u1',
            'data': (self._rows.__array_interface__['data'][0], False),
            'version': 3,
        }

    def __del__(self) -> None:
        self._rows[...] = 0xEE


class NvImageCodecDouble(ModuleType):
    """
    Module nvidia.nvimgcodec.

    :param refused: number of the first images that are not decoded.
    :param fails: the decoder cannot be made.
    :param breaks: the first call fails as a whole.
    """

    __version__ = '0.9.0'
    ColorSpec, BackendKind = ColorSpec, BackendKind

    def __init__(self, *, refused: int = 0, fails: bool = False, breaks: bool = False) -> None:
        super().__init__('nvidia.nvimgcodec')
        self.refused, self.fails, self.breaks = refused, fails, breaks
        self.batches: list[int] = []

    @staticmethod
    def Backend(kind: BackendKind) -> BackendKind:  # noqa: N802
        """Return a backend."""
        assert kind is not BackendKind.CPU_ONLY
        return kind

    @staticmethod
    def DecodeParams(*, apply_exif_orientation: bool, color_spec: ColorSpec) -> ColorSpec:  # noqa: N802
        """Return parameters of the decoding."""
        assert not apply_exif_orientation
        return color_spec

    @staticmethod
    def CodeStream(data: np.ndarray) -> bytes:  # noqa: N802
        """Return the content of a file."""
        return data.tobytes()

    def Decoder(self, *, device_id: int, backends: Sequence[BackendKind]) -> Any:  # noqa: N802
        """Make the decoder, which is this module, too."""
        assert device_id >= 0
        assert backends
        if self.fails:
            raise RuntimeError('no nvJPEG library')
        return self

    def decode(
        self, streams: Sequence[bytes], *, params: ColorSpec, cuda_stream: int
    ) -> list[Image | None]:
        """Decode files."""
        assert cuda_stream
        self.batches.append(len(streams))
        if self.breaks:
            raise RuntimeError('out of memory')
        return [self._decode(data, params) for data in streams]

    def _decode(self, data: bytes, color: ColorSpec) -> Image | None:
        """Decode one file, or refuse it."""
        if self.refused:
            self.refused -= 1
            return None
        gray = color is ColorSpec.GRAY
        flags = cv2.IMREAD_GRAYSCALE if gray else cv2.IMREAD_COLOR
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flags | cv2.IMREAD_IGNORE_ORIENTATION)
        if pixels is None:
            return None
        return Image(pixels[..., None] if gray else pixels[..., ::-1])


@contextlib.contextmanager
def nvimgcodec(**behavior: Any) -> Iterator[NvImageCodecDouble]:
    """Let nvidia.nvimgcodec be imported as a double."""
    module, package = NvImageCodecDouble(**behavior), ModuleType('nvidia')
    package.nvimgcodec = module  # type: ignore[attr-defined]
    with mock.patch.dict(sys.modules, {'nvidia': package, 'nvidia.nvimgcodec': module}):
        yield module
