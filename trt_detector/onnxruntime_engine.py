# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Inference with ONNX Runtime, for machines without TensorRT."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from .engine import InferenceEngine
from .errors import BackendUnavailableError, EngineError, ModelError
from .model_info.onnx_session import load_onnxruntime, open_session, SessionOptions
from .values.engine_info import EngineInfo
from .values.tensor_spec import DEFAULT_INPUT_SIZE, TensorSpec

__all__ = [
    'DEFAULT_OPTIONS',
    'OnnxRuntimeEngine',
    'OnnxRuntimeOptions',
    'has_provider',
    'make_asynchronous_run_options',
]

# ONNX Runtime has no limit of its own; no camera has more pixels per side.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class OnnxRuntimeOptions:
    """
    Options of an engine.

    :param input_shape: (height, width) for a model whose input size is open.
    :param session: of ONNX Runtime.
    :param parallel_runs: number of runs that may be in progress at once. They share the threads of
        the session, and each takes memory for its own intermediate results.
    :param precision: precision of the model, for the engine's info; so are the others.
    :param warnings: sentences for the user.
    :param entries: further entries of a report.
    :param digest: identifies a quantized model.
    :param engine_bytes: size of a quantized model.
    """

    input_shape: tuple[int, int] | None = None
    session: SessionOptions = field(default_factory=SessionOptions)
    parallel_runs: int = 1
    precision: str = 'fp32'
    warnings: tuple[str, ...] = ()
    entries: tuple[tuple[str, str], ...] = ()
    digest: str = ''
    engine_bytes: int | None = None


DEFAULT_OPTIONS = OnnxRuntimeOptions()


class OnnxRuntimeEngine(InferenceEngine):
    """
    An ONNX model, on the CPU unless the options name other providers.

    :param model_bytes: the ONNX file.
    :param batch_size: maximum number of images per run; a model with a fixed batch keeps its own.
    :param device: name of the device that runs it.
    :raises BackendUnavailableError: if onnxruntime is not installed.
    :raises ModelError: if ONNX Runtime refuses the model, or it does not take one image.
    """

    def __init__(
        self,
        model_bytes: bytes,
        batch_size: int = 4,
        options: OnnxRuntimeOptions = DEFAULT_OPTIONS,
        *,
        device: str = 'CPU',
    ) -> None:
        self._session: Any = open_session(model_bytes, options.session)
        self._run_options: Any = load_onnxruntime().RunOptions()
        self._inputs = tuple(_spec(value) for value in self._session.get_inputs())
        self._outputs = tuple(_spec(value) for value in self._session.get_outputs())
        if len(self._inputs) != 1 or len(self._inputs[0].shape) != 4:
            found = '; '.join(str(spec) for spec in self._inputs) or 'none'
            raise ModelError(f'the model has the inputs {found}; expected one image of rank 4')
        self._output_names = [spec.name for spec in self._outputs]
        fixed_batch = self._inputs[0].shape[0]
        self._fixed_batch = fixed_batch is not None
        self._batch_size = fixed_batch or batch_size
        self._parallel_runs = options.parallel_runs
        self._size = self._resolve_size(options.input_shape)
        self._info = EngineInfo(
            backend='onnxruntime',
            precision=options.precision,
            device=device,
            version=_version(),
            warnings=options.warnings,
            entries=options.entries,
            digest=options.digest,
            engine_bytes=options.engine_bytes,
        )

    @property
    def info(self) -> EngineInfo:
        """Return the description of what runs."""
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
        """Change the input size, as :class:`.engine.InferenceEngine` describes."""
        self._check_input_size(size)
        self._size = size

    def get_batch_size(self) -> int:
        """Return the largest number of images that one run() takes."""
        return self._batch_size

    def get_parallel_runs(self) -> int:
        """Return the number of run() calls that may be in progress at once, in any threads."""
        return self._parallel_runs

    def run(self, batch: npt.NDArray[Any]) -> list[npt.NDArray[Any]]:
        """
        Run the network, as :class:`.engine.InferenceEngine` describes, into new arrays.

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
            inputs = {self._inputs[0].name: batch}
            outputs = session.run(self._output_names, inputs, self._run_options)
        except Exception as error:  # ONNX Runtime's own classes share no base but this one
            raise EngineError(f'ONNX Runtime could not run the model: {error}') from error
        # Outputs without a batch dimension are those of the one image of a batch of one.
        return [output[:count] for output in outputs] if padded else list(outputs)

    def interrupt(self) -> None:
        """Make the run in progress and all further ones fail, as soon as a node has run."""
        self._run_options.terminate = True

    def close(self) -> None:
        """Free the session; calling it again does nothing."""
        self._session = None

    def _choose_session(self, count: int) -> tuple[int, Any]:
        """Return the number of images to run for a batch of count images, and the session."""
        return (self._batch_size if self._fixed_batch else count), self._session

    def _own_size(self) -> tuple[int | None, int | None]:
        """Return the (height, width) of the model, None for a dimension that it leaves open."""
        return self.input_spec.height_width(self.input_spec.shape)

    def _resolve_size(self, wanted: tuple[int, int] | None) -> tuple[int, int]:
        """Return (height, width): the model's own if it is fixed, else the requested one."""
        own = self._own_size()
        height, width = wanted or DEFAULT_INPUT_SIZE
        size = (own[0] or height, own[1] or width)
        if wanted is not None and size != wanted:
            raise ModelError(
                f'the input {self._inputs[0]} has a fixed size of {size[1]}x{size[0]} pixels; '
                f'it cannot run at {wanted[1]}x{wanted[0]}; set input_shape to auto'
            )
        return size


def has_provider(name: str) -> bool:
    """Return whether the ONNX Runtime of this machine was built for a provider: CUDA, OpenVINO."""
    try:
        onnxruntime = load_onnxruntime()
    except BackendUnavailableError:
        return False
    return f'{name}ExecutionProvider' in onnxruntime.get_available_providers()


def make_asynchronous_run_options() -> Any:
    """Return options of a run that queues its work on the device and returns at once."""
    options = load_onnxruntime().RunOptions()
    options.add_run_config_entry('disable_synchronize_execution_providers', '1')
    return options


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
    return str(load_onnxruntime().__version__)
