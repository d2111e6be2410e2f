# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Outputs whose shape depends on the data: TensorRT reports the shape of each run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..gpu.buffers import TensorBuffer
from .library import TensorRTLibrary

__all__ = ['OutputShape', 'make_output_allocator']


class OutputShape:
    """
    Buffer of an output and the shape that the last run gave it.

    :param buffer: holds the largest output.
    """

    def __init__(self, buffer: TensorBuffer) -> None:
        self.buffer = buffer
        self.shape: tuple[int, ...] = ()

    def address_for(self, size: int) -> int:
        """Return the address of the buffer if it holds size bytes, else 0, which ends the run."""
        return self.buffer.address if self.buffer.holds(size) else 0


def make_output_allocator(library: TensorRTLibrary, output: OutputShape) -> Any:
    """Create an IOutputAllocator that gives the buffer of an output; the caller keeps it alive."""
    base: Any = library.trt.IOutputAllocator

    class _OutputAllocator(base):
        def __init__(self) -> None:
            # pybind11 trampoline: without this call the first callback crashes.
            base.__init__(self)

        def reallocate_output(
            self,
            tensor_name: str,  # noqa: ARG002 - names given by TensorRT
            memory: int,  # noqa: ARG002
            size: int,
            alignment: int,  # noqa: ARG002
        ) -> int:
            return output.address_for(size)

        def reallocate_output_async(
            self,
            tensor_name: str,  # noqa: ARG002 - TensorRT 10 and later call this one
            memory: int,  # noqa: ARG002
            size: int,
            alignment: int,  # noqa: ARG002
            stream: int,  # noqa: ARG002
        ) -> int:
            return output.address_for(size)

        def notify_shape(self, tensor_name: str, shape: Sequence[int]) -> None:  # noqa: ARG002
            output.shape = tuple(int(dim) for dim in shape)

    return _OutputAllocator()
