# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""
Uses of TensorRT in trt_detector/trt, compared with the recorded API of every version.

The source is read, not run: a name that stands for a TensorRT object (RECEIVERS) may be asked only
for what the object has, with as many arguments as it takes, in every version; what only some
versions have is listed with the ability that guards it (GUARDS), and the ability has to be true
for exactly those versions.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
import functools
import inspect
from pathlib import Path

from doubles.api_records import LEAN, load_record, Record, RECORDS
from doubles.machine import machine
from doubles.trt_double import CLASSES, Recorded
import pytest
from trt_detector import trt
from trt_detector.trt.library import load_library

SOURCES = sorted(Path(trt.__file__).parent.rglob('*.py'))

# Names of variables and attributes that stand for a TensorRT object, in all of trt/.
RECEIVERS = {
    'builder': 'Builder',
    'builder_config': 'IBuilderConfig',
    'cuda_engine': 'ICudaEngine',
    'execution_context': 'IExecutionContext',
    'inspector': 'EngineInspector',
    'layer': 'ILayer',
    'network': 'INetworkDefinition',
    'optimization_profile': 'IOptimizationProfile',
    'parser': 'OnnxParser',
    'parser_error': 'ParserError',
    'registry': 'IPluginRegistry',
    'runtime': 'Runtime',
    'runtime_cache': 'IRuntimeCache',
    'runtime_config': 'IRuntimeConfig',
    'tensor': 'ITensor',
    'timing_cache': 'ITimingCache',
}
MODULE = 'trt'

# What not every version has: (class, member) to the property of TensorRTLibrary that guards it.
# 'optional' is looked up with find() or hasattr() at its use, which handles its absence.
GUARDS = {
    ('BuilderFlag', 'FP16'): 'has_precision_flags',
    ('BuilderFlag', 'INT8'): 'has_precision_flags',
    ('BuilderFlag', 'OBEY_PRECISION_CONSTRAINTS'): 'has_precision_flags',
    ('BuilderFlag', 'PREFER_PRECISION_CONSTRAINTS'): 'has_precision_flags',
    ('ComputeCapability', ''): 'has_target_setting',
    ('IBuilderConfig', 'int8_calibrator'): 'has_calibrator',
    ('IBuilderConfig', 'num_compute_capabilities'): 'has_target_setting',
    ('IBuilderConfig', 'progress_monitor'): 'has_progress_monitor',
    ('IBuilderConfig', 'set_calibration_profile'): 'has_calibrator',
    ('IBuilderConfig', 'set_compute_capability'): 'has_target_setting',
    ('IInt8EntropyCalibrator2', ''): 'has_calibrator',
    ('ILayer', 'precision'): 'has_precision_flags',
    ('ILayer', 'set_output_type'): 'has_precision_flags',
    ('IProgressMonitor', ''): 'has_progress_monitor',
    ('NetworkDefinitionCreationFlag', 'EXPLICIT_BATCH'): 'optional',
    ('ParserError', 'node_name'): 'optional',
    ('ParserError', 'node_operator'): 'optional',
    ('PreviewFeature', 'PROFILE_SHARING_0806'): 'optional',
    ('Builder', ''): 'has_builder',
    ('EngineInspector', ''): 'has_inspector',
    ('BuilderFlag', 'REQUIRE_USER_ALLOCATION'): 'optional',
    ('DynamicShapesKernelSpecializationStrategy', ''): 'has_runtime_cache',
    ('ICudaEngine', 'create_runtime_config'): 'has_runtime_cache',
    ('IExecutionContext', 'is_stream_capturable'): 'has_runtime_cache',
    ('IRuntimeCache', ''): 'has_runtime_cache',
    ('IRuntimeConfig', 'create_runtime_cache'): 'has_runtime_cache',
    ('IRuntimeConfig', 'dynamic_shapes_kernel_specialization_strategy'): 'has_runtime_cache',
    ('IRuntimeConfig', 'set_runtime_cache'): 'has_runtime_cache',
}

# Words that are members of TensorRT's classes and of other things as well: not a sign of either.
COMMON_WORDS = frozenset({
    'add', 'clear', 'code', 'desc', 'engine', 'flags', 'load_library', 'log', 'name', 'node',
    'parse', 'precision', 'profile', 'run', 'shape', 'type', 'value', 'dtype', 'file', 'metadata',
    'logger', 'platform', 'reset', 'location', 'itemsize', 'nbytes',
})  # fmt: skip


@dataclass(frozen=True)
class Use:
    """
    One use of a TensorRT object.

    :param place: file and line.
    :param owner: the class, '' for the module.
    :param member: what is asked for.
    :param arguments: (number of positional arguments, names of the others) of a call, else None.
    """

    place: str
    owner: str
    member: str
    arguments: tuple[int, tuple[str, ...]] | None = None


