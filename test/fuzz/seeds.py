# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""First inputs of the fuzzer: what cameras and exporters write, and broken forms of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
import json
from pathlib import Path
import struct
from types import MappingProxyType

import cv2
import numpy as np
import onnx
from onnx import helper, numpy_helper, TensorProto

from .targets.images import ENCODINGS, FORMATS
from .targets.metadata import FILES, SEPARATOR

__all__ = ['SEEDS', 'read_crashes']

CRASHES = Path(__file__).parent / 'crashes'
_SHA = '0123456789abcdef' * 4
_MANIFEST = {
    'format': 2, 'model_name': 'yolo', 'model_sha256': _SHA, 'library': 'tensorrt',
    'version': '10.3.0', 'device.name': 'Orin', 'device.compute_capability': [8, 7],
    'device.sm_count': 8, 'precision': 'int8', 'min_shape': [1, 3, 64, 64],
    'opt_shape': [1, 3, 64, 64], 'max_shape': [4, 3, 64, 64], 'calib_cache_sha256': _SHA,
    'flags': ['dla_core=0'], 'plugin_sha256': [], 'build_recipe': 1, 'plan_sha256': _SHA,
    'plan_bytes': 4096, 'built_precision': 'int8', 'layer_precision': '70 int8',
    'created': '2026-11-20T10:00:00+00:00', 'build_seconds': 12.5, 'details': {'layers': '77'},
}  # fmt: skip
_NAMES = "{0: 'lamp', 1: 'box'}"
_METADATA = {'names': _NAMES, 'imgsz': '[64, 64]', 'stride': '32', 'task': 'detect'}
_LITERALS = (
    _NAMES, "['lamp', 'box']", "{'0': 'lamp', '1': 'box'}", '{[1]: 2}', '{1e999: 1}', '{{}}',
    '0x' + 'f' * 4000, '[' * 60 + ']' * 60, 'True', '[640, 480]', '(1,)', '[2, 3]', '[-1, 17]',
    "{'nms': True}", '[[10,13,16,30,33,23],[30,61,62,45,59,119]]', '1_000', "b'lamp'", '{}',
)  # fmt: skip
_PROCESSOR = {
    'do_rescale': True, 'rescale_factor': 0.00392156862745098, 'do_normalize': True,
    'image_mean': [0.485, 0.456, 0.406], 'image_std': [0.229, 0.224, 0.225], 'do_resize': True,
    'size': {'height': 640, 'width': 640}, 'pad_size': {'height': 800, 'width': 1333},
}  # fmt: skip
_PADDLE = """Preprocess:
- {type: Resize, keep_ratio: true, target_size: [640, 640], interp: 2}
- type: NormalizeImage
  is_scale: true
  mean: [0.485, 0.456, 0.406]
  std: [0.229, 0.224, 0.225]
  norm_type: mean_std
- {type: Permute}
label_list: [person, bicycle]
"""
_DATA_YAML = """# Ultralytics
path: ../data
names:
  0: person
  1: yes
  2: 'no'
imgsz: [640, 640]
stride: 32
task: detect
end2end: false
kpt_shape: [17, 3]
args: {batch: 1, half: false, nms: true}
"""
_ALIASES = 'a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\nnames: [*c, *c]\n'
# Thirty levels that double: 2 ** 30 values if written out.
_BOMB = (
    ''.join(
        f'k{n}: &k{n} [*k{n - 1}, *k{n - 1}]\n' if n else 'k0: &k0 [lamp]\n' for n in range(30)
    )
    + 'names: *k29\n'
)
_MERGES = 'k0: &k0 {names: [lamp]}\n' + ''.join(
    f'k{n}: &k{n} {{<<: [*k{n - 1}, *k{n - 1}]}}\n' for n in range(1, 28)
)
_TAGS = (
    "names: [!!int '']", "names: [!!float '']", 'names: [!!bool x]', 'names: [!!timestamp x]',
    'names: [!!binary x]', 'names: &a [*a]', 'a: &a {b: *a}', '? [1, 2]\n: 3', '1: 2\n1: 3',
    'names: [2001-12-14t21:59:43.10-05:00, 1:30, 0x1f, .inf, ~]', '<<: {names: [a]}',
)  # fmt: skip


