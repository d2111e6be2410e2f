# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Inference with ONNX Runtime's OpenVINO provider on the CPU."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

from ..onnxruntime_engine import OnnxRuntimeEngine, OnnxRuntimeOptions
from .probe import check_int8, find_precision
from .provider import check_available, count_nodes, EXPENSIVE, make_provider

__all__ = ['OpenVinoEngine']

# OpenVINO runs one after another on all threads: the next one has to be ready, no more.
_PARALLEL_RUNS = 2


class OpenVinoEngine(OnnxRuntimeEngine):
    """
    ONNX model that OpenVINO compiles for the CPU.

    It computes in FP32 unless told otherwise, also where OpenVINO would choose bfloat16.

    :param reduced_precision: compute in FP16 or bfloat16 if the CPU has instructions for it.
    :raises BackendUnavailableError: if ONNX Runtime was built without OpenVINO.
    :raises EngineError: if OpenVINO does not start, takes no node, or computes INT8 wrongly.

    For the other parameters see :class:`..onnxruntime_engine.OnnxRuntimeEngine`.
    """

    def __init__(
        self,
        model_bytes: bytes,
        batch_size: int,
        options: OnnxRuntimeOptions,
        *,
        reduced_precision: bool = False,
    ) -> None:
        check_available()
        session, is_int8 = options.session, options.precision == 'int8'
        provider = make_provider(
            reduced_precision=reduced_precision, threads=session.count_threads()
        )
        if is_int8:
            check_int8(provider)
        providers = (provider, 'CPUExecutionProvider')
        options = replace(
            options,
            session=replace(session, providers=providers, required=True, exact=False),
            parallel_runs=min(options.parallel_runs, _PARALLEL_RUNS),
        )
        super().__init__(model_bytes, batch_size, options)
        own, others = count_nodes(self._session)
        precision = find_precision(provider)
        warnings = [
            *_check_precision(precision, reduced=reduced_precision),
            *_check_placement(own, others),
        ]
        if session.spinning:
            warnings.append('inference_spinning has no effect with OpenVINO')
        computes = f'INT8 and {precision}' if is_int8 else precision
        nodes = f'{own} by OpenVINO' if own else 'unknown: ONNX Runtime is older than 1.24'
        if others:
            nodes += f', by the CPU provider {_list(others)}'
        entries = (('provider', f'OpenVINO, computes in {computes}'), ('nodes', nodes))
        self._info = replace(
            self._info,
            precision='int8' if is_int8 else precision,
            warnings=(*self._info.warnings, *warnings),
            entries=(*self._info.entries, *entries),
        )


def _check_precision(precision: str, *, reduced: bool) -> Iterator[str]:
    """Warn if the CPU does not compute in the precision that was requested."""
    if reduced and precision == 'fp32':
        yield (
            "precision is 'fp16', but this CPU has no instructions for FP16 or bfloat16: "
            'OpenVINO computes in FP32'
        )
    if not reduced and precision != 'fp32':
        yield (
            f'OpenVINO computes in {precision} although FP32 was requested, which is less '
            'accurate; install onnxruntime-openvino 1.23 or later'
        )


def _check_placement(own: int, others: Counter[str]) -> Iterator[str]:
    """Warn if operators that take long stayed on the CPU provider."""
    if EXPENSIVE & others.keys():
        yield (
            f'OpenVINO runs {own} nodes of the model, and the CPU provider {_list(others)}; '
            'compare its speed with onnxruntime_provider cpu'
        )


def _list(operators: Counter[str]) -> str:
    """List operators with their numbers."""
    return ', '.join(f'{count} {name}' for name, count in sorted(operators.items()))
