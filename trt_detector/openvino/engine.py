# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Inference with ONNX Runtime's OpenVINO provider on the CPU."""

from __future__ import annotations

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
        session = options.session
        provider = make_provider(
            reduced_precision=reduced_precision,
            threads=session.threads,
        )
        if options.precision == 'int8':
            check_int8(provider)
        session = replace(
            session,
            providers=(provider, 'CPUExecutionProvider'),
            required=True,
            exact=False,
        )
        runs = min(options.parallel_runs, _PARALLEL_RUNS)
        super().__init__(
            model_bytes, batch_size, replace(options, session=session, parallel_runs=runs)
        )
        own, others = count_nodes(self._session)
        listed = ', '.join(f'{count} {name}' for name, count in sorted(others.items()))
        precision, warnings = find_precision(provider), []
        if reduced_precision and precision == 'fp32':
            warnings.append(
                "precision is 'fp16', but this CPU has no instructions for FP16 or bfloat16: "
                'OpenVINO computes in FP32'
            )
        if not reduced_precision and precision != 'fp32':
            warnings.append(
                f'OpenVINO computes in {precision} although FP32 was requested; results are less '
                'accurate'
            )
        if EXPENSIVE & others.keys():
            warnings.append(
                f'OpenVINO runs {own} nodes of the model, and the CPU provider {listed}; compare '
                'its speed with onnxruntime_provider cpu'
            )
        if session.spinning:
            warnings.append('inference_spinning has no effect with OpenVINO')
        self._info = replace(
            self._info,
            precision='int8' if options.precision == 'int8' else precision,
            warnings=(*self._info.warnings, *warnings),
            entries=(
                *self._info.entries,
                ('provider', f'OpenVINO, computes in {precision}'),
                *_describe_nodes(own, listed),
            ),
        )


def _describe_nodes(own: int, listed: str) -> tuple[tuple[str, str], ...]:
    """Describe the nodes that OpenVINO runs as an entry of a report, if they are known."""
    others = f', by the CPU provider {listed}' if listed else ''
    return (('nodes', f'{own} by OpenVINO{others}'),) if own else ()
