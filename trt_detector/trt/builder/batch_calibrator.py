# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Calibrate with the entropy calibrator of TensorRT up to 10, on batches in device memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ...config import DetectorConfig
from ...errors import BuildError, ConfigError
from ...gpu.buffers import TensorBuffer
from ...gpu.context import ContextScope, load_cuda, make_stream
from ...gpu.device_info import get_gpu_memory_bytes, read_device
from ...gpu.device_lock import build_in_progress
from ...quantize import CalibrationCache, parse_calibration_cache
from ..interrupts import deferred_interrupt
from ..library import find_library, TensorRTLibrary
from ..logger import LogLines, make_logger
from ..profile import ProfileShapes
from ..start import create_builder
from .configuration import add_profile, create_builder_config, set_calibration_profile
from .parser import parse_network
from .precision import set_precision_flags

__all__ = ['calibrate_on_device']


def calibrate_on_device(
    config: DetectorConfig,
    model: bytes,
    model_path: Path | None,
    batches: Iterator[npt.NDArray[Any]],
) -> CalibrationCache:
    """
    Create a calibration cache with IInt8EntropyCalibrator2.

    TensorRT calibrates as a part of a build; the plan is discarded.

    :param config: the parameters.
    :param model: bytes of an ONNX file with one input.
    :param model_path: file whose folder holds the external data, None if there is none.
    :param batches: inputs of the network, all of one shape; each is consumed before the next is
        requested. An error that it raises ends the calibration.
    :raises BackendUnavailableError: if no TensorRT, driver or GPU can be used.
    :raises ConfigError: if this TensorRT has no calibrator, or there is no batch.
    :raises BuildError: with the error lines of TensorRT.
    """
    device = read_device(config.device_id)
    library = find_library('tensorrt', device)
    if not library.has_calibrator:
        raise ConfigError(
            f'{library.label} has no calibrator (TensorRT up to 10 has one); calibrate without '
            '--tensorrt: the cache has the same format'
        )
    first = next(batches, None)
    if first is None:
        raise ConfigError('there is no image to calibrate with; choose an input with images')
    cuda = load_cuda()
    with ExitStack() as undo:
        undo.enter_context(build_in_progress(config.device_id))
        undo.enter_context(closing(ContextScope(cuda, config.device_id)))
        feeder = _Feeder(cuda, first, batches, undo)
        lines = LogLines()
        logger = make_logger(library, lines)
        builder = create_builder(library, logger, lines)
        network = parse_network(library, builder, model, model_path, logger, lines)
        builder_config = create_builder_config(library, builder, lines)
        memory = int(config.workspace_fraction * get_gpu_memory_bytes(config.device_id))
        builder_config.set_memory_pool_limit(library.enum('MemoryPoolType', 'WORKSPACE'), memory)
        set_precision_flags(library, builder_config, 'int8')
        _set_profile(library, builder, builder_config, lines, network, first.shape)
        calibrator = _make_calibrator(library, feeder)
        builder_config.int8_calibrator = calibrator
        lines.clear()
        with deferred_interrupt(feeder.fail):
            plan = builder.build_serialized_network(network, builder_config)
        if feeder.error is not None:
            raise feeder.error
        if plan is None or not feeder.written:
            raise BuildError(f'{library.label} wrote no calibration cache{lines.explain()}')
        return parse_calibration_cache(feeder.written)


class _Feeder:
    """Source of batches in device memory, and receiver of the calibration cache."""

    def __init__(
        self,
        cuda: Any,
        first: npt.NDArray[Any],
        batches: Iterator[npt.NDArray[Any]],
        undo: ExitStack,
    ) -> None:
        self.batch_size = len(first)
        self.error: BaseException | None = None
        self.written = b''
        self._first: npt.NDArray[Any] | None = np.array(first)
        self._batches = batches
        self._stream: Any = make_stream(cuda)
        self._buffer = TensorBuffer(cuda, 'calibration batch', first.dtype, first.shape)
        undo.callback(self._close)

    def next_address(self) -> list[int] | None:
        """Copy the next batch to the device; return its address, None at the end or an error."""
        if self.error is not None:
            return None
        try:
            batch, self._first = self._first, None
            if batch is None:
                batch = next(self._batches, None)
            if batch is None:
                return None
            view = self._buffer.view(batch.shape)
            np.copyto(view, batch)
            self._buffer.upload(view, self._stream)
            # TensorRT reads it in another stream.
            self._stream.synchronize()
        except BaseException as error:  # noqa: BLE001 - raised again after the build: the caller
            # is C++ code of TensorRT, which drops every exception.
            self.fail(error)
            return None
        return [self._buffer.address]

    def fail(self, error: BaseException) -> None:
        """End the calibration because of an exception in a callback, to be raised at its end."""
        self.error = error

    def _close(self) -> None:
        """Free the buffer and the stream; the context has to be current."""
        self._stream.synchronize()
        self._buffer.free()
        # The stream is destroyed with its last reference, which must not outlive the context.
        self._stream = None


def _set_profile(
    library: TensorRTLibrary,
    builder: Any,
    builder_config: Any,
    lines: LogLines,
    network: Any,
    shape: Sequence[int],
) -> None:
    """Set the profile of a dynamic input to the shape of the batches."""
    tensor = network.get_input(0)
    if network.num_inputs != 1:
        raise BuildError(f'the network has {network.num_inputs} inputs; expected one image')
    if all(dim >= 0 for dim in tensor.shape):
        return
    fixed = tuple(shape)
    shapes = ProfileShapes(fixed, fixed, fixed)
    optimization_profile = add_profile(
        library, builder, builder_config, lines, tensor.name, shapes
    )
    set_calibration_profile(library, builder_config, lines, optimization_profile)


def _make_calibrator(library: TensorRTLibrary, feeder: _Feeder) -> Any:
    """Create an IInt8EntropyCalibrator2 for the batches; the caller keeps it alive."""
    base: Any = library.trt.IInt8EntropyCalibrator2

    class _BatchCalibrator(base):
        def __init__(self) -> None:
            # pybind11 trampoline: without this call the first callback crashes.
            base.__init__(self)

        def get_batch_size(self) -> int:
            return feeder.batch_size

        def get_batch(self, names: Sequence[str]) -> list[int] | None:  # noqa: ARG002
            return feeder.next_address()

        def read_calibration_cache(self) -> None:
            # There is no cache: TensorRT has to calibrate.
            return None

        def write_calibration_cache(self, cache: Any) -> None:
            # The buffer belongs to TensorRT and is valid during this call only.
            feeder.written = bytes(cache)

    return _BatchCalibrator()
