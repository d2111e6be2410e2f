# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Inference with TensorRT or TensorRT for RTX."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy.typing as npt

from ..config import DetectorConfig
from ..errors import EngineError
from ..gpu import device_info
from ..gpu.buffers import TensorBuffer
from ..gpu.context import ContextScope, load_cuda, make_stream
from ..gpu.cuda_errors import make_engine_error
from ..gpu.device_engine import DeviceEngine
from ..gpu.device_lock import device_lock
from ..plan import get_engine_filename
from ..values.engine_info import EngineInfo
from ..values.tensor_spec import TensorSpec
from .bindings import Bindings
from .execution_context import ExecutionContext
from .inspector import built_precision, inspect_layers, precision_summary
from .library import load_library, TensorRTLibrary
from .logger import LogLines, make_logger
from .plugins import load_plugins
from .profile import ProfileShapes
from .runtime import load_cuda_engine
from .runtime_cache import RuntimeCache

__all__ = ['TensorRTEngine']

# Key of the execution context that runs any number of images.
_ANY_COUNT = 0


class TensorRTEngine(DeviceEngine):
    """
    Deserialized plan with buffers, execution context and stream.

    The primary CUDA context stays current in the thread of the constructor until close().

    :param model_bytes: the plan. A plan contains code: load it only from trusted sources.
    :param batch_size: maximum number of images per run, limited by the plan; a fixed batch of
        the plan takes precedence.
    :param backend: library that built the plan, 'tensorrt' or 'tensorrt_rtx'.
    :param device_id: number of the GPU.
    :param input_shape: (height, width) of :meth:`get_input_shape` for a plan with dynamic size;
        None for the optimum of its profile.
    :param tensor_names: expected names of inputs and outputs; None for any.
    :param precision: precision that was built, for :attr:`info`; '' to ask the engine inspector.
    :param plugin_libraries: plugin libraries to load before the plan.
    :param dla_core: Deep Learning Accelerator core, -1 for the GPU.
    :param warnings: sentences for :attr:`info`.
    :param entries: further entries of a report, for :attr:`info`.
    :param digest: for :attr:`info`.
    :param plan_path: for :attr:`info`.
    :param layer_precision: for :attr:`info`; '' asks TensorRT's inspector.
    :raises BackendUnavailableError: if a library, the driver or the device is missing.
    :raises EngineError: if TensorRT rejects the plan, or it is not the plan of a detector.
    """

    def __init__(
        self,
        model_bytes: bytes,
        batch_size: int = 4,
        *,
        backend: str = 'tensorrt',
        device_id: int = 0,
        input_shape: tuple[int, int] | None = None,
        tensor_names: Sequence[str] | None = None,
        precision: str = '',
        plugin_libraries: Sequence[str] = (),
        dla_core: int = -1,
        warnings: tuple[str, ...] = (),
        entries: tuple[tuple[str, str], ...] = (),
        digest: str = '',
        plan_path: Path | None = None,
        layer_precision: str = '',
    ) -> None:
        self._closed = False
        self._contexts: dict[int, ExecutionContext] = {}
        self._kernels: RuntimeCache | None = None
        self._device_id = device_id
        self._lines = LogLines()
        self._resources = ExitStack()
        with device_lock(device_id), ExitStack() as undo:
            undo.callback(self._resources.close)
            library = load_library(backend)
            self._cuda = load_cuda()
            self._scope = ContextScope(self._cuda, device_id)
            self._resources.callback(self._scope.close)
            self._resources.callback(self._release)
            self._logger = make_logger(library, self._lines)
            load_plugins(library, self._logger, plugin_libraries)
            self._stream: Any = make_stream(self._cuda)
            self._runtime: Any
            self._cuda_engine: Any
            self._runtime, self._cuda_engine = load_cuda_engine(
                library, model_bytes, self._logger, self._lines, dla_core
            )
            self._bindings = Bindings.read(library, self._cuda_engine, tensor_names)
            self._batch_size = self._bindings.usable_batch(batch_size)
            self._size = self._bindings.resolve_size(input_shape)
            self._library = library
            self._open_outputs: tuple[str, ...] = ()
            if library.has_runtime_cache:
                self._kernels = RuntimeCache(library, self._cuda_engine, plan_path, self._lines)
            self._context = self._make_context(_ANY_COUNT)
            self._input, self._outputs = self._allocate()
            self._context.bind_shape(self._bindings.shapes.optimum)
            self._info = self._describe(
                EngineInfo(
                    backend=library.name,
                    precision=precision,
                    device=str(self._cuda.Device(device_id).name()),
                    version=library.version,
                    warnings=warnings,
                    entries=(*entries, ('profile', str(self.profile))),
                    device_id=device_id,
                    digest=digest,
                    plan_path=plan_path,
                    engine_bytes=len(model_bytes),
                    layer_precision=layer_precision,
                ),
                library,
            )
            undo.pop_all()

    @property
    def info(self) -> EngineInfo:
        """Return the description of the running engine."""
        return self._info

    @property
    def input_spec(self) -> TensorSpec:
        """Return the image input, dynamic dimensions as None."""
        return self._bindings.input_spec

    @property
    def output_specs(self) -> tuple[TensorSpec, ...]:
        """Return the outputs in the order of the results of run()."""
        return self._bindings.output_specs

    @property
    def profile(self) -> ProfileShapes:
        """Return the input shapes that the plan accepts."""
        return self._bindings.shapes

    def get_input_shape(self) -> tuple[int, int]:
        """Return (height, width) of the input in pixels."""
        return self._size

    def get_input_shape_range(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """Return the minimum and maximum (height, width) for set_input_shape()."""
        height_width = self.input_spec.height_width
        return height_width(self.profile.minimum), height_width(self.profile.maximum)

    def set_input_shape(self, size: tuple[int, int]) -> None:
        """Change the input size, see :meth:`..engine.InferenceEngine.set_input_shape`."""
        self._check_input_size(size)
        self._size = size

    def get_batch_size(self) -> int:
        """Return the maximum number of images per run()."""
        return self._batch_size

    def run(self, batch: npt.NDArray[Any]) -> list[npt.NDArray[Any]]:
        """
        Run the network, see :meth:`..engine.InferenceEngine.run`.

        Every height and width within the profile is accepted, not only those of
        :meth:`get_input_shape`. The returned arrays are page-locked buffers of the engine, valid
        until the next run() or close().

        :raises EngineError: if the batch is outside of the profile, or TensorRT fails.
        """
        if self._closed:
            raise EngineError('run() on a closed engine')
        self._scope.check_thread()
        self._check_batch(batch)
        count = len(batch)
        shape = (max(count, self._bindings.smallest_batch), *batch.shape[1:])
        self._context.bind_shape(shape)
        self._context.bind_addresses(self._input.address, self._outputs)
        staged = self._input.view(shape)
        staged[:count] = batch
        staged[count:] = 0
        try:
            views = self._execute(staged)
        except self._cuda.Error as error:
            raise make_engine_error('CUDA failed while the network ran', error) from error
        return views if count == shape[0] else [view[:count] for view in views]

    @property
    def smallest_batch(self) -> int:
        """Return the minimum number of images of the plan."""
        return self._bindings.smallest_batch

    def enqueue(
        self,
        count: int,
        input_address: int,
        outputs: Sequence[TensorBuffer],
        *,
        capturing: bool = False,
    ) -> list[tuple[int, ...]]:
        """Enqueue the network, see :meth:`..gpu.device_engine.DeviceEngine.enqueue`."""
        if self._closed:
            raise EngineError('enqueue() on a closed engine')
        context = self._capture_context(count) if capturing else self._context
        shape = self.batch_shape(max(count, self._bindings.smallest_batch))
        context.bind_shape(shape)
        context.bind_addresses(input_address, outputs)
        if capturing and self._kernels is not None:
            context.check_capturable(self._stream.handle)
        self._start(context, wait_if_failed=not capturing)
        return context.shapes_of_run()

    def close(self) -> None:
        """
        Free everything and pop the CUDA context; further calls do nothing.

        :raises EngineError: if called from another thread than the constructor.
        """
        if self._closed:
            return
        self._scope.check_thread()
        self._closed = True
        with device_lock(self._device_id):
            self._resources.close()

    @staticmethod
    def get_gpu_memory_bytes(device_id: int = 0) -> int:
        """Return the memory size of a GPU, 2 GiB if it is unknown."""
        return device_info.get_gpu_memory_bytes(device_id)

    @staticmethod
    def get_engine_filename(model_name: str, device_id: int = 0, *, int8: bool = False) -> str:
        """
        Return the file name of a plan for a GPU of this machine.

        :param model_name: stem of the model's file name.
        :param device_id: number of the GPU.
        :param int8: whether INT8 was requested.
        :return: '<model>.cc_<major>.<minor>_sm_<count>.engine', or '...int8.engine'.
        :raises BackendUnavailableError: if there is no such GPU.
        """
        device = device_info.read_device(device_id)
        return get_engine_filename(
            model_name, device.compute_capability, device.sm_count, int8=int8
        )

    @staticmethod
    def convert_from_source(
        onnx_model: bytes,
        calib_cache_path: str | None = None,
        *,
        config: DetectorConfig | None = None,
        batch_size: int = 4,
    ) -> bytes | None:
        """
        Build a plan from an ONNX model in memory, without the plan store.

        :param onnx_model: bytes of the ONNX file, weights included.
        :param calib_cache_path: INT8 calibration cache, None for none.
        :param config: further parameters; model_path is ignored.
        :param batch_size: images per run, if the model has a dynamic batch.
        :return: the plan, None if TensorRT cannot build it; the reason is on the log.
        :raises DetectorError: if the parameters or the model cannot be used.
        """
        # Imported here, so that running a plan does not depend on the build code.
        from .builder.make_plan import convert_source

        values = config or DetectorConfig()
        if calib_cache_path is not None:
            values = values.with_changes(calib_cache_path=calib_cache_path)
        return convert_source(onnx_model, values, batch_size=batch_size)

    def _make_output(self, index: int, *, mapped: bool) -> TensorBuffer:
        """Allocate another buffer for an output."""
        return self._outputs[index].twin(mapped=mapped)

    def _make_context(self, count: int) -> ExecutionContext:
        """Return the execution context for a number of images, created on first use."""
        if count not in self._contexts:
            context = self._contexts[count] = ExecutionContext(
                self._library,
                self._cuda_engine,
                self._bindings,
                self._lines,
                self._stream.handle,
                self._kernels and self._kernels.runtime_config,
            )
            if self._open_outputs:
                context.follow_shapes([b for b in self._outputs if b.name in self._open_outputs])
        return self._contexts[count]

    def release_captures(self) -> None:
        """Free the execution contexts of captured CUDA graphs."""
        for count in [count for count in self._contexts if count != _ANY_COUNT]:
            self._contexts.pop(count).close()

    def _capture_context(self, count: int) -> ExecutionContext:
        """
        Return an execution context for one number of images.

        An execution context keeps shape-dependent data, also in device memory. After a run with
        another shape, a captured graph would read data that it was not captured with.
        """
        shapes = self._bindings.shapes
        return self._make_context(_ANY_COUNT if shapes.minimum == shapes.maximum else count)

    def _allocate(self) -> tuple[TensorBuffer, tuple[TensorBuffer, ...]]:
        """Allocate the buffers for the maximum shapes and set their addresses."""
        largest = self._bindings.shapes.maximum
        specs = (self._bindings.input_spec, *self._bindings.output_specs)
        maxima = (largest, *self._context.bind_shape(largest))
        unbounded = self._bindings.unbounded(self._context.raw)
        buffers = []
        for spec, shape in zip(specs, maxima, strict=True):
            room = unbounded.get(spec.name, 1)
            buffer = TensorBuffer(self._cuda, spec.name, spec.dtype, shape, room)
            self._resources.callback(buffer.free)
            buffers.append(buffer)
        self._open_outputs = tuple(unbounded)
        self._context.follow_shapes([buffer for buffer in buffers if buffer.name in unbounded])
        self._context.bind_addresses(buffers[0].address, buffers[1:])
        return buffers[0], tuple(buffers[1:])

    def _execute(self, staged: npt.NDArray[Any]) -> list[npt.NDArray[Any]]:
        """Upload, run and download in one stream, and wait for it; return the outputs."""
        # No local name for the stream: the traceback of an error would keep it beyond close().
        self._input.upload(staged, self._stream)
        self._start(self._context)
        shapes = self._context.shapes_of_run()
        views = [buffer.view(out) for buffer, out in zip(self._outputs, shapes, strict=True)]
        for buffer, view in zip(self._outputs, views, strict=True):
            buffer.download(view, self._stream)
        self._stream.synchronize()
        return views

    def _start(self, context: ExecutionContext, *, wait_if_failed: bool = True) -> None:
        """Enqueue the network."""
        try:
            context.enqueue(self._stream.handle)
        except EngineError:
            if wait_if_failed:
                self._stream.synchronize()
            raise

    def _check_batch(self, batch: npt.NDArray[Any]) -> None:
        """
        Reject a batch outside of the profile.

        :raises EngineError: with both shapes or both dtypes.
        """
        if batch.dtype != self.input_spec.dtype:
            raise EngineError(
                f'batch has dtype {batch.dtype}; input {self.input_spec} expects '
                f'{self.input_spec.dtype}'
            )
        largest = (self._batch_size, *self.profile.maximum[1:])
        smallest = (1, *self.profile.minimum[1:])
        allowed = ProfileShapes(smallest, largest, largest)
        if batch.ndim != 4 or not allowed.holds(batch.shape):
            raise EngineError(f'batch has shape {list(batch.shape)}; expected {allowed}')

    def _describe(self, info: EngineInfo, library: TensorRTLibrary) -> EngineInfo:
        """Fill in the precisions that nobody gave from the engine itself."""
        layers = inspect_layers(library, self._cuda_engine)
        return replace(
            info,
            precision=info.precision or built_precision(layers) or 'unknown',
            layer_precision=info.layer_precision or precision_summary(layers) or '',
        )

    def _release(self) -> None:
        """Release contexts, engine, runtime and stream, dependent objects first."""
        for context in self._contexts.values():
            context.close()
        if self._kernels is not None:
            self._kernels.close()
        self._cuda_engine = None
        self._runtime = None
        self._stream = None
