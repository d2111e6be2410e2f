# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""What is read from an ONNX file, and what is said of one that cannot be read."""

from __future__ import annotations

import hashlib
from pathlib import Path
import re

import numpy as np
import onnx
from onnx import helper, TensorProto
import onnxruntime
import pytest
from support.models import constant_detector, lamp_detector, save, tensor
from trt_detector.errors import ModelError
from trt_detector.model_info import prepare_model, read_model_info


def test_interface_and_metadata_are_read(tmp_path: Path) -> None:
    path = lamp_detector(tmp_path / 'lamp.onnx')
    info = read_model_info(path)
    assert str(info.image_input) == 'images [?, 3, 64, 64] float32'
    assert [str(spec) for spec in info.outputs] == ['output0 [?, 3, 6] float32']
    assert info.class_names == ('lamp', 'box')
    assert (info.input_size, info.stride) == ((64, 64), 32)
    assert info.precision == 'fp32'
    assert 'TopK' in info.operators
    assert info.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def _with(tmp_path: Path, props: dict[str, str], size: tuple[int | str, int | str]) -> Path:
    return constant_detector(tmp_path / 'm.onnx', np.zeros((1, 6)), props=props, size=size)


@pytest.mark.parametrize(
    ('imgsz', 'expected'),
    [('[384, 640]', (384, 640)), ('640', (640, 640)), ('[0, 1]', None), ('big', None)],
)
def test_a_dynamic_size_comes_from_the_metadata(
    tmp_path: Path, imgsz: str, expected: tuple[int, int] | None
) -> None:
    assert read_model_info(_with(tmp_path, {'imgsz': imgsz}, ('h', 'w'))).input_size == expected


@pytest.mark.parametrize(
    ('names', 'expected'),
    [
        ("{0: 'a', 1: 'b'}", ('a', 'b')),
        ("{1: 'b', 0: 'a'}", ('a', 'b')),
        ("['a', 'b']", ('a', 'b')),
        ('{"0": "a"}', ('a',)),
    ],
)
def test_class_names_of_every_exporter(
    tmp_path: Path, names: str, expected: tuple[str, ...]
) -> None:
    assert read_model_info(_with(tmp_path, {'names': names}, (64, 64))).class_names == expected


UNREADABLE_NAMES = [
    "{0: 'a', 2: 'b'}",
    "{1: 'a', 2: 'b'}",
    'a, b',
    'None',
    '',
    '{}',
    "{'x': 'y'}",
    "[['a']]",
]


@pytest.mark.parametrize('names', UNREADABLE_NAMES)
def test_unreadable_class_names_give_way_to_a_file_with_a_warning(
    tmp_path: Path, names: str
) -> None:
    path = _with(tmp_path, {'names': names}, (64, 64))
    info = read_model_info(path)
    assert info.class_names is None
    assert 'names' not in info.metadata
    [warning] = info.warnings
    assert repr(names) in warning
    assert 'm.onnx' in warning
    (tmp_path / 'names.txt').write_text('lamp\nbox\n')
    info = read_model_info(path)
    assert (info.class_names, len(info.warnings)) == (('lamp', 'box'), 1)


def test_several_inputs_are_named(tmp_path: Path) -> None:
    path = constant_detector(tmp_path / 'm.onnx', np.zeros((1, 6)), inputs=('left', 'right'))
    with pytest.raises(ModelError, match=r'inputs left .*; right .*; expected one image'):
        _ = read_model_info(path).image_input


def test_quantized_and_half_models_say_so(tmp_path: Path) -> None:
    nodes = [
        helper.make_node('QuantizeLinear', ['images', 'scale', 'zero'], ['q']),
        helper.make_node('DequantizeLinear', ['q', 'scale', 'zero'], ['d']),
        helper.make_node('Flatten', ['d'], ['output0']),
    ]
    path = save(
        tmp_path / 'q.onnx',
        nodes,
        inputs={'images': (1, 3, 8, 8)},
        outputs={'output0': (1, 192)},
        initializers=[tensor('scale', np.float32(0.1)), tensor('zero', np.int8(0))],
    )
    assert read_model_info(path).precision == 'int8'
    model = onnx.load(lamp_detector(tmp_path / 'l.onnx'))
    for weight in model.graph.initializer:
        if weight.name == 'corners':
            half = onnx.numpy_helper.to_array(weight).astype(np.float16)
            weight.CopyFrom(onnx.numpy_helper.from_array(half, 'corners'))
    onnx.save(model, tmp_path / 'half.onnx')
    assert read_model_info(tmp_path / 'half.onnx').precision == 'fp16'


