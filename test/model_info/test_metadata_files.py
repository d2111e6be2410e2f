# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Files beside a model that are not what they seem: used, or reported by name."""

from __future__ import annotations

import json
from pathlib import Path

import onnx
import pytest
from support.models import lamp_detector
from trt_detector.config import DetectorConfig
from trt_detector.errors import ModelError
from trt_detector.factory import create_detector
from trt_detector.model_info import read_model_info
from trt_detector.model_info.metadata_files import read_metadata_files

COCO = {
    'images': [],
    'annotations': [],
    'categories': [{'id': 1, 'name': 'lamp'}, {'id': 3, 'name': 'box'}],
}


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """Return a model without class names."""
    path = lamp_detector(tmp_path / 'm.onnx')
    proto = onnx.load(path)
    del proto.metadata_props[:]
    onnx.save(proto, path)
    return path


@pytest.mark.parametrize(
    ('name', 'content'),
    [('m.json', '{"0": "a", "1": "b"}'), ('m.yaml', '0: a\n1: b\n'), ('m.json', '{"0": "a"}')],
)
def test_numbered_names_are_a_class_list(name: str, content: str, model: Path) -> None:
    (model.parent / name).write_text(content)
    expected = ('a', 'b') if 'b' in content else ('a',)
    info = read_model_info(model)
    assert info.class_names == expected
    assert info.sources['names'].startswith(f'{name} beside')
    assert info.warnings == ()


@pytest.mark.parametrize(
    ('content', 'said'),
    [
        (json.dumps(COCO), 'COCO annotation file'),
        ('{"0": "a", "2": "b"}', 'the entries 0, 2; expected some of names'),
        ('{"weights": 1}', 'the entries weights'),
        ('"just a text"', 'it has str'),
        ('{}', 'no such entry'),
        ('{"a\\u001b[31mb": 1}', r'the entries a\x1b[31mb'),
    ],
)
def test_a_file_without_anything_to_use_is_reported(content: str, said: str, model: Path) -> None:
    file = model.parent / 'm.json'
    file.write_text(content)
    (warning,) = read_model_info(model).warnings
    assert warning.startswith(f'{file} was not used: ')
    assert said in warning
    # Who gives the names does not miss them.
    assert read_model_info(model, {'names'}).warnings == ()
    (model.parent / 'labels.txt').write_text('lamp\nbox\n')
    assert read_model_info(model).warnings == ()


def test_files_of_other_programs_are_not_reported(model: Path) -> None:
    (model.parent / 'config.json').write_text(json.dumps({'task': 'object-detection', 'a': 1}))
    assert read_model_info(model).warnings == ()
    assert 'task' not in read_model_info(model).metadata


@pytest.mark.parametrize('name', ['m.yaml', 'metadata.yaml'])
@pytest.mark.parametrize('task', ['banana', '[detect]', '7'])
def test_a_task_that_does_not_exist_is_reported_and_ignored(
    task: str, name: str, model: Path
) -> None:
    (model.parent / name).write_text(f'task: {task}\nnames: [lamp, box]\n')
    found = read_metadata_files(model)
    assert 'task' not in found.metadata
    assert found.metadata['names'] == "['lamp', 'box']"
    (warning,) = found.warnings
    assert warning.startswith(f'{model.parent / name} has the task')
    assert task.strip('[]') in warning
    config = DetectorConfig(model_path=str(model), backend='onnxruntime', warmup_iterations=0)
    with create_detector(config) as detector:
        assert warning in detector.info.warnings


def test_a_task_without_boxes_is_refused_with_its_file(model: Path) -> None:
    (model.parent / 'm.yaml').write_text('task: classify\n')
    config = DetectorConfig(model_path=str(model), backend='onnxruntime')
    with pytest.raises(
        ModelError, match=r"task is 'classify' \(m\.yaml beside m\.onnx\); expected"
    ):
        create_detector(config)