def test_sources_are_found() -> None:
    assert len(SOURCES) > 15
    owners = {use.owner for use in uses()}
    assert owners >= set(RECEIVERS.values()), 'a receiver of the table is used nowhere'


@pytest.mark.parametrize('personality', RECORDS)
def test_every_use_exists_in_every_version_or_is_guarded(personality: str) -> None:
    record = load_record(personality)
    with machine(personality):
        library = load_library(record.module)
        abilities = {name: getattr(library, name) for name in set(GUARDS.values()) - {'optional'}}
    faults = []
    for use in uses_of(personality):
        exists = _exists(record, use)
        keys = ((use.owner, use.member), (use.owner, ''), (use.member, ''))
        guard = next((GUARDS[key] for key in keys if key in GUARDS), None)
        if guard == 'optional':
            continue
        if not exists and (guard is None or abilities[guard]) and not _plugin_function(use):
            faults.append(f'{use.place}: {personality} has no {use.owner}.{use.member}')
    assert not faults, '\n'.join(faults)


@pytest.mark.parametrize('personality', RECORDS)
def test_every_call_fits_an_overload(personality: str) -> None:
    record = load_record(personality)
    faults = []
    for use in uses_of(personality):
        overloads = record.classes.get(use.owner, {}).get(use.member)
        if not use.owner:
            constructor = record.classes.get(use.member, {}).get('__init__')
            overloads = record.functions.get(use.member, constructor)
        if use.arguments is None or not isinstance(overloads, list):
            continue
        if not any(_fits(use.arguments, overload) for overload in overloads):
            faults.append(f'{use.place}: {use.member}{use.arguments} against {overloads}')
    assert not faults, '\n'.join(faults)


def test_no_guard_is_left_over() -> None:
    used = {(use.owner, use.member) for use in uses()}
    used |= {(name, '') for use in uses() for name in (use.owner, use.member)}
    assert not set(GUARDS) - used
    for owner, member in GUARDS:
        present = [
            load_record(name).has(owner, member) if member else owner in load_record(name).classes
            for name in RECORDS
        ]
        assert any(present), f'no version has {owner}.{member}'
        assert not all(present), f'every version has {owner}.{member}: it needs no guard'


def test_no_tensorrt_object_goes_by_another_name() -> None:
    members = {
        member
        for name in RECORDS
        for class_members in load_record(name).classes.values()
        for member, kind in class_members.items()
        if not isinstance(kind, int | dict) and member != '__init__'
    }
    strangers = []
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
            if not isinstance(node, ast.Attribute) or node.attr in COMMON_WORDS:
                continue
            receiver = _last_name(node.value)
            if node.attr in members and receiver not in (*RECEIVERS, MODULE, 'self', 'progress'):
                strangers.append(f'{path.name}:{node.lineno}: {receiver}.{node.attr}')
    assert not strangers, '\n'.join(strangers)


def test_classes_that_are_derived_from_override_what_there_is() -> None:
    seen = set()
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
            if not isinstance(node, ast.ClassDef) or node.name not in DERIVED:
                continue
            seen.add(node.name)
            for personality in RECORDS:
                members = load_record(personality).classes.get(DERIVED[node.name], {})
                for method in (item for item in node.body if isinstance(item, ast.FunctionDef)):
                    if not members or method.name == '__init__':
                        continue
                    names = [argument.arg for argument in method.args.args[1:]]
                    assert names in members[method.name], (personality, method.name, names)
    assert seen == set(DERIVED)


DERIVED = {
    '_Logger': 'ILogger',
    '_Monitor': 'IProgressMonitor',
    '_CacheCalibrator': 'IInt8EntropyCalibrator2',
}


def test_derived_classes_are_found_and_call_the_constructor_of_their_parent() -> None:
    found = set()
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
            if isinstance(node, ast.ClassDef) and node.name in DERIVED:
                found.add(node.name)
                assert 'base.__init__(self)' in ast.unparse(node)
    assert found == set(DERIVED)


@pytest.mark.parametrize('personality', RECORDS)
@pytest.mark.parametrize('name', sorted(CLASSES))
def test_the_double_offers_nothing_that_tensorrt_does_not(name: str, personality: str) -> None:
    record = load_record(personality)
    if name not in record.classes:
        with machine(personality) as world:
            assert not hasattr(__import__(world.record.module), name)
        return
    members = record.classes[name]
    with machine(personality) as world:
        double = getattr(__import__(world.record.module), name)
    assert issubclass(double, Recorded)
    for member, value in vars(CLASSES[name]).items():
        if member.startswith('_') or member not in members:
            continue  # cut off: Recorded refuses every name that the record lacks
        if isinstance(value, property):
            assert members[member] == 'property', f'{name}.{member} is no property'
            continue
        names = list(inspect.signature(value).parameters)[1:]
        assert any(
            [text.rstrip('=') for text in overload[: len(names)]] == names
            for overload in members[member]
        ), f'{name}.{member} takes {members[member]}, the double {names}'


