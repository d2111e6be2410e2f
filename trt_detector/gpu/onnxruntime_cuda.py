# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""ONNX Runtime's CUDA provider, in a stream and on buffers of this package."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
import logging
from typing import Any

import numpy as np

from ..errors import BackendUnavailableError, EngineError
from ..model_info import slice_unequal_splits
from ..model_info.onnx_session import open_session, SessionOptions
from ..onnxruntime_engine import (
    DEFAULT_OPTIONS,
    make_asynchronous_run_options,
    OnnxRuntimeEngine,
    OnnxRuntimeOptions,
)
from .buffers import TensorBuffer
from .context import ContextScope, load_cuda, make_stream
from .cuda_errors import make_engine_error
from .device_engine import DeviceEngine
from .device_info import has_tf32, read_device
from .device_lock import device_lock

__all__ = ['CudaOnnxRuntimeEngine']

_LOG = logging.getLogger(__name__)

_PROVIDER = 'CUDAExecutionProvider'
# It would undo slice_unequal_splits().
_OPTIMIZERS_LEFT_OUT = ('GatherSliceToSplitFusion',)


class CudaOnnxRuntimeEngine(OnnxRuntimeEngine, DeviceEngine):
    """
    ONNX model on a CUDA device.

    The primary CUDA context stays current in the thread that creates the engine until close().

    :param device_id: number of the GPU.
    :param counts_rows: the number of output rows depends on the data: buffers for such outputs
        cannot be allocated before the run, so :attr:`works_on_device` is False.
    :param cuda_graph: the network may be captured, for which a batch of one image gets a session
        of its own.
    :param tf32: compute FP32 convolutions and matrix products in TF32 if the GPU has it.
    :raises BackendUnavailableError: if CUDA bindings, driver or CUDA provider are missing.

    For the other parameters see :class:`..onnxruntime_engine.OnnxRuntimeEngine`.
    """

    def __init__(
        self,
        model_bytes: bytes,
        batch_size: int,
        options: OnnxRuntimeOptions = DEFAULT_OPTIONS,
        *,
        device_id: int = 0,
        counts_rows: bool = False,
        cuda_graph: bool = True,
        tf32: bool = True,
    ) -> None:
        self._device_id = device_id
        self._counts_rows = counts_rows
        self._bindings: dict[tuple[int, ...], Any] = {}
        self._sessions: dict[int, Any] = {}
        self._one_size = False
        self._shapes: dict[tuple[int, ...], list[tuple[int, ...]]] = {}
        self._resources = ExitStack()
        self._asynchronous = make_asynchronous_run_options()
        with device_lock(device_id), ExitStack() as undo:
            undo.callback(self._resources.close)
            self._cuda = load_cuda()
            self._scope = ContextScope(self._cuda, device_id)
            self._resources.callback(self._scope.close)
            self._stream: Any = make_stream(self._cuda)
            self._resources.callback(self._release)
            session_options = self._make_session_options(options.session, tf32=tf32)
            model_bytes = slice_unequal_splits(model_bytes)
            super().__init__(
                model_bytes,
                batch_size,
                replace(
                    options,
                    session=session_options,
                    entries=(*options.entries, ('provider', 'CUDA')),
                ),
                device=str(self._cuda.Device(device_id).name()),
            )
            self._info = replace(
                self._info,
                device_id=device_id,
                precision=_real_precision(options.precision, device_id, tf32=tf32),
            )
            if self._session.get_providers()[0] != _PROVIDER:
                raise BackendUnavailableError(
                    'ONNX Runtime could not load its CUDA provider; install cuDNN 9 and the CUDA '
                    'libraries of the version that onnxruntime-gpu was built for'
                )
            self._sessions = {self.get_batch_size(): self._session}
            self._one_size = cuda_graph and self.works_on_device
            if self._one_size and self.smallest_batch not in self._sessions:
                self._sessions[1] = open_session(model_bytes, session_options)
            undo.pop_all()

    def _make_session_options(self, options: SessionOptions, *, tf32: bool) -> SessionOptions:
        """Make the options of a session that runs in the stream of this engine."""
        provider_options = {
            'device_id': str(self._device_id),
            # ONNX Runtime queues its work here, and waits only on request.
            'user_compute_stream': str(self._stream.handle),
            'use_tf32': str(int(tf32)),
        }
        return replace(
            options,
            providers=((_PROVIDER, provider_options), 'CPUExecutionProvider'),
            disabled_optimizers=_OPTIMIZERS_LEFT_OUT,
        )

    @property
    def works_on_device(self) -> bool:
        """Return whether enqueue() can be used."""
        return not self._counts_rows

    @property
    def smallest_batch(self) -> int:
        """Return the minimum number of images per run."""
        return self.get_batch_size() if self._fixed_batch else 1

    def enqueue(
        self,
        count: int,
        input_address: int,
        outputs: Sequence[TensorBuffer],
        *,
        capturing: bool = False,
    ) -> list[tuple[int, ...]]:
        """
        Queue the network in its stream; see :class:`.device_engine.DeviceEngine`.

        It waits for the network unless it is being captured: otherwise ONNX Runtime would keep
        the host memory of some operators until the session ends (seen with 1.31: Split).
        """
        if self._session is None:
            raise EngineError('enqueue() on a closed engine')
        count, session = self._choose_session(count)
        shapes = self._find_shapes(count)
        addresses = (input_address, *(buffer.address for buffer in outputs))
        key = (count, *self.get_input_shape(), *addresses)
        if key not in self._bindings:
            self._bindings[key] = self._bind(session, count, addresses, shapes)
        try:
            options = self._asynchronous if capturing else self._run_options
            session.run_with_iobinding(self._bindings[key], options)
        except Exception as error:  # ONNX Runtime's own classes share no base but this one
            raise make_engine_error('ONNX Runtime could not run the model', error) from error
        return shapes

    def interrupt(self) -> None:
        """Make the run in progress and all later ones fail; a CUDA graph is not interrupted."""
        super().interrupt()
        self._asynchronous.terminate = True

    def close(self) -> None:
        """
        Free the session and pop the context; calling it again does nothing.

        :raises EngineError: if this is not the thread that created the engine.
        """
        if self._session is None:
            return
        self._scope.check_thread()
        with device_lock(self._device_id):
            self._resources.close()

    def _make_output(self, index: int, *, mapped: bool) -> TensorBuffer:
        """Allocate another buffer for one output."""
        spec, shape = self.output_specs[index], self._find_shapes(self.padded_batch_size())[index]
        return TensorBuffer(self._cuda, spec.name, spec.dtype, shape, mapped=mapped)

    def _find_shapes(self, count: int) -> list[tuple[int, ...]]:
        """Return the output shapes of a batch, found once by a run on zeros."""
        key = (count, *self.get_input_shape())
        if key not in self._shapes:
            zeros = np.zeros(self.batch_shape(count), self.input_spec.dtype)
            self._shapes[key] = [output.shape for output in self.run(zeros)]
        return self._shapes[key]

    def _choose_session(self, count: int) -> tuple[int, Any]:
        """
        Return the batch size to run for a number of images, and its session.

        A captured session runs a single batch size: for another one it would choose new kernels
        and unload those that a CUDA graph still refers to.
        """
        if not self._one_size:
            return super()._choose_session(count)
        size = min(size for size in self._sessions if size >= count)
        return size, self._sessions[size]

    def _bind(
        self,
        session: Any,
        count: int,
        addresses: tuple[int, ...],
        shapes: Sequence[tuple[int, ...]],
    ) -> Any:
        """Bind the input and the outputs to device memory."""
        binding = session.io_binding()
        spec, device = self.input_spec, ('cuda', self._device_id)
        binding.bind_input(
            spec.name, *device, spec.dtype, list(self.batch_shape(count)), addresses[0]
        )
        for output, shape, address in zip(self.output_specs, shapes, addresses[1:], strict=True):
            binding.bind_output(output.name, *device, output.dtype, list(shape), address)
        return binding

    def _release(self) -> None:
        """Free the sessions, then their stream; the context must be current."""
        self._bindings.clear()
        # No run may be in progress: ONNX Runtime ends runs with a callback in the stream.
        try:
            self._stream.synchronize()
        except self._cuda.Error as error:
            _LOG.warning('CUDA failed before the engine was closed: %s', error)
        self._sessions.clear()
        self._session = None
        self._stream = None


def _real_precision(precision: str, device_id: int, *, tf32: bool) -> str:
    """Return the precision that runs: TF32 for FP32 models on Ampere and later GPUs."""
    if precision == 'fp32' and tf32 and has_tf32(read_device(device_id).compute_capability):
        return 'tf32'
    return precision
