# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Filter for the candidates of a raw head on the device, so that few values are downloaded."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
import math
import struct
from typing import Any

import numpy as np

from ...values.candidates import CandidateRule, Candidates
from ..buffers import TensorBuffer
from .source import CANDIDATES

__all__ = ['CandidateFilter', 'CandidateSlot', 'is_worth_filtering']

# Mirrors the structure of candidates.cu: change both together.
_PLANE = struct.Struct('=6Q3q5if')
_SELECT_THREADS, _GATHER_THREADS = 256, 96
# Blocks per image of the second kernel; each copies every 32nd candidate.
_GATHER_BLOCKS = 32
_HALF = {np.dtype(np.float32): 0, np.dtype(np.float16): 1}
# Below this many bytes per image a copy of the whole output costs less than two kernels.
_MIN_BYTES = 1 << 16


def is_worth_filtering(rule: CandidateRule, outputs: Sequence[TensorBuffer]) -> bool:
    """Return whether the filter supports the output, and saves time for its size."""
    buffer = outputs[rule.output]
    if len(buffer.max_shape) != 3 or buffer.dtype not in _HALF:
        return False
    return math.prod(buffer.max_shape[1:]) * buffer.dtype.itemsize >= _MIN_BYTES


class CandidateFilter:
    """
    Candidate kernels, loaded into the current context.

    :param cuda: CUDA bindings, see :func:`..context.load_cuda`.
    :param rule: rule that selects the candidates.
    :param compute_capability: of the GPU, to compile for it if the driver refuses the shipped PTX.
    :raises BackendUnavailableError: if the driver refuses both the shipped and the compiled PTX.
    """

    def __init__(
        self, cuda: Any, rule: CandidateRule, compute_capability: tuple[int, int]
    ) -> None:
        self.rule = rule
        self._module: Any = CANDIDATES.load(cuda, compute_capability)
        self._kernels = [self._module.get_function(name) for name in CANDIDATES.kernels]
        for kernel in self._kernels:
            kernel.prepare([f'{_PLANE.size}s'])

    def launch(self, plane: bytes, predictions: int, images: int, stream: Any) -> None:
        """Queue the selection and the copy in a stream; returns at once."""
        select, gather = self._kernels
        blocks = -(-predictions // _SELECT_THREADS)
        select.prepared_async_call((blocks, images, 1), (_SELECT_THREADS, 1, 1), stream, plane)
        gather.prepared_async_call(
            (_GATHER_BLOCKS, images, 1), (_GATHER_THREADS, 1, 1), stream, plane
        )

    def close(self) -> None:
        """Unload the kernels; the context must be current. Calling it again does nothing."""
        self._kernels = []
        self._module = None


class CandidateSlot:
    """
    Candidates of one batch slot.

    The device writes their values directly to page-locked memory, so that only the candidates
    cross the bus. It is the host memory of the output's own buffer, unless that is mapped.

    :param cuda: CUDA bindings, see :func:`..context.load_cuda`.
    :param kernels: shared by the slots.
    :param buffer: buffer of the output, [N, values, A] or [N, A, values]; the caller frees it.
    :raises EngineError: if the memory cannot be allocated.
    """

    def __init__(self, cuda: Any, kernels: CandidateFilter, buffer: TensorBuffer) -> None:
        self._kernels = kernels
        self._buffer = buffer
        images, *plane = buffer.max_shape
        predictions = plane[0] if kernels.rule.values_last else plane[1]
        # The counts of all images, then the indexes of the predictions.
        integers = np.dtype(np.int32)
        self._lists = TensorBuffer(cuda, 'candidates', integers, (images * (1 + predictions),))
        self._resources = ExitStack()
        self._resources.callback(self._lists.free)
        self._values = buffer
        if buffer.mapped:
            with ExitStack() as undo:
                undo.callback(self.free)
                shape = (images, predictions, kernels.rule.values)
                self._values = TensorBuffer(cuda, 'candidates', buffer.dtype, shape, mapped=True)
                self._resources.callback(self._values.free)
                undo.pop_all()
        self._max_images = images
        self._images = self._predictions = 0

    @property
    def output(self) -> int:
        """Return the index of the output."""
        return self._kernels.rule.output

    def enqueue(self, shape: tuple[int, ...], count: int, min_score: float, stream: Any) -> None:
        """
        Queue the selection of the candidates in a stream; returns at once.

        :param shape: shape of the output of this run.
        :param count: number of images to read.
        :param min_score: minimum score of a candidate.
        """
        self._images = count
        self._predictions = shape[1] if self._kernels.rule.values_last else shape[2]
        self._lists.clear(stream, self._max_images * self._lists.dtype.itemsize)
        self._kernels.launch(self._pack(shape, min_score), self._predictions, count, stream)

    def read(self) -> list[Candidates]:
        """Return the candidates of each image; the stream must have finished them."""
        images, predictions = self._images, self._predictions
        counts = self._lists.view((images,)).tolist()
        lists = self._lists.view((self._max_images + images * predictions,))
        indexes = lists[self._max_images :].reshape(images, predictions)
        rows = self._values.view((images, predictions, self._kernels.rule.values))
        found = []
        for image, count in enumerate(counts):
            # The threads on the device finish in no fixed order.
            order = indexes[image, :count].argsort()
            found.append(Candidates(rows[image].take(order, axis=0), indexes[image].take(order)))
        return found

    def free(self) -> None:
        """Free the memory; calling it again does nothing."""
        self._resources.close()

    def _pack(self, shape: tuple[int, ...], min_score: float) -> bytes:
        """Pack the structure of the kernels."""
        rule = self._kernels.rule
        _, rows, columns = shape
        strides = (1, columns) if rule.values_last else (columns, 1)
        counts_bytes = self._max_images * self._lists.dtype.itemsize
        device, host = self._lists.address, self._lists.host_address
        return _PLANE.pack(
            self._buffer.address, device, device + counts_bytes,
            host, host + counts_bytes, self._values.host_address,
            rows * columns, *strides, self._predictions,
            rule.values, rule.first, rule.last, _HALF[self._buffer.dtype], min_score,
        )  # fmt: skip
