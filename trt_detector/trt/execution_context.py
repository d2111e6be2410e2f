# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""A TensorRT execution context and what it was told last."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..errors import EngineError
from ..gpu.buffers import TensorBuffer
from .bindings import Bindings
from .logger import LogLines

__all__ = ['ExecutionContext']


class ExecutionContext:
    """
    An execution context of a plan; it takes the memory of the activations.

    :param label: of the library, for messages.
    :param lines: what TensorRT said lately.
    :raises EngineError: if TensorRT makes none.
    """

    def __init__(self, label: str, cuda_engine: Any, bindings: Bindings, lines: LogLines) -> None:
        self._execution_context: Any = cuda_engine.create_execution_context()
        if self._execution_context is None:
            raise EngineError(
                f'{label} cannot create an execution context{lines.explain()}; free GPU memory, '
                'or lower batch_size or max_shape'
            )
        self._bindings = bindings
        self._lines = lines
        self._shape: tuple[int, ...] = ()
        self._output_shapes: tuple[tuple[int, ...], ...] = ()
        self._addresses: tuple[int, ...] = ()

    @property
    def raw(self) -> Any:
        """Return TensorRT's own object."""
        return self._execution_context

    def bind_shape(self, shape: tuple[int, ...]) -> tuple[tuple[int, ...], ...]:
        """
        Tell TensorRT the shape of the input, where it is not that of last time.

        :return: the shapes of the outputs.
        :raises EngineError: if it lies outside the profile.
        """
        if shape == self._shape:
            return self._output_shapes
        self._lines.clear()
        name = self._bindings.input_spec.name
        self._shape = ()
        if not self._execution_context.set_input_shape(name, shape):
            raise EngineError(
                f'TensorRT refuses the shape {list(shape)} for {name!r}; its profile is '
                f'{self._bindings.shapes}{self._lines.explain()}'
            )
        missing = self._execution_context.infer_shapes()
        if missing:
            raise EngineError(f'TensorRT still lacks the shapes of {missing}')
        self._output_shapes = self._bindings.output_shapes(self._execution_context)
        self._shape = shape
        return self._output_shapes

    def bind_addresses(self, input_address: int, outputs: Sequence[TensorBuffer]) -> None:
        """
        Tell TensorRT where the tensors are, where it is not where they were last time.

        :raises EngineError: if it refuses one.
        """
        addresses = (input_address, *(buffer.address for buffer in outputs))
        if addresses == self._addresses:
            return
        self._addresses = ()
        specs = (self._bindings.input_spec, *self._bindings.output_specs)
        for spec, address in zip(specs, addresses, strict=True):
            if not self._execution_context.set_tensor_address(spec.name, address):
                raise EngineError(f'TensorRT refuses the buffer of {spec}{self._lines.explain()}')
        self._addresses = addresses

    def enqueue(self, stream: Any) -> None:
        """
        Queue the network in a stream; returns at once.

        :raises EngineError: if TensorRT refuses.
        """
        self._lines.clear()
        if not self._execution_context.execute_async_v3(stream.handle):
            raise EngineError(f'TensorRT failed to run the network{self._lines.explain()}')

    def close(self) -> None:
        """Drop the context, which comes before its engine."""
        self._execution_context = None