def _pictures() -> list[bytes]:
    """Encode small pictures in every format that OpenCV can write."""
    rng = np.random.default_rng(0)
    color = rng.integers(0, 255, (6, 8, 3), np.uint8)
    gray, deep = color[..., 0], rng.integers(0, 65535, (6, 8, 3), np.uint16)
    files = []
    logging = cv2.utils.logging
    level = logging.setLogLevel(logging.LOG_LEVEL_SILENT)
    for suffix in ('.jpg', '.png', '.webp', '.tiff', '.bmp', '.ppm', '.pgm', '.sr', '.gif', '.jp2',
                   '.hdr', '.pfm', '.avif'):  # fmt: skip
        for array in (color, gray, deep, np.dstack([color, gray]), np.float32(gray)):
            try:
                done, encoded = cv2.imencode(suffix, array)
            except cv2.error:
                # No format can hold all kinds of pixels.
                continue
            if done and len(encoded) < 3000:
                files.append(encoded.tobytes())
    logging.setLogLevel(level)
    progressive = [cv2.IMWRITE_JPEG_PROGRESSIVE, 1, cv2.IMWRITE_JPEG_RST_INTERVAL, 1]
    files.append(cv2.imencode('.jpg', color, progressive)[1].tobytes())
    return [*files, *(file[: len(file) // 2] for file in files), b'']


def _raw_images() -> list[bytes]:
    seeds = [
        struct.pack('<BBBBBHB', 0, number, 0, 8, 6, step, 0) + bytes(range(16))
        for number in range(len(ENCODINGS))
        for step in (8, 16, 24, 48, 64)
    ]
    return [*seeds, struct.pack('<BBBIIIB', 0, 1, 255, 4, 2, 12, 0) + bytes(30)]


def _compressed_images() -> list[bytes]:
    return [
        bytes([0, number % len(FORMATS)]) + file for number, file in enumerate(_pictures() * 2)
    ]


def _caches() -> list[bytes]:
    text = b'TRT-101401-EntropyCalibration2\nimages: 3c010a14\nmodel.0:0: 3f800000\nz: 0\n'
    return [
        text,
        text.replace(b'\n', b'\r\n'),
        b'\xef\xbb\xbf' + text[:-4],
        text + text,
        b'',
        text[:40],
    ]


def _manifests() -> list[bytes]:
    changes = (
        {}, {'build_seconds': 10**400}, {'plan_bytes': True}, {'format': 1}, {'details': {'a': 1}},
        {'device.compute_capability': [1]}, {'model_name': '../x'}, {'created': '\ud800'},
        {'library': []}, {'model_sha256': ''}, {'flags': [None]},
    )  # fmt: skip
    files = [json.dumps({**_MANIFEST, **change}).encode() for change in changes]
    many = json.dumps({str(number): 0 for number in range(30_000)}).encode()
    return [*files, many, files[0][:99], b'[]', b'{"a": 1, "a": 2}', b'[' * 2000]


def _headers() -> list[bytes]:
    texts = [json.dumps(_METADATA), json.dumps({'names': {'0': 'a', '1': 'b'}, 'stride': 32})]
    texts += [json.dumps({'names': text, 'task': 'pose', 'kpt_shape': text}) for text in _LITERALS]
    texts += ['{"a":' + '[' * 900 + ']' * 900 + '}', '{}', '{"a": NaN}', '[]']
    files = [struct.pack('<i', len(t)) + t.encode() + b'ftrt' + bytes(8) for t in texts]
    return [*files, b'ftrt' + bytes(20), b'\x7f\0\0\0{"a"', b'PK\x03\x04', b'\x80\x02', b'RKNN']


def _parameters() -> list[bytes]:
    rng = np.random.default_rng(1)
    return [rng.integers(0, 255, 40, np.uint8).tobytes() for _ in range(60)]


def _parameter_files() -> list[bytes]:
    repository = Path(__file__).parents[2]
    texts = [path.read_text(encoding='utf-8') for path in sorted(repository.glob('config/*.yaml'))]
    texts += [
        '/**:\n  ros__parameters:\n    classes: [lamp:0.5, 2:0.3]\n',
        'a:\n  b: {ros__parameters: {x: 1}}\n', '/*/detector: {ros__parameters: {}}\n',
        *_TAGS, _ALIASES, _BOMB, _MERGES,
    ]  # fmt: skip
    return [text.encode() for text in texts]


def _graph(
    nodes: list[onnx.NodeProto], output: tuple[int | str, ...] = ('n', 39, 84), kind: int = 1
) -> bytes:
    image = helper.make_tensor_value_info('images', TensorProto.FLOAT, ('n', 3, 64, 64))
    value = helper.make_tensor_value_info('output0', kind, output)
    weights = [
        numpy_helper.from_array(np.ones((2, 3, 1, 1), np.float32), 'w'),
        numpy_helper.from_array(np.array([1, 2]), 'sizes'),
    ]
    graph = helper.make_graph(nodes, 'g', [image], [value], initializer=weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 17)])
    helper.set_model_props(model, _METADATA)
    return bytes(model.SerializeToString())


def _many_outputs(count: int) -> bytes:
    """Make a chain of nodes each of which is an output: reading it took a minute."""
    nodes = [helper.make_node('Conv', ['images', 'w'], ['t0'])]
    nodes += [
        helper.make_node('Concat', [f't{n}', f't{n}'], [f't{n + 1}'], axis=-1)
        for n in range(count)
    ]
    model = onnx.load_model_from_string(_graph(nodes))
    del model.graph.output[:]
    for n in range(1, count):
        value = helper.make_tensor_value_info(f't{n}', TensorProto.FLOAT, ('n', 20, 7))
        model.graph.output.append(value)
    return bytes(model.SerializeToString())


def _many_inputs(count: int) -> bytes:
    """Make layers of nodes that take each of the layer before: count ** 3 ways through them."""
    layers = ['Cast', 'Mul', 'Add']
    nodes = []
    names = ['images'] * count
    for kind in layers:
        outputs = [f'{kind}{n}' for n in range(count)]
        nodes += [helper.make_node(kind, names, [output]) for output in outputs]
        names = outputs
    return _graph([*nodes, helper.make_node('Add', names, ['output0'])])


def _networks() -> list[bytes]:
    conv = helper.make_node('Conv', ['images', 'w'], ['x'], activation='Relu')
    circle = helper.make_node('Identity', ['output0'], ['output0'])
    concat = helper.make_node('Concat', ['x', 'x', 'x'], ['output0'], axis=-1)
    split = helper.make_node('Split', ['x', 'sizes'], ['a', 'output0'], axis=1)
    nothing = helper.make_node('Identity', [], ['output0'])
    branch = helper.make_node('If', ['x'], ['output0'], then_branch=onnx.GraphProto())
    rows = ('n', 20, 7)
    seeds = [
        _graph([conv, helper.make_node('Sigmoid', ['x'], ['output0'])]),
        _graph([circle], rows), _graph([conv, concat], rows), _graph([conv, split]),
        _graph([nothing], rows), _graph([conv, branch]), _graph([conv], (1, 300, 6)),
        _graph([conv], rows, 99),
        _graph([concat, helper.make_node('Mul', ['output0', 'x'], ['x'])], rows),
    ]  # fmt: skip
    for name, shape in (('scale_factor', (1, 2)), ('pixel_mask', (1, 64, 64))):
        model = onnx.load_model_from_string(seeds[0])
        model.graph.input.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))
        seeds.append(model.SerializeToString())
    model = onnx.load_model_from_string(seeds[0])
    weight = model.graph.initializer[0]
    weight.ClearField('raw_data')
    weight.data_location = TensorProto.EXTERNAL
    for location in ('weights.bin', '../x', 'a\0b', ''):
        weight.external_data.append(onnx.StringStringEntryProto(key='location', value=location))
        seeds.append(model.SerializeToString())
    seeds += [_many_outputs(2000), _many_inputs(150)]
    return [*seeds, seeds[0][:60], b'PK\x03\x04', b'\x08\x08', b'']


