# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Options and messages of the OpenVINO provider, which need no OpenVINO."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import onnxruntime
import pytest
from support.models import lamp_detector
from trt_detector.config import DetectorConfig
from trt_detector.errors import BackendUnavailableError, EngineError
from trt_detector.factory import create_detector
from trt_detector.openvino.provider import count_nodes, make_provider, PROVIDER


def test_a_missing_provider_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = ['AzureExecutionProvider', 'CPUExecutionProvider']
    monkeypatch.setattr(onnxruntime, 'get_available_providers', lambda: found)
    config = DetectorConfig(
        model_path=str(lamp_detector(tmp_path / 'lamp.onnx')), backend='onnxruntime',
        onnxruntime_provider='openvino',
    )  # fmt: skip
    with pytest.raises(BackendUnavailableError) as error:
        create_detector(config)
    text = str(error.value)
    assert f'has no {PROVIDER}, only {", ".join(found)}' in text
    assert 'pip install onnxruntime-openvino' in text


@pytest.mark.parametrize(('reduced', 'hint'), [(False, 'f32'), (True, 'f16')])
@pytest.mark.parametrize('threads', [0, 3])
def test_options(reduced: bool, hint: str, threads: int) -> None:
    name, options = make_provider(reduced_precision=reduced, threads=threads)
    assert (name, options['device_type']) == (PROVIDER, 'CPU')
    settings = json.loads(options['load_config'])['CPU']
    assert settings['INFERENCE_PRECISION_HINT'] == hint
    assert settings.get('INFERENCE_NUM_THREADS', 0) == threads
    assert (settings['NUM_STREAMS'], settings['ENABLE_CPU_PINNING']) == (1, 'NO')


class _Session:
    """Session with nodes of providers."""

    def __init__(self, **nodes: list[str]) -> None:
        self._nodes = nodes

    def get_providers(self) -> list[str]:
        """Return the providers that started."""
        return [PROVIDER, 'CPUExecutionProvider']

    def get_provider_graph_assignment_info(self) -> list[Any]:
        """Return the parts of the graph, as ONNX Runtime 1.24 has them."""
        return [
            SimpleNamespace(
                ep_name=provider,
                get_nodes=lambda kinds=kinds: [SimpleNamespace(op_type=kind) for kind in kinds],
            )
            for provider, kinds in self._nodes.items()
        ]


def test_nodes_are_counted_per_provider() -> None:
    session = _Session(**{PROVIDER: ['Conv', 'Relu'], 'CPUExecutionProvider': ['TopK', 'TopK']})
    assert count_nodes(session) == (2, {'TopK': 2})


def test_a_model_that_openvino_does_not_take_at_all_is_an_error() -> None:
    with pytest.raises(EngineError, match='takes no node of the model, .* would run all 2; set'):
        count_nodes(_Session(CPUExecutionProvider=['Conv', 'Relu']))


def test_a_runtime_that_does_not_tell_gives_no_number() -> None:
    older = SimpleNamespace(get_providers=lambda: [PROVIDER, 'CPUExecutionProvider'])
    assert count_nodes(older) == (0, {})
