# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Double of ONNX Runtime's CUDA provider: its CPU provider on memory of the CUDA double."""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
import math
from typing import Any
from unittest import mock

import numpy as np
import onnxruntime

from doubles.cuda_double import CudaDouble

_CUDA = 'CUDAExecutionProvider'
_CPU = 'CPUExecutionProvider'


class _Binding:
    """Addresses of the tensors."""

    def __init__(self) -> None:
        self.inputs: dict[str, tuple[Any, list[int], int]] = {}
        self.outputs: dict[str, tuple[Any, list[int], int]] = {}

    def bind_input(
        self, name: str, device: str, number: int, dtype: Any, shape: list[int], address: int
    ) -> None:
        """Bind an input to device memory."""
        assert (device, number) == ('cuda', 0)
        self.inputs[name] = (dtype, shape, address)

    def bind_output(
        self, name: str, device: str, number: int, dtype: Any, shape: list[int], address: int
    ) -> None:
        """Bind an output to device memory."""
        assert (device, number) == ('cuda', 0)
        self.outputs[name] = (dtype, shape, address)


class CudaSessionDouble:
    """
    Session whose work is queued in the stream of its options.

    :param loads: whether the CUDA provider finds its libraries.
    """

    def __init__(self, world: CudaDouble, loads: bool, model: bytes, options: Any, providers: Any):
        names = [entry[0] if isinstance(entry, tuple) else entry for entry in providers]
        self._providers = names if loads else [name for name in names if name != _CUDA]
        self._session = _REAL(model, options, providers=[_CPU])
        self._world = world
        settings = {entry[0]: entry[1] for entry in providers if isinstance(entry, tuple)}
        world.provider_options = settings.get(_CUDA, {})
        self._stream = int(world.provider_options.get('user_compute_stream', 0))
        self._sizes: set[tuple[int, ...]] = set()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)

    def get_providers(self) -> list[str]:
        """Return the active providers."""
        return self._providers

    def io_binding(self) -> _Binding:
        """Return an empty binding."""
        return _Binding()

    def run_with_iobinding(self, binding: _Binding, options: Any) -> None:
        """Queue a run, and wait for it unless the options disable that."""
        self._world.require_context('cudaLaunchKernel')
        if options.terminate:
            raise RuntimeError('Exiting due to terminate flag being set to true.')
        (_, shape, _) = next(iter(binding.inputs.values()))
        self._note_shape(tuple(shape))
        self._world.enqueue(self._stream, lambda: self._work(binding))
        if _is_asynchronous(options):
            self._world.kept_by_runtime += 1
            return
        self._world.drain(self._stream)
        self._world.kept_by_runtime = 0

    def run(
        self, names: list[str], feeds: dict[str, np.ndarray], options: Any = None
    ) -> list[np.ndarray]:
        """Run on host memory."""
        self._note_shape(next(iter(feeds.values())).shape)
        return list(self._session.run(names, feeds, options))

    def _note_shape(self, shape: tuple[int, ...]) -> None:
        """Note a fault if another shape unloads kernels that a graph refers to."""
        if self._sizes and shape not in self._sizes and self._world.executables:
            self._world.faults.append('kernels of a CUDA graph were unloaded')
        self._sizes = {shape}

    def _work(self, binding: _Binding) -> None:
        feeds = {}
        for name, (dtype, shape, address) in binding.inputs.items():
            nbytes = math.prod(shape) * np.dtype(dtype).itemsize
            data = self._world.read(address, nbytes, None)  # type: ignore[arg-type]
            feeds[name] = np.frombuffer(data, dtype).reshape(shape)
        names = list(binding.outputs)
        for name, found in zip(names, self._session.run(names, feeds), strict=True):
            dtype, shape, address = binding.outputs[name]
            assert (found.dtype, list(found.shape)) == (dtype, shape)
            self._world.write(address, found.tobytes(), None)  # type: ignore[arg-type]


def _is_asynchronous(options: Any) -> bool:
    """Return whether a run with these options does not wait for the device."""
    try:
        entry = options.get_run_config_entry('disable_synchronize_execution_providers')
    except RuntimeError:  # there is no such entry
        return False
    return bool(entry == '1')


_REAL = onnxruntime.InferenceSession


@contextlib.contextmanager
def cuda_provider(world: CudaDouble, *, loads: bool = True) -> Iterator[None]:
    """Replace ONNX Runtime by a build with the CUDA provider."""

    def session(
        model: bytes,
        options: Any = None,
        providers: Any = (_CPU,),
        disabled_optimizers: Any = (),
        enable_fallback: int = 1,
    ) -> Any:
        if any(_CUDA in entry for entry in providers):
            assert 'GatherSliceToSplitFusion' in disabled_optimizers
        return CudaSessionDouble(world, loads, model, options, providers)

    with (
        mock.patch.object(onnxruntime, 'InferenceSession', session),
        mock.patch.object(onnxruntime, 'get_available_providers', return_value=[_CUDA, _CPU]),
        mock.patch.object(onnxruntime, 'preload_dlls', create=True),
    ):
        yield
