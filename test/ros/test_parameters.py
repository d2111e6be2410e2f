# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Test the parameters of the node: declared, read, changed while it runs."""

from __future__ import annotations

from typing import Any

import pytest
from support.ros_graph import detector_node, ROOT, StubFactory
from trt_detector.config import parameter_specs
import yaml

NOT_LIVE = [spec.name for spec in parameter_specs() if not spec.live]


def plain(value: Any) -> Any:
    """Return a value with its lists as tuples."""
    return tuple(value) if isinstance(value, list | tuple) or hasattr(value, 'tolist') else value


def test_every_parameter_is_declared_with_its_default_and_meaning() -> None:
    with detector_node(model_path='', diagnostics_period=1.0) as running:
        for spec in parameter_specs():
            parameter = running.node.get_parameter(spec.name)
            assert plain(parameter.value) == spec.default, spec.name
            description = running.node.describe_parameter(spec.name).description
            assert description.startswith(spec.meaning)
            assert spec.unit in description


def test_config_file_lists_every_parameter_with_its_default_unit_and_meaning() -> None:
    path = ROOT / 'config' / 'detector.yaml'
    text = path.read_text(encoding='utf-8')
    values = yaml.safe_load(text)['/**']['ros__parameters']
    specs = parameter_specs()
    assert list(values) == [spec.name for spec in specs]
    lines = text.splitlines()
    for spec in specs:
        assert plain(values[spec.name]) == spec.default, spec.name
        at = next(n for n, line in enumerate(lines) if line.strip().startswith(f'{spec.name}:'))
        comment = []
        while lines[at - 1].strip().startswith('#'):
            at -= 1
            comment.insert(0, lines[at].strip().lstrip('# '))
        said = ' '.join(comment)
        assert spec.meaning in said, spec.name
        assert spec.unit in said
        assert all(choice in said for choice in spec.choices)


def test_live_parameters_change_the_detector_at_once() -> None:
    factory = StubFactory()
    with detector_node(factory) as running:
        assert running.configure()
        assert running.activate()
        detector = factory.made[0]
        assert running.set_parameter('score_threshold', 0.75).successful
        assert detector.options.score_threshold == 0.75
        assert running.set_parameter('score_threshold', 1).successful, 'a whole number is a number'
        assert running.set_parameter('iou_threshold', 0.6).successful
        assert running.set_parameter('max_detections', 7).successful
        assert running.set_parameter('classes', ['dog', '0']).successful
        assert detector.options.classes == {0, 2}
        assert running.set_parameter('classes', []).successful
        options = detector.options
        assert (options.score_threshold, options.iou_threshold) == (1.0, 0.6)
        assert (options.max_detections, options.classes) == (7, None)


@pytest.mark.parametrize(
    ('name', 'value', 'reason'),
    [
        ('score_threshold', 1.5, 'score_threshold is 1.5; expected 0 to 1'),
        ('score_threshold', 'high', "score_threshold is 'high' of type str"),
        ('max_detections', 0, 'max_detections is 0; expected 1 to'),
        ('max_detections', 2.5, 'max_detections is 2.5 of type float'),
        ('classes', ['zebra'], "classes holds 'zebra'; expected names or numbers of: car"),
        ('classes', 'car', "classes is 'car'; expected a list of str"),
        ('publish_debug_image', 1, 'publish_debug_image is 1 of type int'),
    ],
)
def test_wrong_values_are_refused_with_the_reason(name: str, value: Any, reason: str) -> None:
    factory = StubFactory()
    with detector_node(factory) as running:
        assert running.configure()
        assert running.activate()
        before = (factory.made[0].options, plain(running.node.get_parameter(name).value))
        result = running.set_parameter(name, value)
        assert not result.successful
        assert reason in result.reason
        after = (factory.made[0].options, plain(running.node.get_parameter(name).value))
        assert after == before


def test_fixed_parameters_are_refused_while_configured_and_accepted_before_and_after() -> None:
    with detector_node() as running:
        assert running.set_parameter('batch_size', 2).successful
        assert running.configure()
        for activate in (False, True):
            assert not activate or running.activate()
            for name in NOT_LIVE:
                value = running.node.get_parameter(name).value
                result = running.set_parameter(name, value)
                assert not result.successful, name
                assert f'{name} cannot change while the node is configured' in result.reason
                assert 'deactivate and clean up first' in result.reason
        assert running.deactivate()
        assert running.cleanup()
        assert running.set_parameter('batch_size', 3).successful


def test_wrong_values_are_refused_before_configure() -> None:
    with detector_node() as running:
        result = running.set_parameter('backend', 'tensorflow')
        assert not result.successful
        assert 'expected one of auto, tensorrt' in result.reason


def test_integers_are_converted() -> None:
    factory = StubFactory()
    with detector_node(factory, score_threshold=1, classes=[0, 2]) as running:
        assert running.configure()
        assert factory.made[0].options.score_threshold == 1.0
        assert factory.made[0].options.classes == {0, 2}


def test_unknown_parameter_is_reported(capfd: pytest.CaptureFixture[str]) -> None:
    with detector_node(score_treshold=0.5):
        pass
    logged = capfd.readouterr().err
    assert "parameter 'score_treshold' is unknown and has no effect" in logged
    assert "did you mean 'score_threshold'?" in logged
