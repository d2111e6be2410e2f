# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Map the values of a parameter to the positions of a slider."""

from __future__ import annotations

from dataclasses import dataclass
import math

from ...parameter_spec import ParameterSpec

__all__ = ['make_scale', 'SliderScale']

_STEPS = 100
# Ranges that end beyond it get a logarithmic scale.
_LINEAR_LIMIT = 10.0
_DIGITS = 2


@dataclass(frozen=True, slots=True)
class SliderScale:
    """
    Scale of a slider with positions from 0 to :attr:`steps`.

    :param minimum: value at position 0.
    :param maximum: value at the last position.
    :param is_logarithmic: equal steps are equal ratios.
    :param is_integer: values are whole numbers.
    """

    minimum: float
    maximum: float
    is_logarithmic: bool
    is_integer: bool
    steps: int = _STEPS

    def to_value(self, position: float) -> float | int:
        """Convert a position to a value of the type of the parameter."""
        share = min(max(position / self.steps, 0.0), 1.0)
        if self.is_logarithmic:
            value = self.minimum * (self.maximum / self.minimum) ** share
            # Two digits are as fine as the steps.
            value = float(f'{value:.{_DIGITS}g}')
        else:
            value = round(self.minimum + share * (self.maximum - self.minimum), _DIGITS)
        value = min(max(value, self.minimum), self.maximum)
        return round(value) if self.is_integer else value

    def to_position(self, value: float) -> float:
        """Convert a value to the closest position."""
        value = min(max(value, self.minimum), self.maximum)
        if self.is_logarithmic:
            share = math.log(value / self.minimum) / math.log(self.maximum / self.minimum)
        else:
            share = (value - self.minimum) / (self.maximum - self.minimum)
        return round(share * self.steps)


def make_scale(spec: ParameterSpec) -> SliderScale | None:
    """Create the scale of a parameter; None if it has no range or one that no slider suits."""
    if spec.type not in ('int', 'float') or spec.minimum is None or spec.maximum is None:
        return None
    if spec.maximum <= _LINEAR_LIMIT:
        return SliderScale(spec.minimum, spec.maximum, False, spec.type == 'int')
    if spec.minimum > 0:
        return SliderScale(spec.minimum, spec.maximum, True, spec.type == 'int')
    return None
