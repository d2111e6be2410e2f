# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Parameters of the nodes that benchmark_node measures."""

from __future__ import annotations

from pathlib import Path

import pytest
from trt_detector.errors import ConfigError
from trt_detector.tools.benchmark_node.parameters import collect_parameters

ROOT = Path(__file__).resolve().parents[3]
MODEL = ROOT / 'demo' / 'models' / 'demo_raw.onnx'


def write(folder: Path, text: str) -> Path:
    """Write a parameter file."""
    file = folder / 'parameters.yaml'
    file.write_text(text, encoding='utf-8')
    return file


def test_later_values_take_precedence(tmp_path: Path) -> None:
    file = write(
        tmp_path,
        'robot:\n  detector:\n    ros__parameters: {score_threshold: 0.3, iou_threshold: 0.4}\n'
        '/**:\n  ros__parameters: {iou_threshold: 0.1, use_sim_time: true, autostart: false,\n'
        f'    model_path: {MODEL}, image_topics: [a]}}\n',
    )
    values = collect_parameters([file], None, ['score_threshold=1'], compressed=True)
    assert values == {
        'model_path': str(MODEL), 'score_threshold': 1.0, 'iou_threshold': 0.4,
        'image_transport': 'compressed', 'autostart': True,
    }  # fmt: skip
    # A node declares a number with a fraction, and refuses a whole one.
    assert isinstance(values['score_threshold'], float)


def test_every_parameter_of_the_documented_file_is_taken() -> None:
    file = ROOT / 'config' / 'detector.yaml'
    values = collect_parameters([file], str(MODEL), ['classes=[car]'], compressed=False)
    assert values['classes'] == ['car']
    assert values['model_path'] == str(MODEL)
    # ROS cannot tell the type of an empty list.
    assert [] not in values.values()


def test_the_demo_model_is_the_default() -> None:
    assert collect_parameters([], None, [], compressed=False)['model_path'] == str(MODEL)


@pytest.mark.parametrize(
    ('text', 'reason'),
    [
        ('/a:\n  ros__parameters: {}\n/b:\n  ros__parameters: {}\n', 'for /a, /b; expected one'),
        ('score_threshold: 0.5\n', 'for no node'),
        ('/**:\n  ros__parameters: {score_treshold: 1}\n', "did you mean 'score_threshold'"),
    ],
)
def test_files_that_do_not_fit_are_refused(tmp_path: Path, text: str, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        collect_parameters([write(tmp_path, text)], str(MODEL), [], compressed=False)