@pytest.mark.parametrize('name', sorted(CLASSES))
def test_each_member_of_the_double_is_recorded_somewhere(name: str) -> None:
    recorded = {member for p in RECORDS for member in load_record(p).classes.get(name, {})}
    own = {member for member in vars(CLASSES[name]) if not member.startswith('_')}
    assert own <= recorded


def test_the_reader_of_the_source_sees_faults() -> None:
    source = 'builder_config.max_workspace_size = 1\nbuilder.create_network()\n'
    source += 'library.enum("BuilderFlag", "NONE")\ntrt.Runtime(1, 2)\n'
    found = list(_uses_in(ast.parse(source), 'x.py'))
    record = load_record('tensorrt-10.3')
    assert [(use.owner, use.member) for use in found] == [
        ('IBuilderConfig', 'max_workspace_size'),
        ('Builder', 'create_network'),
        ('BuilderFlag', 'NONE'),
        ('', 'Runtime'),
    ]
    assert not record.has('IBuilderConfig', 'max_workspace_size')
    assert _fits(found[1].arguments or (9, ()), record.classes['Builder']['create_network'][0])
    assert not record.has('BuilderFlag', 'NONE')
    assert not _fits(found[3].arguments or (0, ()), record.classes['Runtime']['__init__'][0])


@functools.cache
def uses() -> tuple[Use, ...]:
    """Return every use of TensorRT in the sources."""
    return tuple(
        use
        for path in SOURCES
        for use in _uses_in(
            ast.parse(path.read_text(encoding='utf-8')), f'{path.parent.name}/{path.name}'
        )
    )


def uses_of(personality: str) -> list[Use]:
    """Return the uses that a version has to support: the lean runtime builds nothing."""
    return [use for use in uses() if personality != LEAN or not use.place.startswith('builder/')]


def _uses_in(tree: ast.AST, file: str) -> Iterator[Use]:
    """Yield the uses in one file, in the order of its lines."""
    calls = {id(node.func): node for node in ast.walk(tree) if isinstance(node, ast.Call)}
    nodes = [node for node in ast.walk(tree) if isinstance(node, ast.Attribute)]
    for node in sorted(nodes, key=lambda n: (n.lineno, n.col_offset)):
        place = f'{file}:{node.lineno}'
        call = calls.get(id(node))
        receiver = _last_name(node.value)
        if node.attr in ('enum', 'find') and call is not None and len(call.args) == 2:
            owner, members = call.args[0], _texts(call.args[1])
            if isinstance(owner, ast.Constant):
                yield from (Use(place, str(owner.value), member) for member in members)
        elif receiver in RECEIVERS:
            yield Use(place, RECEIVERS[receiver], node.attr, _arguments(call))
        elif receiver == MODULE and not node.attr.startswith('__'):
            yield Use(place, '', node.attr, _arguments(call))


def _last_name(node: ast.expr) -> str:
    """Return the name that an expression ends in, without leading underscores."""
    if isinstance(node, ast.Attribute):
        return node.attr.lstrip('_')
    return node.id.lstrip('_') if isinstance(node, ast.Name) else ''


def _texts(node: ast.expr) -> list[str]:
    """Return the text of a constant, or '' for one that is put together: the class itself."""
    return [str(node.value) if isinstance(node, ast.Constant) else '']


def _arguments(call: ast.Call | None) -> tuple[int, tuple[str, ...]] | None:
    """Count positional arguments and list keyword arguments of a call."""
    if call is None:
        return None
    return (len(call.args), tuple(str(keyword.arg) for keyword in call.keywords))


def _fits(arguments: tuple[int, tuple[str, ...]], overload: list[str]) -> bool:
    """Return whether an overload takes the arguments."""
    count, names = arguments
    if count > len(overload):
        return False
    rest = overload[count:]
    needed = {text for text in rest if not text.endswith('=')}
    return needed <= set(names) <= {text.rstrip('=') for text in rest}


def _exists(record: Record, use: Use) -> bool:
    """Return whether a version has what is used."""
    if not use.owner:
        return use.member in record.classes or use.member in record.functions
    return record.has(use.owner, use.member) if use.member else use.owner in record.classes


def _plugin_function(use: Use) -> bool:
    """Return whether a use is guarded by has_plugins, which is false for TensorRT for RTX."""
    return use.member == 'init_libnvinfer_plugins'
