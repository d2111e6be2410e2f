# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Find the decoder for a network by its outputs and metadata."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..errors import ModelError
from ..tensor_spec import TensorSpec
from .end_to_end import EndToEnd
from .head import Head, HeadLayout
from .yolo import Yolo

__all__ = ['known_layouts', 'recognize_head']

# The first that matches decodes: the narrower layout stands before the wider one.
_LAYOUTS: tuple[HeadLayout, ...] = (EndToEnd(), Yolo())


def known_layouts() -> tuple[str, ...]:
    """Return one line a layout: its name and what it looks like."""
    return tuple(f'{layout.name}: {layout.description}' for layout in _LAYOUTS)


def recognize_head(outputs: Sequence[TensorSpec], metadata: Mapping[str, str]) -> Head:
    """
    Return the decoder for a network.

    :param outputs: the network's outputs in the order in which it gives them.
    :param metadata: key and value texts of the model file.
    :raises ModelError: if no layout matches, or the model is not a detector.
    """
    task = metadata.get('task', 'detect')
    if task != 'detect':
        raise ModelError(f"the model's task is {task!r}; expected 'detect'")
    for layout in _LAYOUTS:
        head = layout.match(outputs, metadata)
        if head is not None:
            return head
    found = '; '.join(str(output) for output in outputs) or 'none'
    known = '; '.join(known_layouts())
    raise ModelError(f'no head layout fits the outputs {found}. Known layouts: {known}')
