# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Text, YAML and JSON files beside a model, and lists of class names."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from trt_detector.errors import ModelError
from trt_detector.model_info.class_names import parse_names
from trt_detector.model_info.hugging_face import read_processor_config
from trt_detector.model_info.paddle_config import read_paddle_config
from trt_detector.model_info.text_files import read_lines, read_text, read_yaml


@pytest.mark.parametrize(
    ('text', 'names'),
    [
        ('lamp\n\n# a comment\n box \n', ['lamp', 'box']),
        ('1: box\n0: lamp\n', ['lamp', 'box']),
        ('2. box\n1. lamp\n', ['lamp', 'box']),
        ('1  box\n0  lamp\n', ['lamp', 'box']),
        # Numbers that do not count the lines belong to the names.
        ('3 wheels\n2 wheels\n', ['3 wheels', '2 wheels']),
        ('1 lamp\nbox\n', ['1 lamp', 'box']),
        ('box\n1 lamp\n', ['box', '1 lamp']),
    ],
)
def test_numbers_before_names_give_their_order(
    text: str, names: list[str], tmp_path: Path
) -> None:
    (tmp_path / 'm.txt').write_text(text)
    assert read_lines(tmp_path / 'm.txt') == names


def test_a_large_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / 'm.txt'
    path.write_bytes(b'a' * (1 << 19))
    assert len(read_text(path)) == 1 << 19
    path.write_bytes(b'a' * ((1 << 19) + 1))
    with pytest.raises(ModelError, match='is larger than 524288 bytes; remove it'):
        read_text(path)


def test_aliases_that_repeat_exponentially_are_refused(tmp_path: Path) -> None:
    path = tmp_path / 'm.yaml'
    lines = ['a0: &a0 [x, x, x, x, x, x, x, x, x]']
    lines += [f'a{n}: &a{n} [{", ".join([f"*a{n - 1}"] * 9)}]' for n in range(1, 9)]
    path.write_text('\n'.join(lines))
    with pytest.raises(ModelError, match='its aliases stand for more than 200000 values'):
        read_yaml(path)
    path.write_text('\n'.join(lines[:3]))
    assert len(read_yaml(path)[0]['a2']) == 9
    path.write_text('a: &a [1, *a]')
    with pytest.raises(ModelError, match='a value contains itself by an alias'):
        read_yaml(path)


def test_names_of_one_number_are_no_list() -> None:
    assert parse_names({'names': "{0: 'a', '1': 'b'}"}) == ('a', 'b')
    assert parse_names({'names': "{0: 'a', '0': 'b'}"}) is None
    assert parse_names({'names': "{0: 'a', 2: 'b'}"}) is None


@pytest.mark.parametrize(
    ('step', 'scale'), [('', 1 / 255), ('is_scale: true, ', 1 / 255), ('is_scale: false, ', 1.0)]
)
def test_paddle_pads_to_height_and_width(step: str, scale: float, tmp_path: Path) -> None:
    (tmp_path / 'infer_cfg.yml').write_text(
        'Preprocess:\n'
        '- {type: Resize, keep_ratio: true, target_size: [64, 96]}\n'
        f'- {{type: NormalizeImage, {step}mean: [1, 2, 3], std: [4, 5, 6]}}\n'
    )
    found = read_paddle_config(tmp_path / 'm.onnx')
    assert found is not None
    assert (found.scale, found.mean, found.std) == (scale, (1, 2, 3), (4, 5, 6))
    # Height, then width.
    assert found.pad_size == (64, 96)


@pytest.mark.parametrize(
    ('content', 'scale'),
    [
        ({}, None),
        ({'do_rescale': True}, 1 / 255),
        ({'rescale_factor': 0.5}, 0.5),
        ({'do_rescale': True, 'rescale_factor': 0.25}, 0.25),
        ({'do_rescale': False, 'rescale_factor': 0.25}, 1.0),
    ],
)
def test_the_factor_of_a_processor(
    content: dict[str, object], scale: float | None, tmp_path: Path
) -> None:
    (tmp_path / 'preprocessor_config.json').write_text(json.dumps(content))
    found = read_processor_config(tmp_path / 'm.onnx')
    assert found is not None
    assert found.scale == scale


# Of ImageNet, on the scale of 0 to 1.
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


@pytest.mark.parametrize(
    ('content', 'expected'),
    [
        ({}, (None, None)),
        ({'do_normalize': True}, IMAGENET),
        ({'do_normalize': False, 'image_mean': 0.5}, ((0, 0, 0), (1, 1, 1))),
        (
            {'do_normalize': True, 'image_mean': [1, 2, 3], 'image_std': 0.5},
            ((1, 2, 3), (0.5, 0.5, 0.5)),
        ),
    ],
)
def test_the_normalization_of_a_processor(
    content: dict[str, object], expected: tuple[object, object], tmp_path: Path
) -> None:
    (tmp_path / 'preprocessor_config.json').write_text(json.dumps(content))
    found = read_processor_config(tmp_path / 'm.onnx')
    assert found is not None
    assert (found.mean, found.std) == expected


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        ({'rescale_factor': 0}, 'has the rescale_factor 0.0; expected 1e-06 or more'),
        ({'do_normalize': True, 'image_std': [1, 0, 1]}, r'has the image_std \[1.0, 0.0, 1.0\]'),
        ({'do_normalize': True, 'image_mean': [1, 2]}, r'has the image_mean \[1, 2\]; expected 3'),
    ],
)
def test_numbers_that_no_processor_can_have_are_refused(
    content: dict[str, object], message: str, tmp_path: Path
) -> None:
    (tmp_path / 'preprocessor_config.json').write_text(json.dumps(content))
    with pytest.raises(ModelError, match=message):
        read_processor_config(tmp_path / 'm.onnx')