def test_a_wrong_task_in_the_model_is_refused_with_its_name(model: Path) -> None:
    proto = onnx.load(model)
    proto.metadata_props.add(key='task', value='banana')
    onnx.save(proto, model)
    config = DetectorConfig(model_path=str(model), backend='onnxruntime')
    with pytest.raises(ModelError, match=r"task is 'banana' \(metadata of m\.onnx\); expected"):
        create_detector(config)


def test_a_number_of_anchors_is_no_fault(model: Path) -> None:
    # As in the files of YOLOv5 itself.
    (model.parent / 'm.yaml').write_text('nc: 2\nanchors: 3\nnames: [lamp, box]\n')
    assert read_model_info(model).warnings == ()


@pytest.mark.parametrize(
    ('content', 'said'),
    [
        ('0  person\n1  car\n3  dog\n', 'go from 0 to 3 with gaps'),
        ('1: person\n90: dog\n', 'go from 1 to 90 with gaps'),
        ("item {\n  id: 1\n  name: 'person'\n}\n", 'blocks in braces'),
    ],
)
def test_lines_that_are_no_list_of_names_are_reported(
    content: str, said: str, model: Path
) -> None:
    (model.parent / 'labels.txt').write_text(content)
    info = read_model_info(model)
    assert info.class_names is None
    [warning] = info.warnings
    assert said in warning


def test_names_that_begin_with_numbers_are_names(model: Path) -> None:
    (model.parent / 'labels.txt').write_text('30 zone\n50 zone\n80 zone\n')
    info = read_model_info(model)
    assert info.class_names == ('30 zone', '50 zone', '80 zone')
    assert info.warnings == ()


def test_names_that_json_escapes_are_read(model: Path) -> None:
    proto = onnx.load(model)
    onnx.helper.set_model_props(proto, {'names': json.dumps(['\N{DOG FACE}', 'T\u00fcr'])})
    onnx.save(proto, model)
    assert read_model_info(model).class_names == ('\N{DOG FACE}', 'T\u00fcr')


def test_half_a_character_in_the_names_is_reported(model: Path) -> None:
    proto = onnx.load(model)
    onnx.helper.set_model_props(proto, {'names': r'["\ud83d"]'})
    onnx.save(proto, model)
    info = read_model_info(model)
    assert info.class_names is None
    [warning] = info.warnings
    assert "metadata 'names'" in warning


def test_a_file_of_lower_rank_only_completes(tmp_path: Path) -> None:
    (tmp_path / 'm.yaml').write_text('names: [a]\n')
    (tmp_path / 'metadata.yaml').write_text('names: [b]\nimgsz: 64\nstride: 32\n')
    found = read_metadata_files(tmp_path / 'm.onnx', known=('stride',))
    assert found.metadata == {'names': "['a']", 'imgsz': '64'}
    assert found.sources == {'names': 'm.yaml', 'imgsz': 'metadata.yaml'}


@pytest.mark.parametrize('spelling', ['imgsz', 'input_size', 'image_size'])
def test_the_input_size_has_several_spellings(spelling: str, tmp_path: Path) -> None:
    (tmp_path / 'm.json').write_text(json.dumps({spelling: [64, 96]}))
    assert read_metadata_files(tmp_path / 'm.onnx').metadata == {'imgsz': '[64, 96]'}


def test_an_empty_entry_is_none(tmp_path: Path) -> None:
    (tmp_path / 'm.yaml').write_text('names: []\nlabels: [a]\nimgsz:\nanchors: {}\n')
    found = read_metadata_files(tmp_path / 'm.onnx')
    assert (found.metadata, found.warnings) == ({'names': "['a']"}, ())


def test_a_file_with_a_faulty_entry_is_reported_once(tmp_path: Path) -> None:
    (tmp_path / 'm.yaml').write_text('task: banana\n')
    (warning,) = read_metadata_files(tmp_path / 'm.onnx').warnings
    assert "has the task 'banana'" in warning
