# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Inference with ONNX Runtime, for machines without TensorRT."""

from __future__ import annotations

from collections.abc import Sequence
import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from .engine import EngineInfo, InferenceEngine
from .errors import BackendUnavailableError, EngineError, ModelError
from .values.tensor_spec import TensorSpec

__all__ = [
    'OnnxRuntimeEngine',
    'has_cuda_provider',
    'make_asynchronous_run_options',
    'open_session',
]

# Where neither the model nor the caller tells the size of a dynamic input.
_DEFAULT_INPUT_SHAPE = (640, 640)
# ONNX Runtime has no limit of its own; beyond this no camera's image is meant.
_LARGEST_SIDE = 16384

_DTYPES = {
    'tensor(float)': np.float32,
    'tensor(float16)': np.float16,
    'tensor(double)': np.float64,
    'tensor(uint8)': np.uint8,
    'tensor(int8)': np.int8,
    'tensor(int32)': np.int32,
    'tensor(int64)': np.int64,
    'tensor(bool)': np.bool_,
}


class OnnxRuntimeEngine(InferenceEngine):
    """
    An ONNX model, on the CPU unless other providers are given.

    :param model_bytes: the ONNX file.
    :param batch_size: most images in one run; a model with a fixed batch keeps its own.
    :param input_shape: (height, width) for a model whose input size is dynamic.
    :param threads: threads of one run; 0 is one a physical core.
    :param spinning: let them spin between two runs.
    :param providers: ONNX Runtime's execution providers, best first: names, or names with
        options.
    :param model_dir: folder with the model's external data.
    :param exact: compute Q/DQ nodes as they stand. Fused into INT8 kernels, ONNX Runtime adds
        pairs of products in 16 bits on CPUs without VNNI, which overflow.
    :param without: names of ONNX Runtime's graph optimizers to leave out.
    :param precision: what the model computes in, for :attr:`info`.
    :param device: what it runs on, for :attr:`info`.
    :param warnings: sentences for :attr:`info`.
    :param details: further facts for :attr:`info`.
    :param digest: for :attr:`info`.
    :raises BackendUnavailableError: if onnxruntime is not installed.
    :raises ModelError: if ONNX Runtime refuses the model, or it does not take one image.
    """

    def __init__(
        self,
        model_bytes: bytes,
        batch_size: int = 4,
        *,
        input_shape: tuple[int, int] | None = None,
        threads: int = 0,
        spinning: bool = False,
        providers: Sequence[Any] = ('CPUExecutionProvider',),
        model_dir: Path | None = None,
        exact: bool = False,
        without: Sequence[str] = (),
        precision: str = 'fp32',
        device: str = 'CPU',
        warnings: tuple[str, ...] = (),
        details: tuple[tuple[str, str], ...] = (),
        digest: str = '',
    ) -> None:
        self._session: Any = open_session(
            model_bytes,
            threads,
            providers,
            model_dir,
            spinning=spinning,
            exact=exact,
            without=without,
        )
        self._inputs = tuple(_spec(value) for value in self._session.get_inputs())
        self._outputs = tuple(_spec(value) for value in self._session.get_outputs())
        if len(self._inputs) != 1 or len(self._inputs[0].shape) != 4:
            found = '; '.join(str(spec) for spec in self._inputs) or 'none'
            raise ModelError(f'the model has the inputs {found}; expected one image of rank 4')
        self._output_names = [spec.name for spec in self._outputs]
        fixed_batch = self._inputs[0].shape[0]
        self._fixed_batch = fixed_batch is not None
        self._batch_size = fixed_batch or batch_size
        self._size = self._resolve_size(input_shape)
        self._info = EngineInfo(
            backend='onnxruntime',
            precision=precision,
            device=device,
            version=_version(),
            warnings=warnings,
            details=details,
            digest=digest,
        )

    @property
    def info(self) -> EngineInfo:
        """Return what really runs."""
        return self._info

    @property
    def input_spec(self) -> TensorSpec:
        """Return the image input, dynamic dimensions as None."""
        return self._inputs[0]

    @property
    def output_specs(self) -> tuple[TensorSpec, ...]:
        """Return the outputs in the order in which run() gives them."""
        return self._outputs

    def get_input_shape(self) -> tuple[int, int]:
        """Return (height, width) of the input in pixels."""
        return self._size

    def get_input_shape_range(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """Return the smallest and the largest (height, width) that set_input_shape() takes."""
        height, width = self._own_size()
        return (height or 1, width or 1), (height or _LARGEST_SIDE, width or _LARGEST_SIDE)

    def set_input_shape(self, size: tuple[int, int]) -> None:
        """Change the input size, as :class:`.engine.InferenceEngine` says."""
        self._check_input_size(size)
        self._size = size

    def get_batch_size(self) -> int:
        """Return the largest number of images that one run() takes."""
        return self._batch_size

    def run(self, batch: npt.NDArray[Any]) -> list[npt.NDArray[Any]]:
        """
        Run the network, as :class:`.engine.InferenceEngine` says; the arrays are the caller's.

        A model with a fixed batch gets zeros behind a smaller one.
        """
        if self._session is None:
            raise EngineError('run() on a closed engine')
        self._check_batch(batch)
        count = len(batch)
        size, session = self._choose_session(count)
        padded = count < size
        if padded:
            missing = np.zeros((size - count, *batch.shape[1:]), batch.dtype)
            batch = np.concatenate((batch, missing))
        try:
            outputs = session.run(self._output_names, {self._inputs[0].name: batch})
        except Exception as error:  # ONNX Runtime's own classes share no base but this one
            raise EngineError(f'ONNX Runtime could not run the model: {error}') from error
        # Outputs without a batch dimension are those of the one image of a batch of one.
        return [output[:count] for output in outputs] if padded else list(outputs)

    def close(self) -> None:
        """Free the session; calling it again does nothing."""
        self._session = None

    def _choose_session(self, count: int) -> tuple[int, Any]:
        """Return how many images to run for a number of them, and with what."""
        return (self._batch_size if self._fixed_batch else count), self._session

    def _own_size(self) -> tuple[int | None, int | None]:
        """Return the (height, width) that the model fixes, None where it leaves them open."""
        return self.input_spec.height_width(self.input_spec.shape)

    def _resolve_size(self, wanted: tuple[int, int] | None) -> tuple[int, int]:
        """Return (height, width): the model's own where it is fixed, else the wanted one."""
        own = self._own_size()
        height, width = wanted or _DEFAULT_INPUT_SHAPE
        size = (own[0] or height, own[1] or width)
        if wanted is not None and size != wanted:
            raise ModelError(
                f'the input {self._inputs[0]} has a fixed size of {size[1]}x{size[0]} pixels; '
                f'it cannot run at {wanted[1]}x{wanted[0]}'
            )
        return size


def has_cuda_provider() -> bool:
    """Return whether the ONNX Runtime of this machine was built for CUDA."""
    try:
        import onnxruntime
    except (ImportError, OSError):
        return False
    return 'CUDAExecutionProvider' in onnxruntime.get_available_providers()


def make_asynchronous_run_options() -> Any:
    """Return options of a run that queues its work on the device and returns at once."""
    import onnxruntime

    options = onnxruntime.RunOptions()
    options.add_run_config_entry('disable_synchronize_execution_providers', '1')
    return options


def open_session(
    model_bytes: bytes,
    threads: int,
    providers: Sequence[Any],
    model_dir: Path | None,
    *,
    spinning: bool,
    exact: bool,
    without: Sequence[str],
) -> Any:
    """
    Return an InferenceSession; see :class:`OnnxRuntimeEngine` for the parameters.

    :raises BackendUnavailableError: if onnxruntime is not installed.
    :raises ModelError: if it refuses the model.
    """
    try:
        import onnxruntime
    except (ImportError, OSError) as error:
        raise BackendUnavailableError(
            f'ONNX Runtime cannot be imported ({error}); install it: pip install onnxruntime'
        ) from error
    if len(providers) > 1 and hasattr(onnxruntime, 'preload_dlls'):
        # Finds cuDNN and the CUDA libraries where pip has put them.
        onnxruntime.preload_dlls()
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = threads
    # Frames come at a camera's pace: threads that spin between them burn a core.
    options.add_session_config_entry('session.intra_op.allow_spinning', str(int(spinning)))
    if exact:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    if model_dir is not None:
        options.add_session_config_entry(
            'session.model_external_initializers_file_folder_path', os.fspath(model_dir)
        )
    try:
        return onnxruntime.InferenceSession(
            model_bytes,
            options,
            providers=list(providers),
            disabled_optimizers=list(without),
        )
    except Exception as error:  # ONNX Runtime's own classes share no base but this one
        raise ModelError(f'ONNX Runtime refuses the model: {error}') from error


def _spec(value: Any) -> TensorSpec:
    """Return the spec of a session's input or output."""
    shape = tuple(dim if isinstance(dim, int) and dim > 0 else None for dim in value.shape)
    if value.type not in _DTYPES:
        raise ModelError(
            f'{value.name!r} has the type {value.type}; expected one of {", ".join(_DTYPES)}'
        )
    return TensorSpec(value.name, shape, np.dtype(_DTYPES[value.type]))


def _version() -> str:
    """Return ONNX Runtime's version."""
    import onnxruntime

    return str(onnxruntime.__version__)
