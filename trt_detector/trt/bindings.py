# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Inputs and outputs of a TensorRT engine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import EngineError
from ..values.tensor_spec import TensorSpec
from .library import TensorRTLibrary
from .profile import DEFAULT_OUTPUT, ProfileShapes

__all__ = ['Bindings', 'read_shape']

_DTYPES: dict[str, type[np.generic]] = {
    'FLOAT': np.float32,
    'HALF': np.float16,
    'INT8': np.int8,
    'INT32': np.int32,
    'INT64': np.int64,
    'BOOL': np.bool_,
    'UINT8': np.uint8,
}


@dataclass(frozen=True, slots=True)
class Bindings:
    """
    Inputs and outputs of an engine.

    :param input_spec: the image input, dynamic dimensions as None.
    :param output_specs: the outputs in the order of the engine.
    :param shapes: input shapes of the first optimization profile.
    """

    input_spec: TensorSpec
    output_specs: tuple[TensorSpec, ...]
    shapes: ProfileShapes

    @classmethod
    def read(
        cls, library: TensorRTLibrary, cuda_engine: Any, expected: Sequence[str] | None = None
    ) -> Bindings:
        """
        Read and check the tensors of an engine.

        :param library: the library of the engine.
        :param cuda_engine: ICudaEngine.
        :param expected: names of all tensors; None for any.
        :raises EngineError: if it does not have one image input and outputs in device memory.
        """
        input_mode = library.enum('TensorIOMode', 'INPUT')
        names = [cuda_engine.get_tensor_name(i) for i in range(cuda_engine.num_io_tensors)]
        if expected is not None and sorted(names) != sorted(expected):
            raise EngineError(
                f'the plan has the tensors {sorted(names)}, the model {sorted(expected)}: it was '
                'built from another model; remove it to have it built again'
            )
        specs = [_spec(library, cuda_engine, name) for name in names]
        is_input = [cuda_engine.get_tensor_mode(name) == input_mode for name in names]
        inputs = [spec for spec, flag in zip(specs, is_input, strict=True) if flag]
        outputs = tuple(spec for spec, flag in zip(specs, is_input, strict=True) if not flag)
        if len(inputs) != 1 or len(inputs[0].shape) != 4 or not outputs:
            found = '; '.join(str(spec) for spec in inputs) or 'none'
            raise EngineError(
                f'the plan has {len(outputs)} outputs and the inputs {found}; expected one image '
                'of rank 4 and at least one output'
            )
        return cls(inputs[0], outputs, _profile(cuda_engine, inputs[0]))

    @property
    def smallest_batch(self) -> int:
        """Return the minimum batch of the engine; smaller batches are padded."""
        return self.shapes.minimum[0]

    def usable_batch(self, wanted: int) -> int:
        """Return the maximum batch to use; a fixed batch of the engine takes precedence."""
        if self.input_spec.shape[0] is not None:
            return self.input_spec.shape[0]
        return max(1, min(wanted, self.shapes.maximum[0]))

    def resolve_size(self, wanted: tuple[int, int] | None) -> tuple[int, int]:
        """
        Return (height, width) to use: wanted, or the optimum of the profile if None.

        :raises EngineError: if the profile does not include it.
        """
        if wanted is None:
            return self.shapes.size
        shape = self.shapes.with_size(wanted)
        if not self.shapes.holds(shape):
            raise EngineError(
                f'input size {wanted[1]}x{wanted[0]} makes the shape {list(shape)}; the plan '
                f'accepts {self.shapes}'
            )
        return wanted

    def output_shapes(self, execution_context: Any) -> tuple[tuple[int, ...], ...]:
        """
        Return the shapes of the outputs for the input shape that is set.

        A data-dependent dimension gets the default of 300 rows (or 6 columns).
        """
        get_shape = execution_context.get_tensor_shape
        return tuple(_bounded(read_shape(get_shape, spec.name)) for spec in self.output_specs)

    def unbounded(self, execution_context: Any) -> dict[str, int]:
        """
        Return the outputs with a data-dependent dimension and their maximum size in bytes.

        The size is 0 if TensorRT does not know one, e.g. behind two such operators.

        The maximum input shape has to be set.

        :raises EngineError: if TensorRT does not know the maximum.
        """
        sizes = {
            spec.name: int(execution_context.get_max_output_size(spec.name))
            for spec in self.output_specs
            if any(dim < 0 for dim in read_shape(execution_context.get_tensor_shape, spec.name))
        }
        for name, size in sizes.items():
            if size < 0:
                raise EngineError(
                    f'TensorRT reports the maximum size {size} for output {name!r}, whose shape '
                    'depends on the image; expected a number of bytes; export the model without '
                    'NMS: the node applies NMS itself'
                )
        return sizes


def _spec(library: TensorRTLibrary, cuda_engine: Any, name: str) -> TensorSpec:
    """Return the spec of a tensor, or raise EngineError if it is not supported."""
    dtype = cuda_engine.get_tensor_dtype(name)
    if dtype.name not in _DTYPES:
        raise EngineError(
            f'tensor {name!r} of the plan has the type {dtype.name}; expected one of '
            f'{", ".join(_DTYPES)}; export the model with float32 inputs and outputs'
        )
    if cuda_engine.get_tensor_location(name) != library.enum('TensorLocation', 'DEVICE'):
        raise EngineError(
            f'tensor {name!r} of the plan is in host memory (a shape tensor); expected images '
            'and detections only'
        )
    shape = read_shape(cuda_engine.get_tensor_shape, name)
    dims = tuple(dim if dim >= 0 else None for dim in shape)
    return TensorSpec(name, dims, np.dtype(_DTYPES[dtype.name]))


def _profile(cuda_engine: Any, spec: TensorSpec) -> ProfileShapes:
    """Return the first profile of the input; a fixed shape is minimum, optimum and maximum."""
    if all(dim is not None for dim in spec.shape):
        fixed = tuple(dim for dim in spec.shape if dim is not None)
        return ProfileShapes(fixed, fixed, fixed)
    try:
        minimum, optimum, maximum = (
            tuple(shape) for shape in cuda_engine.get_tensor_profile_shape(spec.name, 0)
        )
    except (RuntimeError, ValueError) as error:
        raise EngineError(
            f'TensorRT has no profile for the input {spec}: {error}; build the plan again'
        ) from error
    return ProfileShapes(minimum, optimum, maximum)


def read_shape(get_tensor_shape: Callable[[str], Any], name: str) -> tuple[int, ...]:
    """
    Read the shape of a tensor.

    If TensorRT does not know it, older bindings return Dims of the length -1, whose len() is a
    ValueError, and newer ones raise RuntimeError.

    :param get_tensor_shape: method of an ICudaEngine or IExecutionContext.
    :param name: name of the tensor.
    :raises EngineError: if TensorRT does not know it.
    """
    try:
        return tuple(get_tensor_shape(name))
    except (RuntimeError, ValueError) as error:
        raise EngineError(f'TensorRT does not know the shape of {name!r}: {error}') from error


def _bounded(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Replace unknown dimensions of an output by the default."""
    rows, columns = DEFAULT_OUTPUT
    last = len(shape) - 1
    return tuple(
        dim if dim >= 0 else (columns if i == last and len(shape) > 2 else rows)
        for i, dim in enumerate(shape)
    )
