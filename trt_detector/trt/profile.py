# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Shapes of the optimization profile from model, parameters and defaults."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..errors import ConfigError
from ..values.tensor_spec import DEFAULT_INPUT_SIZE, is_channels_last, TensorSpec

__all__ = ['DEFAULT_OUTPUT', 'ProfileShapes', 'profile_shapes']

# (height, width) that a profile goes up to if neither the model nor a parameter gives a size.
_LARGEST_SIZE = (1280, 1280)
# (rows, columns) if neither the model nor a parameter gives them.
DEFAULT_OUTPUT = (300, 6)

Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ProfileShapes:
    """
    Input shapes of an optimization profile, in the order of the dimensions of the input.

    :param minimum: smallest.
    :param optimum: shape that the plan is optimized for.
    :param maximum: largest.
    """

    minimum: Shape
    optimum: Shape
    maximum: Shape

    @property
    def size(self) -> tuple[int, int]:
        """Return (height, width) of the optimum in pixels."""
        return self.size_of(self.optimum)

    def size_of(self, shape: Shape) -> tuple[int, int]:
        """Return (height, width) of a shape of this input."""
        first = 1 if is_channels_last(self.optimum) else 2
        return (shape[first], shape[first + 1])

    def with_size(self, size: tuple[int, int]) -> Shape:
        """Return the optimum with another height and width."""
        first = 1 if is_channels_last(self.optimum) else 2
        return (*self.optimum[:first], *size, *self.optimum[first + 2 :])

    def holds(self, shape: Sequence[int]) -> bool:
        """Return whether a shape is within the profile."""
        return len(shape) == len(self.minimum) and all(
            low <= dim <= high
            for low, dim, high in zip(self.minimum, shape, self.maximum, strict=True)
        )

    def __str__(self) -> str:
        if self.minimum == self.maximum:
            return str(list(self.minimum))
        return f'{list(self.minimum)} to {list(self.maximum)}'


def profile_shapes(
    spec: TensorSpec,
    batch_size: int,
    *,
    size: tuple[int, int] | None = None,
    min_shape: Shape = (),
    opt_shape: Shape = (),
    max_shape: Shape = (),
) -> ProfileShapes:
    """
    Compute the profile of an image input.

    Fixed dimensions of the model stay. A dynamic batch ranges from 1 to batch_size. Dynamic height
    and width are those of the given shapes (a missing shape follows the nearest given one), else
    size, else 640x640 with a maximum of 1280x1280.

    :param spec: the image input.
    :param batch_size: images per run.
    :param size: (height, width) from a parameter or the metadata of the model.
    :param min_shape: minimum shape, () if not given.
    :param opt_shape: optimum shape, () if not given.
    :param max_shape: maximum shape, () if not given.
    :raises ConfigError: if a given shape contradicts the model or another shape.
    """
    if len(spec.shape) != 4:
        raise ConfigError(f'the input {spec} has {len(spec.shape)} dimensions; expected an image')
    for name, shape in (('min', min_shape), ('opt', opt_shape), ('max', max_shape)):
        _check_given(spec, f'{name}_shape', shape)
    base = _default_shape(spec, batch_size, size)
    optimum = opt_shape or max_shape or min_shape or base
    minimum = min_shape or _with_batch(spec, optimum, 1)
    maximum = max_shape or _with_batch(spec, optimum, max(batch_size, optimum[0]))
    if size is None and not (min_shape or opt_shape or max_shape):
        maximum = _default_shape(spec, batch_size, _LARGEST_SIZE)
    shapes = ProfileShapes(minimum, optimum, maximum)
    if not shapes.holds(optimum):
        raise ConfigError(
            f'opt_shape {list(optimum)} is not within {shapes}; set each number between those of '
            'min_shape and max_shape'
        )
    return shapes


def _check_given(spec: TensorSpec, name: str, shape: Shape) -> None:
    """Reject a shape that differs from a fixed dimension of the model."""
    if not shape:
        return
    fits = len(shape) == 4 and all(
        own is None or own == dim for own, dim in zip(spec.shape, shape, strict=True)
    )
    if not fits:
        raise ConfigError(
            f'{name} is {list(shape)}, but the input of the model is {spec}; only the dimensions '
            'marked ? can be chosen'
        )


def _default_shape(spec: TensorSpec, batch_size: int, size: tuple[int, int] | None) -> Shape:
    """Return the shape of a full batch if no parameter gives one."""
    height, width = size or DEFAULT_INPUT_SIZE
    wanted = (batch_size, 3, height, width)
    if is_channels_last(spec.shape):
        wanted = (batch_size, height, width, 3)
    return tuple(
        own if own is not None else dim for own, dim in zip(spec.shape, wanted, strict=True)
    )


def _with_batch(spec: TensorSpec, shape: Shape, batch: int) -> Shape:
    """Replace the batch of a shape, if the model has a dynamic batch."""
    return shape if spec.shape[0] is not None else (batch, *shape[1:])
