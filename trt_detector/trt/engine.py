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
from ..gpu.context import ContextScope, load_pycuda, make_stream
from ..gpu.device_engine import DeviceEngine
from ..gpu.device_lock import device_lock
from ..plan import get_engine_filename
from ..values.engine_info import EngineInfo
from ..values.tensor_spec import TensorSpec
from .bindings import Bindings
from .builder.make_plan import convert_source
from .execution_context import ExecutionContext
from .inspector import built_precision, inspect_layers, precision_summary
from .library import load_library, TensorRTLibrary
from .logger import LogLines, make_logger
from .plugins import load_plugins
from .profile import ProfileShapes
from .runtime import load_cuda_engine

__all__ = ['TensorRTEngine']

# The execution context that runs whatever comes.
_ANY_COUNT = 0


class TensorRTEngine(DeviceEngine):
    """
    A plan, deserialized, with its own buffers, execution context and stream.

    The primary CUDA context stays current in the thread that makes the engine until close().

    :param model_bytes: the plan. It is code: take it only from whom you trust.
    :param batch_size: most images in one run, at most what the plan takes; a plan with a fixed
        batch keeps its own.
    :param backend: 'tensorrt' or 'tensorrt_rtx', of the library that built the plan.
    :param device_id: number of the GPU.
    :param input_shape: (height, width) of :meth:`get_input_shape` for a plan that leaves it open;
        None is the one that it is tuned for.
    :param tensor_names: names that the plan's inputs and outputs must have; None for any.
    :param precision: what was built, for :attr:`info`; '' asks TensorRT's inspector.
    :param plugin_libraries: loaded before the plan.
    :param dla_core: Deep Learning Accelerator core, -1 for the GPU.
    :param warnings: sentences for :attr:`info`.
    :param entries: further entries of a report, for :attr:`info`.
    :param digest: for :attr:`info`.
    :param plan_path: for :attr:`info`.
    :param layer_precision: for :attr:`info`; '' asks TensorRT's inspector.
    :raises BackendUnavailableError: if a library, the driver or the device is missing.
    :raises EngineError: if TensorRT refuses the plan, or it is no detector's.
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
        self._device_id = device_id
        self._lines = LogLines()
        self._resources = ExitStack()
        with device_lock(device_id), ExitStack() as undo:
            undo.callback(self._resources.close)
            library = load_library(backend)
            self._cuda = load_pycuda()
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
            self._label = library.label
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
        """Return what really runs."""
        return self._info

    @property
    def input_spec(self) -> TensorSpec:
        """Return the image input, dynamic dimensions as None."""
        return self._bindings.input_spec

    @property
    def output_specs(self) -> tuple[TensorSpec, ...]:
        """Return the outputs in the order in which run() gives them."""
        return self._bindings.output_specs

    @property
    def profile(self) -> ProfileShapes:
        """Return the input shapes that the plan takes."""
        return self._bindings.shapes

    def get_input_shape(self) -> tuple[int, int]:
        """Return (height, width) of the input in pixels."""
        return self._size

    def get_input_shape_range(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """Return the smallest and the largest (height, width) that set_input_shape() takes."""
        height_width = self.input_spec.height_width
        return height_width(self.profile.minimum), height_width(self.profile.maximum)

    def set_input_shape(self, size: tuple[int, int]) -> None:
        """Change the input size within the profile, as :class:`..engine.InferenceEngine` says."""
        self._check_input_size(size)
        self._size = size

    def get_batch_size(self) -> int:
        """Return the largest number of images that one run() takes."""
        return self._batch_size

    def run(self, batch: npt.NDArray[Any]) -> list[npt.NDArray[Any]]:
        """
        Run the network, as :class:`..engine.InferenceEngine` says.

        Any height and width within the plan's profile may be given, not only those of
        :meth:`get_input_shape`. The arrays returned are the engine's page-locked buffers: they
        are valid until the next run() or close().

        :raises EngineError: if the batch lies outside the profile, or TensorRT fails.
        """
        if self._closed:
            raise EngineError('run() on a closed engine')
        self._scope.check_thread()
        self._check_batch(batch)
        count = len(batch)
        shape = (max(count, self._bindings.smallest_batch), *batch.shape[1:])
        shapes = self._context.bind_shape(shape)
        self._context.bind_addresses(self._input.address, self._outputs)
        staged = self._input.view(shape)
        staged[:count] = batch
        staged[count:] = 0
        views = [buffer.view(out) for buffer, out in zip(self._outputs, shapes, strict=True)]
        try:
            self._execute(staged, views)
        except self._cuda.Error as error:
            raise EngineError(f'CUDA failed while the network ran: {error}') from error
        return views if count == shape[0] else [view[:count] for view in views]

    @property
    def smallest_batch(self) -> int:
        """Return how many images the plan takes at least."""
        return self._bindings.smallest_batch

    def enqueue(
        self,
        count: int,
        input_address: int,
        outputs: Sequence[TensorBuffer],
        *,
        capturing: bool = False,
    ) -> list[tuple[int, ...]]:
        """Queue the network in its stream, as :class:`.device_engine.DeviceEngine` says."""
        if self._closed:
            raise EngineError('enqueue() on a closed engine')
        context = self._context_to_record(count) if capturing else self._context
        shape = self.batch_shape(max(count, self._bindings.smallest_batch))
        shapes = context.bind_shape(shape)
        context.bind_addresses(input_address, outputs)
        self._start(context, outputs, wait_if_failed=not capturing)
        return list(shapes)

    def close(self) -> None:
        """
        Free everything and pop the context; calling it again does nothing.

        :raises EngineError: if this is not the thread that made the engine.
        """
        if self._closed:
            return
        self._scope.check_thread()
        self._closed = True
        with device_lock(self._device_id):
            self._resources.close()

    @staticmethod
    def get_gpu_memory_bytes(device_id: int = 0) -> int:
        """Return the size of a GPU's memory, 2 GiB where nobody knows it."""
        return device_info.get_gpu_memory_bytes(device_id)

    @staticmethod
    def get_engine_filename(model_name: str, device_id: int = 0, *, int8: bool = False) -> str:
        """
        Return the name of a plan's file for a GPU of this machine.

        :param model_name: stem of the model's file name.
        :param int8: whether INT8 was asked for.
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
        compute_capability: tuple[int, int] | None = None,
    ) -> bytes | None:
        """
        Build a plan from an ONNX model in memory, without any cache of plans.

        :param onnx_model: the ONNX file; its weights must be inside.
        :param calib_cache_path: INT8 calibration cache, None for none.
        :param config: further parameters; model_path is ignored.
        :param batch_size: images in one run of a model with a dynamic batch.
        :param compute_capability: GPU to build for, None for the one of this machine.
        :return: the plan, None if TensorRT could not build it: the reason is on the log.
        :raises DetectorError: if the parameters or the model cannot be used.
        """
        values = config or DetectorConfig()
        if calib_cache_path is not None:
            values = values.with_changes(calib_cache_path=calib_cache_path)
        return convert_source(
            onnx_model, values, batch_size=batch_size, compute_capability=compute_capability
        )

    def _make_output(self, index: int, *, mapped: bool) -> TensorBuffer:
        """Return a further buffer for one output."""
        return self._outputs[index].twin(mapped=mapped)

    def _make_context(self, count: int) -> ExecutionContext:
        """Return the execution context for a number of images, made when it is first needed."""
        if count not in self._contexts:
            self._contexts[count] = ExecutionContext(
                self._label, self._cuda_engine, self._bindings, self._lines
            )
        return self._contexts[count]

    def release_captures(self) -> None:
        """Free the execution contexts that records had of their own."""
        for count in [count for count in self._contexts if count != _ANY_COUNT]:
            self._contexts.pop(count).close()

    def _context_to_record(self, count: int) -> ExecutionContext:
        """
        Return an execution context that runs one number of images and no other.

        TensorRT keeps in a context what depends on the shape, also in memory of the device: after
        a run of another shape a graph would find what it was not recorded with.
        """
        shapes = self._bindings.shapes
        return self._make_context(_ANY_COUNT if shapes.minimum == shapes.maximum else count)

    def _allocate(self) -> tuple[TensorBuffer, tuple[TensorBuffer, ...]]:
        """Take the buffers for the largest shapes and tell TensorRT their addresses."""
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
        # Their rows are counted only as the network runs: the rest has to read zero.
        self._unbounded = frozenset(unbounded)
        self._context.bind_addresses(buffers[0].address, buffers[1:])
        return buffers[0], tuple(buffers[1:])

    def _execute(self, staged: npt.NDArray[Any], views: Sequence[npt.NDArray[Any]]) -> None:
        """Copy in, run and copy out in the order of one stream, and wait for it."""
        stream = self._stream
        self._input.upload(staged, stream)
        self._start(self._context, self._outputs)
        for buffer, view in zip(self._outputs, views, strict=True):
            buffer.download(view, stream)
        stream.synchronize()

    def _start(
        self,
        context: ExecutionContext,
        outputs: Sequence[TensorBuffer],
        *,
        wait_if_failed: bool = True,
    ) -> None:
        """Queue the network behind what its stream has to do."""
        for buffer in outputs:
            if buffer.name in self._unbounded:
                buffer.clear(self._stream)
        try:
            context.enqueue(self._stream)
        except EngineError:
            if wait_if_failed:
                self._stream.synchronize()
            raise

    def _check_batch(self, batch: npt.NDArray[Any]) -> None:
        """
        Refuse a batch that the plan cannot take.

        :raises EngineError: with both shapes or both dtypes named.
        """
        if batch.dtype != self.input_spec.dtype:
            raise EngineError(
                f'batch has dtype {batch.dtype}; input {self.input_spec} takes '
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
        """Drop TensorRT's objects and the stream, each before what it was made from."""
        for context in self._contexts.values():
            context.close()
        self._cuda_engine = None
        self._runtime = None
        self._stream = None