def test_external_data_is_part_of_the_hash_and_must_be_there(tmp_path: Path) -> None:
    model = onnx.load(constant_detector(tmp_path / 'm.onnx', np.zeros((300, 6))))
    path = tmp_path / 'big.onnx'
    onnx.save(model, path, save_as_external_data=True, location='big.bin', size_threshold=0)
    before = read_model_info(path)
    assert before.external_data == (tmp_path / 'big.bin',)
    weights = bytearray((tmp_path / 'big.bin').read_bytes())
    weights[0] ^= 1
    (tmp_path / 'big.bin').write_bytes(weights)
    assert read_model_info(path).sha256 != before.sha256
    (tmp_path / 'big.bin').unlink()
    with pytest.raises(ModelError, match=r'keeps weights in big\.bin, which is not in'):
        read_model_info(path)


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        (b'', 'holds no ONNX graph'),
        (b'not a model', 'not an ONNX file'),
        (bytes(64), 'not an ONNX file|holds no ONNX graph'),
    ],
)
def test_what_is_no_model_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / 'bad.onnx'
    path.write_bytes(content)
    with pytest.raises(ModelError, match=message):
        read_model_info(path)


def test_a_truncated_model_is_refused(tmp_path: Path) -> None:
    path = lamp_detector(tmp_path / 'lamp.onnx')
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ModelError):
        read_model_info(path)


def test_paths_that_name_no_file(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match='model_path is empty'):
        read_model_info(Path())
    with pytest.raises(ModelError, match='is a folder'):
        read_model_info(tmp_path)
    with pytest.raises(ModelError, match=r'none\.onnx: No such file'):
        read_model_info(tmp_path / 'none.onnx')


def _bare(tmp_path: Path) -> Path:
    return constant_detector(tmp_path / 'm.onnx', np.zeros((1, 6)), size=('h', 'w'))


@pytest.mark.parametrize(
    ('name', 'content', 'source'),
    [
        ('m.yaml', 'names: {0: a, 1: b}', 'm.yaml'),
        ('m.yml', 'names: [a, b]', 'm.yml'),
        ('m.json', '["a", "b"]', 'm.json'),
        ('m.json', '{"id2label": {"0": "a", "1": "b"}}', 'm.json'),
        ('m.txt', 'a\n\nb\n', 'm.txt'),
        ('metadata.yaml', 'names: {0: a, 1: b}\nstride: 32', 'metadata.yaml'),
        ('config.json', '{"id2label": {"0": "a", "1": "b"}, "model_type": "x"}', 'config.json'),
        ('names.txt', 'a\nb', 'names.txt'),
        ('classes.txt', 'a\nb', 'classes.txt'),
        ('labels.txt', 'a\nb', 'labels.txt'),
    ],
)
def test_names_come_from_a_file_beside_the_model(
    tmp_path: Path, name: str, content: str, source: str
) -> None:
    path = _bare(tmp_path)
    assert read_model_info(path).class_names is None
    (tmp_path / name).write_text(content, encoding='utf-8')
    info = read_model_info(path)
    assert info.class_names == ('a', 'b')
    assert info.sources['names'] == f'{source} beside m.onnx'


