# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Precision that TensorRT really built."""

from __future__ import annotations

import logging

from ...errors import EngineError
from ..inspector import built_precision, inspect_plan, LayerInfo
from ..library import TensorRTLibrary
from .build_plan import BuildOutcome

__all__ = ['explain_built_precision', 'get_built_precision', 'inspect_outcome']

_LOG = logging.getLogger(__name__)


def inspect_outcome(
    library: TensorRTLibrary, outcome: BuildOutcome, dla_core: int
) -> tuple[LayerInfo, ...]:
    """List the layers of a new plan, none if it cannot be inspected; a context is current."""
    try:
        return inspect_plan(library, outcome.plan, dla_core)
    except EngineError as error:
        _LOG.warning('the precision of the new plan cannot be inspected: %s', error)
        return ()


def get_built_precision(
    library: TensorRTLibrary, outcome: BuildOutcome, layers: tuple[LayerInfo, ...]
) -> str:
    """
    Return the precision of the built plan.

    Flags allow a precision but do not enforce it, so the engine inspector decides. A strongly
    typed network has its own types, of which only FP32 may be run in another one: TF32.
    """
    if not library.has_precision_flags and outcome.precision != 'fp32':
        return outcome.precision
    return built_precision(layers) or outcome.precision


def explain_built_precision(allowed: str, built: str) -> tuple[str, ...]:
    """
    Make the warnings about a built precision that is not the allowed one.

    :param allowed: precision of the request: 'fp32', 'fp16' or 'int8'.
    :param built: precision from the engine inspector.
    """
    if built == allowed:
        return ()
    text = (
        f'precision {allowed} was requested, but TensorRT built {built}, because no layer is '
        'faster at the requested precision'
    )
    if built == 'tf32':
        text = 'FP32 layers run in TF32 (10 bits of mantissa); set precision to fp32 for full FP32'
    return (text,)
