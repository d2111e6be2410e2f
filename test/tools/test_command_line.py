# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""What the tools have in common: help with examples and exit codes, and their JSON files."""

from __future__ import annotations

import argparse
import importlib
import json
import os
from pathlib import Path
import shlex
import subprocess
import sys
from typing import Any

import pytest
import trt_detector
from trt_detector.__main__ import _TOOLS
from trt_detector.config import parameter_specs
from trt_detector.tools import doctor
from trt_detector.tools.command_line import make_parser, write_json, write_result

ROOT = Path(__file__).parents[2]
MODULE = (sys.executable, '-m', 'trt_detector')
# Options with a shorter name than the parameter that they set.
SHORT_NAMES = {
    '--model': '--model-path',
    '--threads': '--inference-threads',
    '--threshold': '--score-threshold',
}
TYPES: dict[str, tuple[Any, ...]] = {
    'int': (int,), 'float': (float,), 'str': (None, str, Path),
}  # fmt: skip


def parser_of(tool: str) -> argparse.ArgumentParser:
    """Create the parser of a tool."""
    package = f'trt_detector.tools.{tool}'
    folder = Path(importlib.import_module(package).__file__ or '')
    module = importlib.import_module(f'{package}.main' if folder.stem == '__init__' else package)
    parser = module._parser()
    assert isinstance(parser, argparse.ArgumentParser)
    return parser


@pytest.mark.parametrize('tool', _TOOLS)
def test_help_has_examples_that_parse_and_exit_codes(
    tool: str, capsys: pytest.CaptureFixture[str]
) -> None:
    parser = parser_of(tool)
    text = parser.format_help()
    start = f'  ros2 run trt_detector {tool}'
    examples = [line[len(start) :] for line in text.splitlines() if line.startswith(start)]
    assert examples
    for example in examples:
        parser.parse_args(shlex.split(example))
    codes = text[text.index('exit codes:') :].splitlines()[1:]
    assert {'0', '1', '2'} <= {line.split()[0] for line in codes}
    assert '--json [FILE]' in text


@pytest.mark.parametrize('tool', _TOOLS)
def test_help_says_of_the_right_tools_that_they_run_without_ros(tool: str) -> None:
    needs_ros = tool in ('benchmark_node', 'dashboard', 'play_images')
    assert ('runs without ROS 2' in parser_of(tool).format_help()) is not needs_ros


@pytest.mark.parametrize('tool', _TOOLS)
def test_options_have_help_and_are_called_like_the_parameters(tool: str) -> None:
    specs = {'--' + spec.name.replace('_', '-'): spec for spec in parameter_specs()}
    for action in parser_of(tool)._actions:
        assert action.help, action.option_strings
        for name in action.option_strings:
            assert SHORT_NAMES.get(name, name) in action.option_strings
            if name not in specs or specs[name].type == 'bool':
                continue
            kind = specs[name].type
            is_list = kind.startswith('list[')
            assert action.type in TYPES[kind[5:-1] if is_list else kind], name
            assert (action.nargs == '*') is is_list, name


@pytest.mark.parametrize('tool', _TOOLS)
def test_json_is_the_same_option_in_every_tool(tool: str) -> None:
    (action,) = [a for a in parser_of(tool)._actions if '--json' in a.option_strings]
    assert (action.nargs, action.const, action.default, action.type) == (
        '?',
        Path('-'),
        None,
        Path,
    )


def test_without_a_file_the_result_is_all_of_standard_output(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = tmp_path / 'report.json'
    folder = ['--engine-cache-dir', str(tmp_path / 'plans')]
    code = doctor.main([*folder, '--json', str(report)])
    assert 'trt_detector' in capsys.readouterr().out
    findings = json.loads(report.read_text(encoding='utf-8'))['findings']
    assert doctor.main([*folder, '--json']) == code
    printed = json.loads(capsys.readouterr().out)['findings']
    assert [f['name'] for f in printed] == [f['name'] for f in findings]


def test_a_result_that_cannot_be_written_is_an_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / 'file').touch()
    path = tmp_path / 'file' / 'report.json'
    assert write_result('tool', path, {}) == 1
    assert f'tool: cannot write {path}: ' in capsys.readouterr().err
    assert write_result('tool', None, {}) == 0