def _processor_configs() -> list[bytes]:
    changes = (
        {}, {'image_mean': [10**400] * 3}, {'rescale_factor': 0}, {'size': 800, 'max_size': 1333},
        {'size': {'shortest_edge': 800, 'longest_edge': 1333}}, {'size': {'max_height': True}},
        {'do_rescale': False}, {'do_normalize': False}, {'image_std': [1e-320] * 3},
        {'rescale_factor': 1e-320}, {'size': True}, {'image_mean': 1e308, 'image_std': 1e-30},
    )  # fmt: skip
    texts = [json.dumps({**_PROCESSOR, **change}).encode() for change in changes]
    kind = json.dumps({'model_type': 'rt_detr', 'id2label': {'0': 'a'}}).encode()
    return [*texts, texts[0] + SEPARATOR + kind, b'{}' + SEPARATOR + kind, b'[' * 2000, b'[]']


def _paddle_configs() -> list[bytes]:
    changes = (
        ('640, 640', '-1, 0'), ('0.485', '1' + '0' * 400), ('0.229', '1.0e-320'), ('true', '*x'),
        ('mean_std', 'none'), ('Resize', '!!int'), ('[0.485', '&a [*a'), ('640, 640', 'yes, 9'),
    )  # fmt: skip
    return [_PADDLE.encode(), *(_PADDLE.replace(*change, 1).encode() for change in changes)]


