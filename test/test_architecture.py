# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Import rules of CONTRIBUTING.md, compared with the source."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
import re
import subprocess
import sys

import pytest
import trt_detector

PACKAGE = Path(trt_detector.__file__).parent

CUDA_LIBRARIES = frozenset({'pycuda', 'pynvml', 'cuda', 'nvidia'})
TENSORRT_LIBRARIES = frozenset({'tensorrt', 'tensorrt_rtx', 'tensorrt_lean'})
ROS_LIBRARIES = frozenset({
    'ament_index_python', 'builtin_interfaces', 'cv_bridge', 'diagnostic_msgs', 'geometry_msgs',
    'lifecycle_msgs', 'rcl_interfaces', 'rclpy', 'sensor_msgs', 'std_msgs', 'std_srvs', 'tf2_ros',
    'vision_msgs', 'visualization_msgs',
})  # fmt: skip

# Each row may import the rows above it; inside a row parts import only themselves, unless noted.
VALUES = ['errors', 'values', 'process']
INPUTS = [
    'parameter_spec',
    'config',
    'trusted_files',
    'image',
    'engine',
    'decode',
    'model_info',
    'demand',
]
STAGES = ['plan', 'quantize', 'preprocess', 'onnxruntime_engine']


@dataclass(frozen=True)
class Rule:
    """
    Permitted imports of the modules of one part.

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
    """Make the rule of every part: a part is a module or a folder of the package."""
    rules = {'__init__': Rule(), '__main__': Rule(lazy_parts=frozenset({'tools'}))}
    for part in VALUES:
        rules[part] = Rule(frozenset({'errors'}) - {part})
    values = frozenset(VALUES) - {'process'}
    for part in INPUTS:
        rules[part] = Rule(values)
    rules['demand'] = Rule(values | {'parameter_spec'})
    rules['regions'] = Rule(values | {'parameter_spec', 'image'})
    rules['parameters'] = Rule(values | {'parameter_spec'})
    rules['config'] = Rule(
        values | {'parameter_spec', 'parameters', 'demand', 'regions', 'tracking', 'tiling'}
    )
    inputs = values | frozenset(INPUTS)
    for part in STAGES:
        rules[part] = Rule(inputs)
    rules['tracking'] = Rule(
        values | {'parameter_spec', 'decode'}, lazy_libraries=frozenset({'scipy'})
    )
    onnxruntime = frozenset({'onnxruntime'})
    rules['model_info'] = Rule(values | {'process'}, lazy_libraries=onnxruntime)
    rules['onnxruntime_engine'] = Rule(inputs, lazy_libraries=onnxruntime)
    # The conversion to FP16 is ONNX Runtime's.
    rules['quantize'] = Rule(inputs, lazy_libraries=onnxruntime)
    stages = inputs | frozenset(STAGES)
    rules['gpu'] = Rule(stages, lazy_libraries=CUDA_LIBRARIES)
    rules['trt'] = Rule(stages | {'gpu'}, lazy_libraries=TENSORRT_LIBRARIES)
    rules['openvino'] = Rule(stages)
    rules['tiling'] = Rule(values | {'parameter_spec', 'decode'})
    rules['pipeline'] = Rule(stages | {'tiling'})
    core = stages | {'pipeline'}
    device = frozenset({'gpu', 'trt'})
    rules['int8_gate'] = Rule(core, lazy_libraries=onnxruntime)
    rules['model_setup'] = Rule(core, lazy_parts=device)
    rules['factory'] = Rule(
        core | {'process', 'model_setup', 'int8_gate', 'openvino'}, lazy_parts=device
    )
    rules['evaluation'] = Rule(
        core | {'int8_gate'}, lazy_libraries=frozenset({'faster_coco_eval'})
    )
    rules['depth'] = Rule(values | {'parameter_spec'})
    rules['ros'] = Rule(
        core | {'factory', 'process', 'regions', 'tracking', 'depth'}, libraries=ROS_LIBRARIES
    )
    rules['dashboard'] = Rule(values | {'config', 'parameter_spec'}, libraries=ROS_LIBRARIES)
    rules['tools'] = Rule(
        core
        | {'factory', 'process', 'regions', 'tracking', 'evaluation', 'int8_gate', 'model_setup'},
        lazy_parts=device | {'dashboard'},
        lazy_libraries=ROS_LIBRARIES | CUDA_LIBRARIES | TENSORRT_LIBRARIES,
    )
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
    guarded = CUDA_LIBRARIES | TENSORRT_LIBRARIES | ROS_LIBRARIES | {'onnxruntime', 'scipy'}
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
    """Return the modules that import without GPU libraries and ROS."""
    names = []
    for path in _modules():
        relative = path.relative_to(PACKAGE).with_suffix('')
        needs_libraries = _part(path) == 'ros' or path.is_relative_to(PACKAGE / 'dashboard')
        if not needs_libraries and path.stem != '__main__':
            dotted = '.'.join(('trt_detector', *relative.parts))
            names.append(dotted.removesuffix('.__init__'))
    return names


def test_every_module_imports_without_gpu_libraries_and_ros() -> None:
    blocked = sorted(CUDA_LIBRARIES | TENSORRT_LIBRARIES | ROS_LIBRARIES)
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


def _imported_names(folder: str) -> set[str]:
    """Name the libraries and the parts of the dashboard that a folder of it imports."""
    found: set[str] = set()
    for path in (PACKAGE / 'dashboard' / folder).glob('*.py'):
        for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
            if isinstance(node, ast.Import):
                found.update(alias.name.split('.')[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.level == (1 if folder == '.' else 2):
                found.add(f'.{(node.module or "").split(".")[0]}')
            elif isinstance(node, ast.ImportFrom) and node.module:
                found.add(node.module.split('.')[0])
    return found


def test_the_dashboard_keeps_ros_and_page_apart() -> None:
    web = {'nicegui', 'fastapi', 'starlette', 'uvicorn'}
    state, graph, page = (_imported_names(folder) for folder in ('.', 'graph', 'page'))
    assert 'rclpy' in graph
    assert 'nicegui' in page
    assert not graph & (web | {'.page', '.server'})
    assert not page & (ROS_LIBRARIES | {'.graph', '.server'})
    # The server starts both.
    assert not state & (ROS_LIBRARIES | web - {'uvicorn'})


def _documented_rules() -> dict[str, tuple[set[str], set[str]]]:
    """Read the table of CONTRIBUTING.md: what a part may import, and what inside functions."""
    text = (PACKAGE.parent / 'CONTRIBUTING.md').read_text(encoding='utf-8')
    table = text.partition('| Part | May import')[2].partition('\n\n')[0]
    groups = {
        'values': {'errors', 'values'},
        'inputs': {'errors', 'values', *INPUTS},
        'stages': {'errors', 'values', *INPUTS, *STAGES},
        'core': {'errors', 'values', *INPUTS, *STAGES, 'pipeline'},
    }
    rules = {}
    for row in table.splitlines()[2:]:
        parts, *cells = row.split('|')[1:4]
        columns = [set(re.findall(r'`(\w+)`', cell)) for cell in cells]
        for column, cell in zip(columns, cells, strict=True):
            column.update(*(groups[name] for name in re.findall(r'\*(\w+)\*', cell)))
        for part in re.findall(r'`(\w+)`', parts):
            rules[part] = (columns[0], columns[1])
    return rules


def test_the_table_of_contributing_says_the_same() -> None:
    if not (PACKAGE.parent / 'CONTRIBUTING.md').is_file():
        pytest.skip('CONTRIBUTING.md is not beside the package: run this in the source tree')
    expected = {
        part: (set(rule.parts - {part}), set(rule.lazy_parts))
        for part, rule in RULES.items()
        if not part.startswith('_')
    }
    assert _documented_rules() == expected


RETIRED = (
    'Mailbox', 'Letter', 'DetectionFlow', 'InferenceWorker', 'CameraOutput', 'Lanes', 'take_turn',
    'Flavour', 'FLAVOURS', 'flavour', 'forget_recorded', 'ImageStage', 'GraphFacts', 'get_room',
    'a_cell', 'size_is_open', 'give_up', 'hold_layers', 'sidecar', 'mailbox', 'letter',
)  # fmt: skip


@pytest.mark.parametrize('path', _modules(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_retired_names_do_not_come_back(path: Path) -> None:
    words = re.compile(rf'\b(?:{"|".join(RETIRED)})\b')
    lines = path.read_text(encoding='utf-8').splitlines()
    found = [f'{number}: {line}' for number, line in enumerate(lines, 1) if words.search(line)]
    assert not found, 'CONTRIBUTING.md lists the words to use'


@pytest.mark.parametrize('path', _modules(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_docstrings_say_what_a_thing_does_or_is(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding='utf-8'))
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    wrong = []
    for node in ast.walk(tree):
        text = ast.get_docstring(node) if isinstance(node, kinds) else None
        if text and re.match(r'(What|How|Return what|Return how|Be)\b', text):
            wrong.append(text.splitlines()[0])
    assert not wrong, 'begin with an imperative verb and its object, or with a noun phrase'


def test_the_root_and_the_folders_stay_small() -> None:
    assert len(list(PACKAGE.glob('*.py'))) <= 13
    for folder in {path.parent for path in _modules()} - {PACKAGE}:
        if folder.name != 'layouts':
            files = [path for path in folder.iterdir() if path.is_file()]
            assert len(files) <= 20, f'{folder.name} holds {len(files)} files'


def _imports_at_load(path: Path) -> set[Path]:
    """Give the modules of the package that a module imports when it is loaded."""
    base = path.parent
    found = set()
    for node in ast.parse(path.read_text(encoding='utf-8')).body:
        if not isinstance(node, ast.ImportFrom) or not node.level:
            continue
        folder = base.parents[node.level - 2] if node.level > 1 else base
        target = folder.joinpath(*(node.module or '').split('.')) if node.module else folder
        for name in [None, *(alias.name for alias in node.names)]:
            candidate = target / name if name else target
            for file in (candidate.with_suffix('.py'), candidate / '__init__.py'):
                if file.is_file() and file != path:
                    found.add(file)
    return found


def test_no_module_imports_itself_through_others() -> None:
    graph = {path: _imports_at_load(path) for path in _modules()}
    assert sum(len(targets) for targets in graph.values()) > len(graph)
    done: set[Path] = set()
    while ready := [path for path in graph if path not in done and graph[path] <= done]:
        done.update(ready)
    circle = [str(path.relative_to(PACKAGE)) for path in graph if path not in done]
    assert not circle
