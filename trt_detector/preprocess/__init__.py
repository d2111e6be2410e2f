# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Preprocessing: an image of any size to the network's input, and boxes back to the image."""

from __future__ import annotations

from .cpu_preprocessor import CpuPreprocessor
from .input_layout import InputLayout
from .letterbox import choose_input_size, Letterbox
from .preprocessor import Preprocessor
from .spec import PreprocessSpec, PRESETS

__all__ = [
    'PRESETS',
    'CpuPreprocessor',
    'InputLayout',
    'Letterbox',
    'PreprocessSpec',
    'Preprocessor',
    'choose_input_size',
]