def _metadata_files() -> list[bytes]:
    texts = [
        _DATA_YAML,
        _PADDLE,
        _ALIASES,
        _BOMB,
        *_TAGS,
        *(f'names: {text}' for text in _LITERALS),
    ]
    texts += ['1 lamp\n2 box\n', '0: a\n1: b', '1' * 4400 + ' a', 'a\nb\n#c\n', '\ufeffa']
    objects = ({'id2label': {'0': 'a', '1': 'b'}}, {'names': ['a']}, ['a', 'b'], _METADATA)
    texts += [json.dumps(item) for item in objects]
    numbers = range(len(FILES))
    return [bytes([n]) + text.encode() for n in numbers for text in texts] + [b'']


def _bytes_of(count: int) -> list[bytes]:
    rng = np.random.default_rng(2)
    return [rng.integers(0, 255, 80, np.uint8).tobytes() for _ in range(count)]


def _onnx_metadata() -> list[bytes]:
    return [bytes([0]) + text.encode() + b'\0' for text in _LITERALS] + _bytes_of(20)


SEEDS: Mapping[str, Callable[[], list[bytes]]] = MappingProxyType(
    {
        'raw_image': _raw_images,
        'compressed_image': _compressed_images,
        'picture_file': _pictures,
        'calibration_cache': _caches,
        'manifest': _manifests,
        'plan_header': _headers,
        'parameters': _parameters,
        'parameter_file': _parameter_files,
        'onnx_file': _networks,
        'onnx_metadata': _onnx_metadata,
        'graph_outputs': lambda: _bytes_of(100),
        'processor_config': _processor_configs,
        'paddle_config': _paddle_configs,
        'metadata_file': _metadata_files,
    }
)


def read_crashes(target: str) -> dict[str, bytes]:
    """Read the inputs that broke a rule once, by file name."""
    folder = CRASHES / target
    return {path.name: path.read_bytes() for path in sorted(folder.glob('*')) if path.is_file()}
