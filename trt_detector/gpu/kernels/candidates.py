# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Picks the candidates of a raw head on the device, so that few values are copied to the host."""

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

# The structure of candidates.cu: change both together.
_PLANE = struct.Struct('=6Q3q5if')
_SELECT_THREADS, _GATHER_THREADS = 256, 96
# Blocks of an image that copy; each takes every so many-th candidate.
_GATHER_BLOCKS = 32
_HALF = {np.dtype(np.float32): 0, np.dtype(np.float16): 1}
# Below this many bytes an image the copy of the whole output costs less than two kernels.
_LEAST_BYTES = 1 << 16


def is_worth_filtering(rule: CandidateRule, outputs: Sequence[TensorBuffer]) -> bool:
    """Return whether the output is of a type and size that is worth a filter."""
    buffer = outputs[rule.output]
    if len(buffer.max_shape) != 3 or buffer.dtype not in _HALF:
        return False
    return math.prod(buffer.max_shape[1:]) * buffer.dtype.itemsize >= _LEAST_BYTES


class CandidateFilter:
    """
    The kernels, loaded into the context that is current.

    :param cuda: pycuda.driver.
    :param rule: what to pick.
    :param compute_capability: of the GPU, for a compilation where the shipped code does not run.
    :raises BackendUnavailableError: if the driver takes neither the shipped nor a fresh PTX.
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
        """Pick and copy in the order of a stream; returns at once."""
        select, gather = self._kernels
        blocks = -(-predictions // _SELECT_THREADS)
        select.prepared_async_call((blocks, images, 1), (_SELECT_THREADS, 1, 1), stream, plane)
        gather.prepared_async_call(
            (_GATHER_BLOCKS, images, 1), (_GATHER_THREADS, 1, 1), stream, plane
        )

    def close(self) -> None:
        """Unload them; the context has to be current. Calling it again does nothing."""
        self._kernels = []
        self._module = None


class CandidateSlot:
    """
    The candidates of one slot.

    The values go to page-locked memory that the device writes itself, so that only what was
    picked crosses the bus: to the host side of the output's own buffer, where it has two.

    :param kernels: shared by the slots.
    :param buffer: of the output, [N, values, A] or [N, A, values]; the caller frees it.
    :raises EngineError: if the memory is not to be had.
    """

    def __init__(self, cuda: Any, kernels: CandidateFilter, buffer: TensorBuffer) -> None:
        self._kernels = kernels
        self._buffer = buffer
        images, *plane = buffer.max_shape
        predictions = plane[0] if kernels.rule.values_last else plane[1]
        # The counts of all images, then the numbers of the predictions.
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
        self._room = images
        self._images = self._predictions = 0

    @property
    def output(self) -> int:
        """Return the number of the output."""
        return self._kernels.rule.output

    def enqueue(self, shape: tuple[int, ...], count: int, least: float, stream: Any) -> None:
        """
        Pick the candidates in the order of a stream; returns at once.

        :param shape: of the output of this run.
        :param count: images in it that are wanted.
        :param least: score that is enough.
        """
        self._images = count
        self._predictions = shape[1] if self._kernels.rule.values_last else shape[2]
        self._lists.clear(stream, self._room * self._lists.dtype.itemsize)
        self._kernels.launch(self._pack(shape, least), self._predictions, count, stream)

    def read(self) -> list[Candidates]:
        """Return the candidates of each image; the stream has passed them."""
        images, predictions = self._images, self._predictions
        counts = self._lists.view((images,)).tolist()
        lists = self._lists.view((self._room + images * predictions,))
        numbers = lists[self._room :].reshape(images, predictions)
        rows = self._values.view((images, predictions, self._kernels.rule.values))
        found = []
        for image, count in enumerate(counts):
            # The threads of the device finish in no certain order.
            order = numbers[image, :count].argsort()
            found.append(Candidates(rows[image].take(order, axis=0), numbers[image].take(order)))
        return found

    def free(self) -> None:
        """Free the memory; calling it again does nothing."""
        self._resources.close()

    def _pack(self, shape: tuple[int, ...], least: float) -> bytes:
        """Return the kernels' structure."""
        rule = self._kernels.rule
        _, rows, columns = shape
        strides = (1, columns) if rule.values_last else (columns, 1)
        counts_bytes = self._room * self._lists.dtype.itemsize
        device, host = self._lists.address, self._lists.host_address
        return _PLANE.pack(
            self._buffer.address, device, device + counts_bytes,
            host, host + counts_bytes, self._values.host_address,
            rows * columns, *strides, self._predictions,
            rule.values, rule.first, rule.last, _HALF[self._buffer.dtype], least,
        )  # fmt: skip
