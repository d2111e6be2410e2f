# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Memory layout of a network's image input."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import ModelError
from ..values.tensor_spec import TensorSpec

__all__ = ['InputLayout']


@dataclass(frozen=True, slots=True)
class InputLayout:
    """
    Memory layout of a network's image input.

    :param channels: 1 or 3.
    :param channels_last: whether it is [N, H, W, C].
    :param dtype: float32, float16 or uint8.
    """

    channels: int
    channels_last: bool
    dtype: np.dtype[np.generic]

    @classmethod
    def of(cls, input_spec: TensorSpec) -> InputLayout:
        """
        Return the layout of an input.

        :raises ModelError: if the input is not an image.
        """
        shape, dtype = input_spec.shape, input_spec.dtype
        if len(shape) == 4 and dtype in (np.float32, np.float16, np.uint8):
            if shape[1] in (1, 3):
                return cls(int(shape[1] or 3), False, dtype)
            if shape[3] in (1, 3):
                return cls(int(shape[3] or 3), True, dtype)
        raise ModelError(
            f'input is {input_spec}; expected [N, C, H, W] or [N, H, W, C] with 1 or 3 channels '
            'in float32, float16 or uint8'
        )
