# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Test the parameters of the node: declared, read, changed while it runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from support.ros_graph import detector_node, ROOT, StubFactory, values_of
from trt_detector.config import parameter_specs
from trt_detector.depth.config import DepthConfig
from trt_detector.errors import ConfigError
from trt_detector.factory import create_detector
from trt_detector.parameter_spec import describe_fields, ParameterSpec
import yaml

NOT_LIVE = [spec.name for spec in parameter_specs() if not spec.live]


SPECS = {spec.name: spec for spec in parameter_specs()}


def other_value(spec: Any) -> Any:
    """Choose a valid value of a parameter that is not its default."""
    others = {
        'min_shape': [1, 3, 64, 64],
        'opt_shape': [1, 3, 64, 64],
        'max_shape': [1, 3, 64, 64],
        'input_shape': '64x64',
        'input_mean': [1.0],
        'input_std': [2.0],
        'tiling': '2x2',
        'batch_size': 3,
    }
    if spec.name in others:
        return others[spec.name]
    if spec.choices:
        return next(choice for choice in spec.choices if choice != spec.default)
    if spec.type == 'bool':
        return not spec.default
    if spec.type in ('int', 'float'):
        number = spec.maximum if spec.maximum not in (None, spec.default) else spec.minimum
        number = 1 if number in (None, spec.default) else number
        return int(number) if spec.type == 'int' else float(number)
    items: dict[str, Any] = {'list[str]': ['other'], 'list[int]': [1], 'list[float]': [1.0] * 6}
    return items.get(spec.type, 'other')


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


@pytest.mark.parametrize(
    ('name', 'specs'),
    [
        ('detector.yaml', parameter_specs()),
        ('detections_3d.yaml', describe_fields(DepthConfig)),
    ],
)
def test_config_file_lists_every_parameter_with_its_default_unit_and_meaning(
    name: str, specs: Sequence[ParameterSpec]
) -> None:
    path = ROOT / 'config' / name
    text = path.read_text(encoding='utf-8')
    values = yaml.safe_load(text)['/**']['ros__parameters']
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
        ('score_threshold', 'high', "score_threshold is 'high'; expected a number"),
        ('max_detections', 0, 'max_detections is 0; expected 1 to'),
        ('max_detections', 2.5, 'max_detections is 2.5; expected an integer'),
        ('classes', ['zebra'], "classes holds 'zebra'; expected names or numbers of: car"),
        ('classes', 'car', "classes is 'car'; expected a list of strings"),
        ('publish_debug_image', 1, 'publish_debug_image is 1; expected true or false'),
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
                result = running.set_parameter(name, other_value(SPECS[name]))
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


def test_empty_list_that_means_the_default_is_reported(capfd: pytest.CaptureFixture[str]) -> None:
    arguments = ('-p', 'image_topics:=[]', '-p', 'classes:=[]')
    with detector_node(cli_args=arguments) as running:
        assert running.node.get_parameter('image_topics').value is None
    logged = capfd.readouterr().err
    assert (
        "image_topics is an empty list, which ROS reads as not set: it is ['image_raw']" in logged
    )
    assert 'classes is an empty list' not in logged


def test_setting_the_present_value_succeeds_while_configured() -> None:
    with detector_node(classes=['dog'], batch_size=1) as running:
        assert running.configure()
        for activate in (False, True):
            assert not activate or running.activate()
            for spec in parameter_specs():
                value = running.node.get_parameter(spec.name).value
                value = list(value) if hasattr(value, 'tolist') else value
                result = running.set_parameter(spec.name, value)
                assert result.successful, f'{spec.name}: {result.reason}'


@pytest.mark.parametrize('value', ['true', 1, 'yes'])
def test_autostart_of_a_wrong_type_is_refused_at_start(value: Any) -> None:
    with (
        pytest.raises(ConfigError, match=r'autostart is .* expected true or false'),
        detector_node(autostart=value),
    ):
        pass


@pytest.mark.parametrize('value', [[120.3], [150]])
def test_number_to_the_base_60_in_class_score_thresholds_is_explained(value: Any) -> None:
    with detector_node(class_score_thresholds=value) as running:
        assert not running.configure()
        error = values_of(running.status('detector'))['last error']
        assert f'class_score_thresholds holds the number {value[0]}' in error
        assert "write '2:0.3' in quotes" in error


def test_relative_model_path_names_the_working_directory() -> None:
    with detector_node(create_detector, model_path='no/such.onnx') as running:
        assert not running.configure()
        error = values_of(running.status('detector'))['last error']
        assert f'no/such.onnx (the working directory is {Path.cwd()})' in error
