# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""
Record the Python API of TensorRT: which classes, members and parameters a version has.

The bindings' wheels are small and public, the libraries they link to are neither. A stub library
with the nine C functions that the bindings import is enough to import them, so this runs on any
x86-64 Linux machine with a C compiler, without a GPU:

    python3 test/data/tensorrt_api/regenerate.py            # every version below
    python3 test/data/tensorrt_api/regenerate.py 11.4       # one

It needs pip and network access, and a Python for which the oldest wheel exists (3.8 to 3.12).
8.6 was never on a public index: differences_8.6.json holds what it lacks, read by hand from the
source of its bindings (python/src of the branch release/8.6 of github.com/NVIDIA/TensorRT).
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
from pathlib import Path
import re
import subprocess
import sys
import tempfile
from typing import Any
import zipfile

HERE = Path(__file__).resolve().parent

# Record: (requirement, module, sonames of the libraries to stand in for).
_LIBRARIES = ('libnvinfer.so.{0}', 'libnvonnxparser.so.{0}', 'libnvinfer_plugin.so.{0}')
_RTX_LIBRARIES = ('libtensorrt_rtx.so.1', 'libtensorrt_onnxparser_rtx.so.1')
_LEAN_LIBRARIES = ('libnvinfer_lean.so.{0}',)
VERSIONS = {
    'tensorrt-10.3': ('tensorrt-cu12-bindings==10.3.0', 'tensorrt_bindings', _LIBRARIES),
    'tensorrt-10.13': ('tensorrt-cu12-bindings==10.13.3.9', 'tensorrt_bindings', _LIBRARIES),
    'tensorrt-10.16': ('tensorrt-cu13-bindings==10.16.1.11', 'tensorrt_bindings', _LIBRARIES),
    'tensorrt-11.4': ('tensorrt-cu13-bindings==11.4.0.106', 'tensorrt_bindings', _LIBRARIES),
    'tensorrt_rtx-1.7': (
        'tensorrt-rtx-cu13-bindings==1.7.1.116',
        'tensorrt_rtx_bindings',
        _RTX_LIBRARIES,
    ),
    'tensorrt_lean-11.4': (
        'tensorrt-lean-cu13-bindings==11.4.0.106',
        'tensorrt_lean_bindings',
        _LEAN_LIBRARIES,
    ),
}
_STUB_FUNCTIONS = (
    'createInferBuilder_INTERNAL',
    'createInferRefitter_INTERNAL',
    'createInferRuntime_INTERNAL',
    'createNvOnnxParserRefitter_INTERNAL',
    'createNvOnnxParser_INTERNAL',
    'getBuilderPluginRegistry',
    'getNvOnnxParserVersion',
    'getPluginRegistry',
    'initLibNvInferPlugins',
)

# Classes that trt_detector/trt uses.
CLASSES = (
    'Builder',
    'BuilderFlag',
    'ComputeCapability',
    'DataType',
    'DeviceType',
    'Dims',
    'DynamicShapesKernelSpecializationStrategy',
    'EngineInspector',
    'HardwareCompatibilityLevel',
    'IBuilderConfig',
    'ICudaEngine',
    'IExecutionContext',
    'IHostMemory',
    'IInt8EntropyCalibrator2',
    'ILayer',
    'ILogger',
    'INetworkDefinition',
    'IOutputAllocator',
    'IOptimizationProfile',
    'IPluginRegistry',
    'IProgressMonitor',
    'IRuntimeCache',
    'IRuntimeConfig',
    'ITensor',
    'ITimingCache',
    'LayerInformationFormat',
    'MemoryPoolType',
    'NetworkDefinitionCreationFlag',
    'OnnxParser',
    'ParserError',
    'PreviewFeature',
    'ProfilingVerbosity',
    'Runtime',
    'TensorIOMode',
    'TensorLocation',
)
FUNCTIONS = ('get_plugin_registry', 'init_libnvinfer_plugins')


