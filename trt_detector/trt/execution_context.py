# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""TensorRT execution context with its current shapes and addresses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..errors import EngineError
from ..gpu.buffers import TensorBuffer
from .bindings import Bindings
from .library import TensorRTLibrary
from .logger import LogLines
from .output_allocator import make_output_allocator, OutputShape

__all__ = ['ExecutionContext']


class ExecutionContext:
    """
    Execution context of an engine; it owns the memory of the activations.

    :param library: the library of the engine.
    :param cuda_engine: ICudaEngine.
    :param bindings: inputs and outputs of the engine.
    :param lines: log lines of TensorRT.
    :param stream_handle: stream in which it chooses the optimization profile. A handle, because
        the traceback of an error would keep a stream beyond its CUDA context.
    :param runtime_config: IRuntimeConfig of TensorRT for RTX, None for other libraries.
    :raises EngineError: if TensorRT cannot create one.
    """

    def __init__(
        self,
        library: TensorRTLibrary,
        cuda_engine: Any,
        bindings: Bindings,
        lines: LogLines,
        stream_handle: int,
        runtime_config: Any,
    ) -> None:
        lines.clear()
        self._execution_context: Any = (
            cuda_engine.create_execution_context()
            if runtime_config is None
            else cuda_engine.create_execution_context(runtime_config)
        )
        if self._execution_context is None:
            raise EngineError(
                f'{library.label} cannot create an execution context{lines.explain()}; free GPU '
                'memory, or lower batch_size or max_shape'
            )
        # TensorRT 8.6 chooses the profile of the first execution context only.
        if self._execution_context.active_optimization_profile != 0:
            try:
                self._execution_context.set_optimization_profile_async(0, stream_handle)
            except RuntimeError as error:
                raise EngineError(
                    f'{library.label} cannot choose optimization profile 0: {error}'
                    f'{lines.explain()}'
                ) from error
        self._library = library
        self._bindings = bindings
        self._lines = lines
        self._shape: tuple[int, ...] = ()
        self._output_shapes: tuple[tuple[int, ...], ...] = ()
        self._addresses: tuple[int, ...] = ()
        # Outputs whose shape depends on the data, with the IOutputAllocator of each.
        self._open_outputs: dict[str, tuple[OutputShape, Any]] = {}

    @property
    def raw(self) -> Any:
        """Return the IExecutionContext."""
        return self._execution_context

    def bind_shape(self, shape: tuple[int, ...]) -> tuple[tuple[int, ...], ...]:
        """
        Set the shape of the input, if it changed.

        :return: shapes of the outputs.
        :raises EngineError: if it is outside of the profile.
        """
        if shape == self._shape:
            return self._output_shapes
        self._lines.clear()
        name = self._bindings.input_spec.name
        self._shape = ()
        if not self._execution_context.set_input_shape(name, shape):
            raise EngineError(
                f'TensorRT rejects the shape {list(shape)} for {name!r}; its profile is '
                f'{self._bindings.shapes}{self._lines.explain()}'
            )
        try:
            missing = self._execution_context.infer_shapes()
        except RuntimeError as error:
            raise EngineError(
                f'TensorRT cannot compute the shapes of the outputs for {name!r} of shape '
                f'{list(shape)}: {error}{self._lines.explain()}'
            ) from error
        if missing:
            raise EngineError(f'the shapes of the inputs {missing} are not set')
        self._output_shapes = self._bindings.output_shapes(self._execution_context)
        self._shape = shape
        return self._output_shapes

    def bind_addresses(self, input_address: int, outputs: Sequence[TensorBuffer]) -> None:
        """
        Set the addresses of all tensors, if they changed.

        :raises EngineError: if TensorRT rejects one.
        """
        addresses = (input_address, *(buffer.address for buffer in outputs))
        if addresses == self._addresses:
            return
        self._addresses = ()
        for buffer in outputs:
            if buffer.name in self._open_outputs:
                self._open_outputs[buffer.name][0].buffer = buffer
        specs = (self._bindings.input_spec, *self._bindings.output_specs)
        for spec, address in zip(specs, addresses, strict=True):
            if spec.name in self._open_outputs:
                continue
            if not self._execution_context.set_tensor_address(spec.name, address):
                raise EngineError(f'TensorRT rejects the buffer of {spec}{self._lines.explain()}')
        self._addresses = addresses

    def follow_shapes(self, outputs: Sequence[TensorBuffer]) -> None:
        """
        Let TensorRT report the shapes of outputs that depend on the data.

        :param outputs: their buffers.
        :raises EngineError: if it refuses.
        """
        for buffer in outputs:
            output = OutputShape(buffer)
            allocator = make_output_allocator(self._library, output)
            if not self._execution_context.set_output_allocator(buffer.name, allocator):
                raise EngineError(
                    f'TensorRT rejects an allocator for {buffer.name!r}{self._lines.explain()}'
                )
            self._open_outputs[buffer.name] = (output, allocator)

    def shapes_of_run(self) -> list[tuple[int, ...]]:
        """
        Return the shapes of the outputs of the run that was enqueued last.

        :raises EngineError: if TensorRT did not report one.
        """
        specs = zip(self._bindings.output_specs, self._output_shapes, strict=True)
        return [
            self._open_outputs[spec.name][0].shape if spec.name in self._open_outputs else shape
            for spec, shape in specs
        ]

    def check_capturable(self, stream_handle: int) -> None:
        """
        Check that CUDA graphs can be captured in a stream (TensorRT for RTX tells it).

        :raises EngineError: if they cannot.
        """
        if not self._execution_context.is_stream_capturable(stream_handle):
            raise EngineError(
                'TensorRT for RTX cannot capture this network: it takes memory while it runs'
            )

    def enqueue(self, stream_handle: int) -> None:
        """
        Enqueue the network in a stream and return immediately.

        :raises EngineError: if TensorRT fails.
        """
        self._lines.clear()
        outputs = [output for output, _ in self._open_outputs.values()]
        for output in outputs:
            output.start_run()
        if not self._execution_context.execute_async_v3(stream_handle):
            refusals = ''.join(output.refusal for output in outputs)
            raise EngineError(
                f'TensorRT failed to run the network{self._lines.explain()}{refusals}'
            )

    def close(self) -> None:
        """Release the context, which has to precede its engine."""
        self._execution_context = None
        self._open_outputs.clear()
