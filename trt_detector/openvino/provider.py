# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Options of ONNX Runtime's OpenVINO provider, and the nodes that it runs."""

from __future__ import annotations

from collections import Counter
import json
from typing import Any

from ..errors import BackendUnavailableError, EngineError
from ..model_info.onnx_session import load_onnxruntime

__all__ = [
    'EXPENSIVE',
    'PROVIDER',
    'Provider',
    'check_available',
    'count_nodes',
    'make_provider',
]

PROVIDER = 'OpenVINOExecutionProvider'
# Operators that take nearly all of the time.
EXPENSIVE = frozenset({'Conv', 'ConvTranspose', 'Gemm', 'MatMul'})

Provider = tuple[str, dict[str, str]]


def check_available() -> None:
    """
    Check that the ONNX Runtime of this machine has the OpenVINO provider.

    :raises BackendUnavailableError: if it has not, with the providers that it has.
    """
    onnxruntime = load_onnxruntime()
    found = onnxruntime.get_available_providers()
    if PROVIDER not in found:
        raise BackendUnavailableError(
            f'ONNX Runtime {onnxruntime.__version__} has no {PROVIDER}, only {", ".join(found)}; '
            'uninstall onnxruntime and onnxruntime-gpu, which cannot stay beside it, and pip '
            'install onnxruntime-openvino, or set onnxruntime_provider to cpu'
        )


def make_provider(*, reduced_precision: bool, threads: int) -> Provider:
    """
    Make the provider's name and options, for the CPU.

    :param reduced_precision: compute in FP16 or bfloat16, whichever the CPU has; else in FP32.
    :param threads: threads of all runs together; 0 is one per physical core.
    """
    settings: dict[str, Any] = {
        'INFERENCE_PRECISION_HINT': 'f16' if reduced_precision else 'f32',
        # Of several runs, each one waits for the other and then has all threads.
        'NUM_STREAMS': 1,
        # Several processes would pin their threads to the same cores.
        'ENABLE_CPU_PINNING': 'NO',
    }
    if threads:
        settings['INFERENCE_NUM_THREADS'] = threads
    return PROVIDER, {'device_type': 'CPU', 'load_config': json.dumps({'CPU': settings})}


def count_nodes(session: Any) -> tuple[int, Counter[str]]:
    """
    Count the nodes that OpenVINO runs, and those of the CPU provider per operator.

    :param session: of ONNX Runtime, opened as required.
    :return: 0 and nothing if ONNX Runtime does not tell (before 1.24).
    :raises EngineError: if ONNX Runtime dropped the provider, or left all nodes to another one.
    """
    if PROVIDER not in session.get_providers():
        raise EngineError(
            'ONNX Runtime could not start OpenVINO and runs the model on its CPU provider; its '
            'log lines above have the reason. Install onnxruntime-openvino again, or set '
            'onnxruntime_provider to cpu'
        )
    own, others = 0, Counter[str]()
    if not hasattr(session, 'get_provider_graph_assignment_info'):
        return own, others
    for part in session.get_provider_graph_assignment_info():
        nodes = part.get_nodes()
        if part.ep_name == PROVIDER:
            own += len(nodes)
        else:
            others.update(node.op_type for node in nodes)
    if not own:
        raise EngineError(
            'OpenVINO takes no node of the model, so that the CPU provider would run all '
            f'{others.total()}; set onnxruntime_provider to cpu'
        )
    return own, others