def test_the_files_are_read_in_their_order_behind_the_metadata(tmp_path: Path) -> None:
    path = _bare(tmp_path)
    (tmp_path / 'names.txt').write_text('folder')
    assert read_model_info(path).class_names == ('folder',)
    (tmp_path / 'm.txt').write_text('text')
    assert read_model_info(path).class_names == ('text',)
    (tmp_path / 'm.yaml').write_text('imgsz: [96, 64]\nstride: 16\ntask: segment\n')
    info = read_model_info(path)
    assert (info.class_names, info.input_size, info.stride) == (('text',), (96, 64), 16)
    assert info.metadata['task'] == 'segment'
    (tmp_path / 'm.yaml').write_text('names: [yaml]')
    assert read_model_info(path).class_names == ('yaml',)
    info = read_model_info(_with(tmp_path, {'names': "['own']"}, (64, 64)))
    assert (info.class_names, info.sources['names']) == (('own',), 'metadata of m.onnx')


@pytest.mark.parametrize(
    ('name', 'content', 'message'),
    [
        ('m.yaml', b'names: [a, b', r'm\.yaml is not YAML'),
        ('m.json', b'{"names": ', r'm\.json is not JSON'),
        ('m.txt', b'\xff\xfe\x00', r'm\.txt is not UTF-8 text.*save it as UTF-8'),
        ('names.txt', 'T\u00fcr'.encode('latin-1'), r'names\.txt is not UTF-8.*save it as UTF-8'),
        ('names.txt', 'lamp'.encode('utf-16-le'), r'names\.txt is not UTF-8.*save it as UTF-8'),
        ('names.txt', 'lamp'.encode('utf-32'), r'names\.txt is not UTF-8.*save it as UTF-8'),
        ('m.yaml', b'names:\n\t- a', r'm\.yaml is not YAML: .* line 2, column 1:.*fix or remove'),
        ('m.yaml', b'names: [{name: a, id: 0}]', r'm\.yaml has the class names .*expected a list'),
        ('m.json', b'{"names": ["a", null]}', r'm\.json has the class names .*expected a list'),
        ('m.yaml', b'names: {0: a, 2: b}', r'm\.yaml has the class names .*numbered from 0'),
        ('config.json', b'// robot', r'config\.json is not JSON'),
    ],
)
def test_a_damaged_file_beside_the_model_is_a_warning_and_the_next_one_counts(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    path = _bare(tmp_path)
    (tmp_path / name).write_bytes(content)
    (tmp_path / 'labels.txt').write_text('lamp\nbox\n')
    info = read_model_info(path)
    assert info.class_names == ('lamp', 'box')
    [warning] = info.warnings
    assert re.search(message, warning)
    assert 'ignored' in warning


@pytest.mark.parametrize('name', ['config.json', 'labels.txt', 'metadata.yaml'])
def test_files_of_others_are_not_read_if_the_model_is_complete(tmp_path: Path, name: str) -> None:
    complete = {'names': "['own']", 'task': 'detect', 'stride': '32'}
    path = _with(tmp_path, complete, (64, 64))
    (tmp_path / name).write_bytes(b'\xff { // another program')
    info = read_model_info(path)
    assert (info.class_names, info.warnings) == (('own',), ())
    bare = _with(tmp_path, {'task': 'detect', 'stride': '32'}, (64, 64))
    assert read_model_info(bare, {'names'}).warnings == ()
    assert len(read_model_info(bare).warnings) == 1


@pytest.mark.parametrize(
    ('content', 'names'),
    [
        ('\ufefflamp\nbox\n'.encode(), ('lamp', 'box')),
        ('lamp\r\nT\u00fcr\r\n'.encode('utf-16'), ('lamp', 'T\u00fcr')),
        (b'0  lamp\n1  traffic light\n', ('lamp', 'traffic light')),
        (b'0: lamp\n1: box\n', ('lamp', 'box')),
        (b'1 lamp\n2 box\n', ('lamp', 'box')),
        (b'1. lamp\n0. box\n', ('box', 'lamp')),
        (b'3 seater\nlamp\n', ('3 seater', 'lamp')),
        (b'10\n20\n', ('10', '20')),
        (b'5 euro\n10 euro\n', ('5 euro', '10 euro')),
        (b'# classes of the yard\nlamp\n  # indoors\nbox\n', ('lamp', 'box')),
        (b'# from 0\n0 lamp\n1 box\n', ('lamp', 'box')),
    ],
)
def test_text_files_of_every_editor(tmp_path: Path, content: bytes, names: tuple[str]) -> None:
    path = _bare(tmp_path)
    (tmp_path / 'names.txt').write_bytes(content)
    assert read_model_info(path).class_names == names


@pytest.mark.parametrize(
    'content', ['names: [yes, no, on, 7, 1.10]', 'names: {0: yes, 1: no, 2: on, 3: 7, 4: 1.10}']
)
def test_words_and_numbers_of_yaml_stay_text(tmp_path: Path, content: str) -> None:
    path = _bare(tmp_path)
    (tmp_path / 'm.yaml').write_text(f'{content}\nimgsz: [96, 64]\nend2end: true\n')
    info = read_model_info(path)
    assert info.class_names == ('yes', 'no', 'on', '7', '1.10')
    assert (info.input_size, info.metadata['end2end']) == ((96, 64), 'True')


def test_the_configuration_of_a_hugging_face_repository_lies_above_its_onnx_folder(
    tmp_path: Path,
) -> None:
    (tmp_path / 'onnx').mkdir()
    path = _bare(tmp_path / 'onnx')
    (tmp_path / 'config.json').write_text('{"id2label": {"0": "lamp", "1": "box"}}')
    assert read_model_info(path).class_names == ('lamp', 'box')


@pytest.mark.parametrize('content', ['{"a": 1}', '3', '{"classes": 80, "head": [[1]]}', '[]'])
def test_a_file_that_says_nothing_is_passed_over(tmp_path: Path, content: str) -> None:
    path = _bare(tmp_path)
    (tmp_path / 'config.json').write_text(content)
    info = read_model_info(path)
    assert (info.class_names, dict(info.metadata)) == (None, {})


def test_tails_end_at_the_last_weights(tmp_path: Path) -> None:
    nodes = [
        helper.make_node('Exp', ['images'], ['before']),
        helper.make_node('Conv', ['before', 'w'], ['conv']),
        helper.make_node('Split', ['conv'], ['a', 'b'], axis=1, num_outputs=2),
        helper.make_node('Sigmoid', ['a'], ['left']),
        helper.make_node('Tanh', ['b'], ['right']),
    ]
    path = save(
        tmp_path / 'm.onnx',
        nodes,
        inputs={'images': (1, 3, 4, 4)},
        outputs={'left': (1, 1, 4, 4), 'right': (1, 1, 4, 4)},
        initializers=[tensor('w', np.zeros((2, 3, 1, 1), np.float32))],
        opset=18,
    )
    info = read_model_info(path)
    assert info.tails == {'left': {'Sigmoid', 'Split'}, 'right': {'Tanh', 'Split'}}
    assert 'Exp' in info.operators


def test_a_model_with_one_input_is_prepared_as_it_is(tmp_path: Path) -> None:
    path = lamp_detector(tmp_path / 'lamp.onnx')
    assert prepare_model(read_model_info(path)) == path.read_bytes()


@pytest.mark.parametrize(('batch', 'rows'), [('batch', 1), (3, 3)])
def test_target_sizes_become_the_size_of_the_input(
    tmp_path: Path, batch: int | str, rows: int
) -> None:
    path = save(
        tmp_path / 'm.onnx',
        [helper.make_node('Flatten', ['images'], ['boxes']),
         helper.make_node('Mul', ['orig_target_sizes', 'orig_target_sizes'], ['sizes'])],
        inputs={'images': (batch, 3, 'h', 'w'), 'orig_target_sizes': (batch, 2)},
        outputs={'boxes': (batch, 'n'), 'sizes': (batch, 2)},
        initializers=[],
    )  # fmt: skip
    info = read_model_info(path)
    assert info.image_input.name == 'images'
    with pytest.raises(ModelError, match='input size is unknown'):
        prepare_model(info)
    model = onnx.load_model_from_string(prepare_model(info, (48, 64)))
    onnx.checker.check_model(model)
    assert [value.name for value in model.graph.input] == ['images']
    [baked] = [onnx.numpy_helper.to_array(t) for t in model.graph.initializer]
    assert baked.tolist() == [[64, 48]] * rows


@pytest.mark.parametrize('batch', ['batch', 2])
@pytest.mark.parametrize(
    ('dtype', 'height', 'width', 'expected'),
    [
        (TensorProto.INT64, 'h', 'w', (48, 64)),
        (TensorProto.INT64, 8, 16, (8, 16)),
        (TensorProto.BOOL, 'h', 16, (48, 16)),
        (TensorProto.FLOAT, 'mask_h', 'mask_w', (48, 64)),
    ],
)
def test_the_pixel_mask_of_a_detr_becomes_ones(
    tmp_path: Path,
    batch: int | str,
    dtype: int,
    height: int | str,
    width: int | str,
    expected: tuple[int, int],
) -> None:
    pixels = helper.make_tensor_value_info('pixel_values', TensorProto.FLOAT, (batch, 3, 'h', 'w'))
    mask = helper.make_tensor_value_info('pixel_mask', dtype, (batch, height, width))
    outputs = [
        helper.make_tensor_value_info('image', TensorProto.FLOAT, (batch, 3, 'h', 'w')),
        helper.make_tensor_value_info('mask', TensorProto.FLOAT, (batch, 'mh', 'mw')),
    ]
    nodes = [
        helper.make_node('Neg', ['pixel_values'], ['image']),
        helper.make_node('Cast', ['pixel_mask'], ['mask'], to=TensorProto.FLOAT),
    ]
    graph = helper.make_graph(nodes, 'detr', [pixels, mask], outputs)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 12)], ir_version=8)
    path = tmp_path / 'detr.onnx'
    onnx.save_model(model, path)
    info = read_model_info(path)
    assert info.image_input.name == 'pixel_values'
    session = onnxruntime.InferenceSession(prepare_model(info))
    assert [value.name for value in session.get_inputs()] == ['pixel_values']
    _, found = session.run(None, {'pixel_values': np.zeros((2, 3, 48, 64), np.float32)})
    assert found.tolist() == np.ones((2, *expected)).tolist()


