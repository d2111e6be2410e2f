# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Launcher of the CUDA kernel that turns raw images into the network's input."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
import struct
from typing import Any

import numpy as np

from ...preprocess import InputLayout, Letterbox, PreprocessSpec
from .source import LETTERBOX

__all__ = ['KERNEL_ENCODINGS', 'MAX_JOBS', 'LetterboxJob', 'LetterboxKernel', 'pack_spec']

# These mirror MOST_JOBS and the structures of letterbox.cu: change both together.
MAX_JOBS = 32
_JOB = struct.Struct('=QQq10i')
_SPEC = struct.Struct('=6i7f')
_BLOCK = (32, 8, 1)
_DTYPES = {np.dtype(np.float32): 0, np.dtype(np.float16): 1, np.dtype(np.uint8): 2}

# By the name of sensor_msgs: (number in letterbox.cu, bytes per pixel in a row).
KERNEL_ENCODINGS = {
    'bgr8': (0, 3), '8UC3': (0, 3), 'rgb8': (1, 3), 'bgra8': (2, 4), '8UC4': (2, 4),
    'rgba8': (3, 4), 'mono8': (4, 1), '8UC1': (4, 1), 'yuv422': (5, 2), 'uyvy': (5, 2),
    'yuv422_yuy2': (6, 2), 'yuyv': (6, 2), 'nv12': (7, 1), 'nv21': (8, 1),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class LetterboxJob:
    """
    One image and its image buffer, the part of the input batch that it fills.

    :param source: device address of the first row.
    :param target: device address of the image buffer.
    :param chroma_offset: bytes from the first row to the chroma rows of nv12 and nv21.
    :param step: bytes from one row to the next.
    :param encoding: one of :data:`KERNEL_ENCODINGS`.
    :param letterbox: position of the resized image in the image buffer.
    :param gathered: the source has only the two rows that each resized row reads.
    """

    source: int
    target: int
    chroma_offset: int
    step: int
    encoding: str
    letterbox: Letterbox
    gathered: bool

    def pack(self) -> bytes:
        """Pack the job as the structure of the kernel."""
        letterbox = self.letterbox
        number, _ = KERNEL_ENCODINGS[self.encoding]
        return _JOB.pack(
            self.source, self.target, self.chroma_offset,
            *letterbox.decoded_size, self.step, number,
            *letterbox.resized_size, letterbox.left, letterbox.top, int(self.gathered), 0,
        )  # fmt: skip


def pack_spec(spec: PreprocessSpec, layout: InputLayout, input_size: tuple[int, int]) -> bytes:
    """
    Pack the preprocessing that the network expects as the structure of the kernel.

    :param spec: color order, scale, mean, standard deviation and padding.
    :param layout: layout and dtype of the input.
    :param input_size: (height, width) in pixels.
    """
    std = np.asarray(spec.std, np.float32)
    gain = np.float32(spec.scale) / std
    bias = -np.asarray(spec.mean, np.float32) / std
    height, width = input_size
    return _SPEC.pack(
        width, height, layout.channels, int(layout.channels_last), _DTYPES[layout.dtype],
        int(spec.color == 'rgb'), float(spec.pad_value), *gain.tolist(), *bias.tolist(),
    )  # fmt: skip


class LetterboxKernel:
    """
    Letterbox kernel for one network at one input size, loaded into the current context.

    :param cuda: CUDA bindings, see :func:`..context.load_cuda`.
    :param spec: see :func:`pack_spec`.
    :param layout: see :func:`pack_spec`.
    :param input_size: (height, width) in pixels.
    :param compute_capability: of the GPU, to compile for it if the driver refuses the shipped PTX.
    :raises BackendUnavailableError: if the driver refuses both the shipped and the compiled PTX.
    """

    def __init__(
        self,
        cuda: Any,
        spec: PreprocessSpec,
        layout: InputLayout,
        input_size: tuple[int, int],
        compute_capability: tuple[int, int],
    ) -> None:
        self._spec = pack_spec(spec, layout, input_size)
        height, width = input_size
        self._blocks = (-(-width // _BLOCK[0]), -(-height // _BLOCK[1]))
        self._module: Any = LETTERBOX.load(cuda, compute_capability)
        self._function: Any = self._module.get_function(LETTERBOX.kernels[0])
        self._function.prepare([f'{MAX_JOBS * _JOB.size}s', f'{_SPEC.size}s'])

    def launch(self, jobs: Sequence[LetterboxJob], stream: Any) -> None:
        """Queue the kernel for the jobs in a stream; returns at once."""
        for first in range(0, len(jobs), MAX_JOBS):
            part = jobs[first : first + MAX_JOBS]
            packed = b''.join(job.pack() for job in part).ljust(MAX_JOBS * _JOB.size, b'\0')
            self._function.prepared_async_call(
                (*self._blocks, len(part)), _BLOCK, stream, packed, self._spec
            )

    def close(self) -> None:
        """Unload the kernel; the context must be current. Calling it again does nothing."""
        self._function = None
        self._module = None