def complete(line: str, *program: str, position: int) -> list[str]:
    """
    Return what the program completes a line with, asked as argcomplete's shell function asks.

    :param position: of the program in the line, counted from 1.
    """
    pytest.importorskip('argcomplete', reason='pip install argcomplete')
    asked = {
        'COMP_LINE': line, 'COMP_POINT': str(len(line)), '_ARGCOMPLETE': str(position),
        '_ARGCOMPLETE_IFS': '\n',
    }  # fmt: skip
    done = subprocess.run(
        ['bash', '-c', '"$@" 8>&1 9>/dev/null >/dev/null', 'bash', *program],
        env={**os.environ, **asked},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.split()


@pytest.mark.parametrize(
    ('words', 'expected'),
    [
        ('', set(_TOOLS)),
        ('de', {'detect'}),
        ('detec --x', set()),
        ('detect --score-', {'--score-threshold'}),
        ('detect --precision ', {'auto', 'fp32', 'fp16', 'int8'}),
        ('build_engine --backend tensorrt_r', {'tensorrt_rtx'}),
        ('play_images --encoding nv1', {'nv12'}),
    ],
)
def test_a_shell_completes_tools_options_and_choices(words: str, expected: set[str]) -> None:
    line = f'python3 -m trt_detector {words}'
    assert set(complete(line, *MODULE, position=3)) == expected


@pytest.mark.parametrize('tool', _TOOLS)
def test_each_tool_completes_its_options(tool: str) -> None:
    options = {name for a in parser_of(tool)._actions for name in a.option_strings}
    program = (sys.executable, '-c', f'from trt_detector.tools.{tool} import main; main()')
    found = complete(f'{tool} --', *program, position=1)
    assert {'--help', '--json'} <= set(found) <= options


@pytest.mark.parametrize('name', ['', *_TOOLS])
def test_global_completion_finds_its_mark(name: str) -> None:
    package = Path(trt_detector.__file__).parent
    folder = package / 'tools' / name
    path = folder / 'main.py' if folder.is_dir() else folder.with_suffix('.py')
    head = (path if name else package / '__main__.py').read_text()[:1024]
    assert '# PYTHON_ARGCOMPLETE_OK\n' in head


@pytest.mark.parametrize(
    ('line', 'expected'),
    [
        ('ros2 run trt_detector doctor --engine-', ['--engine-cache-dir']),
        ('ros2 run trt_detector doc', ['of_ros2']),
        ('ros2 run other doctor --engine-', ['of_ros2']),
    ],
)
def test_bash_completes_ros2_run(line: str, expected: list[str]) -> None:
    pytest.importorskip('argcomplete', reason='pip install argcomplete')
    words = line.split()
    script = f"""
        of_ros2() {{ COMPREPLY=(of_ros2); }}
        complete -F of_ros2 ros2
        source {shlex.quote(str(ROOT / 'config' / 'completion.bash'))}
        source {shlex.quote(str(ROOT / 'config' / 'completion.bash'))}
        COMP_LINE='{line}' COMP_POINT={len(line)} COMP_TYPE=9 COMP_CWORD={len(words) - 1}
        COMP_WORDS=({line})
        [[ $(complete -p ros2) =~ -F\\ ([^ ]+) ]]
        "${{BASH_REMATCH[1]}}" ros2 {words[-1]} {words[-2]}
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    folder = os.pathsep.join([str(Path(sys.executable).parent), os.environ['PATH']])
    environ = {**os.environ, 'PATH': folder}
    done = subprocess.run(
        ['bash', '--norc', '-c', script], env=environ, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == expected


def test_wrong_arguments_end_with_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    parser = make_parser('tool', 'Text.', examples=['x'], exit_codes={0: 'done'})
    with pytest.raises(SystemExit) as caught:
        parser.parse_args(['--unknown'])
    assert caught.value.code == 2


def test_json_goes_to_a_new_folder_or_to_standard_output(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / 'new' / 'report.json'
    write_json(path, {'a': 1})
    assert json.loads(path.read_text()) == {'a': 1}
    assert path.stat().st_mode & 0o777 == 0o644
    write_json(Path('-'), {'a': 2})
    assert json.loads(capsys.readouterr().out) == {'a': 2}


TOOLS_THAT_PRINT = {
    'detect': ['--model', 'demo/models/demo_raw.onnx', '--images', 'demo/pictures'],
    'doctor': [],
    'inspect_engine': ['none.engine'],
}


def run_on_full_device(*words: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run the package with a standard output that takes nothing, as a full disk."""
    with Path('/dev/full').open('w', encoding='utf-8') as full:
        return subprocess.run(
            [*MODULE, *words],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            cwd=ROOT,
            env={**os.environ, 'PYTHONUNBUFFERED': '', **environ},
        )


@pytest.mark.parametrize('tool', ['', *_TOOLS])
def test_help_that_cannot_be_written_is_an_error_of_one_line(tool: str) -> None:
    done = run_on_full_device(*([tool] if tool else []), '--help')
    program = f'trt_detector {tool}'.rstrip()
    name = tool or program
    assert done.stderr == f'{name}: cannot write standard output: No space left on device\n'
    assert done.returncode == 1


@pytest.mark.parametrize('unbuffered', ['', '1'])
@pytest.mark.parametrize('tool', TOOLS_THAT_PRINT)
def test_output_that_cannot_be_written_is_an_error_of_one_line(tool: str, unbuffered: str) -> None:
    done = run_on_full_device(tool, *TOOLS_THAT_PRINT[tool], PYTHONUNBUFFERED=unbuffered)
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    if tool != 'inspect_engine':  # there is no such engine, and nothing to print
        assert last == f'{tool}: cannot write standard output: No space left on device'
    assert 'Traceback' not in done.stderr
    assert 'Exception ignored' not in done.stderr


def test_closed_output_is_an_error_only_for_what_is_written_to_it() -> None:
    command = shlex.join([*MODULE, 'doctor', '--json'])
    done = subprocess.run(
        ['sh', '-c', f'{command} >&-'], stderr=subprocess.PIPE, text=True, check=False, cwd=ROOT
    )
    assert done.stderr == 'doctor: cannot write standard output: standard output is closed\n'
    assert done.returncode == 1


@pytest.mark.parametrize('tool', TOOLS_THAT_PRINT)
def test_reader_that_ends_first_is_no_error(tool: str) -> None:
    """Read nothing of the output, as a pager that is left at once."""
    reader, writer = os.pipe()
    os.close(reader)
    try:
        finished = subprocess.run(
            [*MODULE, tool, *TOOLS_THAT_PRINT[tool]],
            stdout=writer,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            cwd=ROOT,
        )
    finally:
        os.close(writer)
    # What is short is written at the end, when the code of the tool is known.
    assert finished.returncode in (0, 1)
    assert 'Traceback' not in finished.stderr
    assert 'BrokenPipe' not in finished.stderr


@pytest.mark.parametrize('tool', ['calibrate', 'doctor'])
def test_missing_python_module_is_named_with_its_remedy(tool: str) -> None:
    program = (
        f'import sys; sys.modules["numpy"] = None; sys.argv[1:] = [{tool!r}, "--help"]; '
        'from trt_detector.__main__ import main; sys.exit(main())'
    )
    done = subprocess.run(
        [sys.executable, '-c', program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert f'{tool} needs the Python module numpy, which {sys.executable} does not have' in line
    assert 'source bringup/env.sh' in line
    assert "pip install '.[cpu,tools]'" in line


@pytest.mark.parametrize('node', ['detector_node', 'detections_3d'])
def test_nodes_are_no_tools(node: str) -> None:
    done = subprocess.run([*MODULE, node], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert f'ros2 run trt_detector {node}' in done.stderr


@pytest.mark.parametrize('tool', _TOOLS)
def test_usage_is_short_and_names_the_required_arguments(tool: str) -> None:
    parser = parser_of(tool)
    usage = parser.format_help().partition('\n\n')[0]
    assert len(usage.splitlines()) <= 5
    for action in parser._actions:
        if action.required:
            assert (action.option_strings or [action.dest])[0] in usage


def test_usage_of_calibrate_names_its_sources() -> None:
    usage = parser_of('calibrate').format_usage()
    assert '(--images IMAGES [IMAGES ...] | --video VIDEO | --bag BAG | --topic TOPIC)' in usage
