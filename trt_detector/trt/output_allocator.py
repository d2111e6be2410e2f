# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Outputs whose shape depends on the data: TensorRT reports the shape of each run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..errors import EngineError
from ..gpu.buffers import TensorBuffer
from .library import TensorRTLibrary

__all__ = ['OutputShape', 'make_output_allocator']


_REMEDY = 'export the model without NMS: the node applies NMS itself'


class OutputShape:
    """
    Buffer of an output and the shape that the last run gave it.

    :param buffer: holds the largest output.
    """

    def __init__(self, buffer: TensorBuffer) -> None:
        self.buffer = buffer
        self._shape: tuple[int, ...] | None = None
        self._refused_bytes = 0

    def start_run(self) -> None:
        """Forget the last run."""
        self._shape, self._refused_bytes = None, 0

    def address_for(self, size: int) -> int:
        """Return the address of the buffer if it holds size bytes, else 0, which ends the run."""
        if self.buffer.holds(size):
            return self.buffer.address
        self._refused_bytes = size
        return 0

    def report(self, shape: tuple[int, ...]) -> None:
        """Keep the shape that TensorRT reports."""
        self._shape = shape

    @property
    def shape(self) -> tuple[int, ...]:
        """
        Return the shape of the last run.

        :raises EngineError: if TensorRT reported none, or one with an unknown dimension, as 10.16
            does for some networks (https://github.com/NVIDIA/TensorRT/issues/4744).
        """
        shape = self._shape
        if shape is None or any(dim < 0 for dim in shape):
            said = 'no shape' if shape is None else f'the shape {list(shape)}'
            raise EngineError(
                f'TensorRT reports {said} for output {self.buffer.name!r}, whose shape depends on '
                f'the image; {_REMEDY}'
            )
        return shape

    @property
    def refusal(self) -> str:
        """Return a clause about the buffer if it was too small for the last run, else ''."""
        if not self._refused_bytes:
            return ''
        return (
            f'; output {self.buffer.name!r} needs {self._refused_bytes} bytes, but TensorRT gave '
            f'no such maximum, and its buffer has {self.buffer.nbytes}; {_REMEDY}'
        )


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
            output.report(tuple(int(dim) for dim in shape))

    return _OutputAllocator()