@pytest.mark.parametrize(
    ('shape', 'size'), [((3, 48, 64), (48, 64)), ((48, 64, 3), (48, 64)), ((1, 'h', 'w'), None)]
)
def test_an_image_without_a_batch_becomes_a_batch_of_one(
    tmp_path: Path, shape: tuple[int | str, ...], size: tuple[int, int] | None
) -> None:
    # The input is used in a subgraph, too, and the file has an operator set of long ago.
    branch = helper.make_graph(
        [helper.make_node('Neg', ['images'], ['negative'])], 'branch', [],
        [helper.make_tensor_value_info('negative', onnx.TensorProto.FLOAT, shape)],
    )  # fmt: skip
    path = save(
        tmp_path / 'm.onnx',
        [helper.make_node('If', ['yes'], ['out'], then_branch=branch, else_branch=branch)],
        inputs={'images': shape},
        outputs={'out': shape},
        initializers=[tensor('yes', np.array(True))],
        opset=11,
    )
    info = read_model_info(path)
    assert (info.image_input.name, len(info.image_input.shape)) == ('images', 4)
    assert (info.image_input.shape[0], info.input_size) == (1, size)
    prepared = prepare_model(info)
    onnx.checker.check_model(onnx.load_model_from_string(prepared), full_check=True)
    session = onnxruntime.InferenceSession(prepared)
    picture = np.random.default_rng(0).random([d if isinstance(d, int) else 8 for d in shape])
    [out] = session.run(None, {'images': picture[None].astype(np.float32)})
    np.testing.assert_array_equal(out, -picture.astype(np.float32))


def test_three_dimensions_without_channels_are_no_image(tmp_path: Path) -> None:
    path = save(
        tmp_path / 'm.onnx',
        [helper.make_node('Neg', ['tokens'], ['out'])],
        inputs={'tokens': (8, 64, 64)},
        outputs={'out': (8, 64, 64)},
        initializers=[],
    )
    info = read_model_info(path)
    assert (info.image_input.shape, info.lacks_batch) == ((8, 64, 64), False)