def main() -> int:
    """Record the versions that the command line names; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument('versions', nargs='*', help='parts of names: ' + ', '.join(VERSIONS))
    parser.add_argument('--extract', metavar='MODULE', help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.extract:
        print(to_text(extract(importlib.import_module(arguments.extract))), end='')
        return 0
    for name in VERSIONS:
        if not arguments.versions or any(part in name for part in arguments.versions):
            (HERE / f'{name}.json').write_text(record(name), encoding='utf-8')
            print(f'recorded {name}')
    return 0


def record(name: str) -> str:
    """Download one version's bindings and return its record, extracted in a fresh process."""
    requirement, module, libraries = VERSIONS[name]
    major = requirement.split('==')[1].split('.')[0]
    with tempfile.TemporaryDirectory() as folder:
        pip = [sys.executable, '-m', 'pip', 'download', '--quiet', '--no-deps', '--dest', folder]
        subprocess.run([*pip, requirement], check=True)
        (wheel,) = Path(folder).glob('*.whl')
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(folder)
        _compile_stubs(Path(folder), [library.format(major) for library in libraries])
        result = subprocess.run(
            [sys.executable, str(Path(__file__)), '--extract', module],
            env={**os.environ, 'PYTHONPATH': folder, 'LD_LIBRARY_PATH': folder},
            check=True,
            capture_output=True,
            text=True,
        )
    return result.stdout


def _compile_stubs(folder: Path, sonames: list[str]) -> None:
    """Compile one library a soname, each with all functions that the bindings import."""
    source = folder / 'stub.c'
    source.write_text(''.join(f'void *{f}(void) {{ return 0; }}\n' for f in _STUB_FUNCTIONS))
    for soname in sonames:
        output = str(folder / soname)
        subprocess.run(
            ['cc', '-shared', '-fPIC', f'-Wl,-soname,{soname}', '-o', output, str(source)],
            check=True,
        )


def extract(trt: Any) -> dict[str, Any]:
    """
    Return the record of an imported TensorRT module.

    Of a class: member to its number (enumerator), 'property', or the list of its overloads; an
    overload is the list of its parameters without self, '=' behind those that have a default.
    """
    classes = {name: _members(getattr(trt, name)) for name in CLASSES if hasattr(trt, name)}
    functions = {
        name: _overloads(name, getattr(trt, name)) for name in FUNCTIONS if hasattr(trt, name)
    }
    return {'version': trt.__version__, 'functions': functions, 'classes': classes}


def _members(cls: type) -> dict[str, Any]:
    """Return the record of one class, inherited members included."""
    members: dict[str, Any] = {}
    enumerators = getattr(cls, '__members__', {})
    for name in dir(cls):
        if name.startswith('_') and name != '__init__':
            continue
        value = getattr(cls, name)
        if name in enumerators:
            members[name] = int(value)
        elif isinstance(value, property):
            members[name] = 'property'
        elif isinstance(value, type):
            members[name] = {key: int(item) for key, item in value.__members__.items()}
        elif callable(value):
            overloads = _overloads(name, value)
            if overloads:
                members[name] = overloads
    return members


def _overloads(name: str, function: Any) -> list[list[str]]:
    """Return the parameters of each overload, read from the first lines of a docstring."""
    pattern = re.compile(rf'^(?:\d+\. )?{re.escape(name)}\((.*)\)(?: -> .*)?$', re.MULTILINE)
    found = pattern.findall(function.__doc__ or '')
    return [_parameters(text) for text in found if not text.startswith('*args')]


def _parameters(text: str) -> list[str]:
    """Return parameter names, '=' behind those with a default, without self."""
    parts, depth, start = [], 0, 0
    for i, letter in enumerate(text):
        depth += (letter in '[(<{') - (letter in '])>}')
        if letter == ',' and depth == 0:
            parts.append(text[start:i])
            start = i + 1
    parts.append(text[start:])
    names = []
    for part in (p.strip() for p in parts):
        name = re.match(r'\w+', part)
        if name and name.group() != 'self':
            names.append(name.group() + ('=' if re.search(r'=\s', part) else ''))
    return names


def to_text(values: dict[str, Any]) -> str:
    """Return a record as JSON with one member a line, so that a change is one line of a diff."""
    lines = ['{', f'"version": {json.dumps(values["version"])},']
    lines.append(f'"functions": {json.dumps(values["functions"])},')
    lines.append('"classes": {')
    blocks = []
    for name, members in sorted(values['classes'].items()):
        body = ',\n'.join(
            f'  {json.dumps(k)}: {json.dumps(v)}' for k, v in sorted(members.items())
        )
        blocks.append(f'{json.dumps(name)}: {{\n{body}\n}}')
    lines.append(',\n'.join(blocks))
    lines.append('}\n}')
    return '\n'.join(lines) + '\n'


if __name__ == '__main__':
    sys.exit(main())
