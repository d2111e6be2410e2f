# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""The import rules of CONTRIBUTING.md, held against the source."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
import subprocess
import sys

import pytest
import trt_detector

PACKAGE = Path(trt_detector.__file__).parent

GPU_LIBRARIES = frozenset({'tensorrt', 'tensorrt_rtx', 'pycuda', 'pynvml', 'cuda'})
ROS_LIBRARIES = frozenset({
    'ament_index_python', 'builtin_interfaces', 'cv_bridge', 'diagnostic_msgs', 'geometry_msgs',
    'lifecycle_msgs', 'rcl_interfaces', 'rclpy', 'sensor_msgs', 'std_msgs', 'std_srvs',
    'vision_msgs',
})  # fmt: skip

VALUES = [
    'errors', 'tensor_spec', 'detections', 'batch_result', 'candidates', 'compressed_image',
    'image', 'parameter_spec', 'config', 'drawing', 'picture_files', 'device_state',
]  # fmt: skip
STAGES = ['preprocess', 'engine', 'decode', 'plan', 'quantize', 'model_info', 'onnxruntime_engine']


@dataclass(frozen=True)
class Rule:
    """
    What the modules of one part may import.

    :param parts: parts of the package.
    :param lazy_parts: the same, but inside functions only.
    :param lazy_libraries: libraries that are imported inside functions only.
    :param libraries: libraries that only some parts may import at all.
    """

    parts: frozenset[str] = frozenset()
    lazy_parts: frozenset[str] = frozenset()
    libraries: frozenset[str] = frozenset()
    lazy_libraries: frozenset[str] = frozenset()


def _rules() -> dict[str, Rule]:
    """Return the rule of every part: a part is a module or a folder of the package."""
    below: list[str] = []
    rules = {}
    for part in VALUES:
        rules[part] = Rule(frozenset(below))
        below.append(part)
    values = frozenset(VALUES)
    for part in STAGES:
        rules[part] = Rule(values)
    rules['onnxruntime_engine'] = Rule(
        values | {'engine'}, lazy_libraries=frozenset({'onnxruntime'})
    )
    # The conversion to FP16 is ONNX Runtime's.
    rules['quantize'] = Rule(values, lazy_libraries=frozenset({'onnxruntime'}))
    rules['slots'] = Rule(values | frozenset(STAGES))
    rules['pipeline'] = Rule(values | frozenset(STAGES) | {'slots'})
    rules['model_source'] = Rule(
        values | frozenset(STAGES) | {'pipeline'}, lazy_parts=frozenset({'gpu'})
    )
    rules['int8_checks'] = Rule(
        values | frozenset(STAGES) | {'pipeline'}, lazy_libraries=frozenset({'onnxruntime'})
    )
    rules['int8_gate'] = Rule(values | frozenset(STAGES) | {'pipeline', 'int8_checks'})
    rules['evaluation'] = Rule(
        values | frozenset(STAGES) | {'pipeline'},
        lazy_libraries=frozenset({'faster_coco_eval'}),
    )
    rules['factory'] = Rule(
        values | frozenset(STAGES) | {'pipeline', 'model_source', 'int8_gate'},
        lazy_parts=frozenset({'gpu'}),
    )
    rules['gpu'] = Rule(values | frozenset(STAGES), lazy_libraries=GPU_LIBRARIES)
    rules['ros'] = Rule(
        values | frozenset(STAGES) | {'pipeline', 'factory', 'dds', 'stop_signals'},
        libraries=ROS_LIBRARIES,
    )
    rules['tools'] = Rule(
        values
        | frozenset(STAGES)
        | {'pipeline', 'factory', 'dds', 'stop_signals', 'evaluation', 'int8_gate'},
        lazy_parts=frozenset({'gpu'}),
        lazy_libraries=ROS_LIBRARIES | GPU_LIBRARIES,
    )
    rules['dds'] = rules['stop_signals'] = Rule()
    rules['__main__'] = Rule(lazy_parts=frozenset({'tools'}))
    rules['__init__'] = Rule()
    return rules


RULES = _rules()


def _modules() -> list[Path]:
    return sorted(PACKAGE.rglob('*.py'))


def _part(path: Path) -> str:
    """Return the part that a source file belongs to."""
    relative = path.relative_to(PACKAGE)
    return relative.parts[0] if len(relative.parts) > 1 else relative.stem


def _imports(path: Path) -> Iterator[tuple[int, str, str, bool]]:
    """Yield (line, 'part' or 'library', name, inside a function) of every import."""
    tree = ast.parse(path.read_text(encoding='utf-8'))
    depth = len(path.relative_to(PACKAGE).parts)
    stack: list[tuple[ast.AST, bool]] = [(tree, False)]
    while stack:
        node, inside = stack.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test) == 'TYPE_CHECKING':
            continue
        inside = inside or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        stack += [(child, inside) for child in ast.iter_child_nodes(node)]
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, 'library', alias.name.split('.')[0], inside
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.lineno, 'library', (node.module or '').split('.')[0], inside
        elif isinstance(node, ast.ImportFrom) and node.level == depth:
            names = [node.module] if node.module else [alias.name for alias in node.names]
            names = [name for name in names if name != '__version__']
            for name in names:
                yield node.lineno, 'part', name.split('.')[0], inside


@pytest.mark.parametrize('path', _modules(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_a_module_imports_only_what_its_part_may(path: Path) -> None:
    part = _part(path)
    assert part in RULES, f'{part} has no import rule; add one here and in CONTRIBUTING.md'
    rule = RULES[part]
    guarded = GPU_LIBRARIES | ROS_LIBRARIES | {'onnxruntime'}
    wrong = []
    for line, kind, name, inside in _imports(path):
        if kind == 'library':
            assert name != 'trt_detector', f'{path}:{line}: import relatively'
            allowed = rule.libraries | (rule.lazy_libraries if inside else frozenset())
            bad = name in guarded and name not in allowed
        else:
            allowed = rule.parts | (rule.lazy_parts if inside else frozenset())
            bad = name not in allowed | {part}
        if bad:
            wrong.append(f'{path.name}:{line} imports {name}')
    assert not wrong


def _importable_without_machine() -> list[str]:
    """Return the modules that import where neither a GPU library nor ROS is."""
    names = []
    for path in _modules():
        relative = path.relative_to(PACKAGE).with_suffix('')
        if _part(path) != 'ros' and path.stem != '__main__':
            dotted = '.'.join(('trt_detector', *relative.parts))
            names.append(dotted.removesuffix('.__init__'))
    return names


def test_every_module_imports_without_gpu_libraries_and_ros() -> None:
    blocked = sorted(GPU_LIBRARIES | ROS_LIBRARIES)
    program = (
        'import importlib, sys\n'
        f'for name in {blocked!r}: sys.modules[name] = None\n'
        f'for name in {_importable_without_machine()!r}: importlib.import_module(name)\n'
    )
    done = subprocess.run(
        [sys.executable, '-c', program],
        capture_output=True,
        text=True,
        check=False,
        cwd=PACKAGE.parent,
    )
    assert done.returncode == 0, done.stderr
