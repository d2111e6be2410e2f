# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""What the tools have in common: help with examples and exit codes, and their JSON files."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
import shlex

import pytest
from trt_detector.__main__ import _TOOLS
from trt_detector.tools.command_line import make_parser, write_json


@pytest.mark.parametrize('tool', _TOOLS)
def test_help_has_examples_that_parse_and_exit_codes(
    tool: str, capsys: pytest.CaptureFixture[str]
) -> None:
    package = f'trt_detector.tools.{tool}'
    folder = Path(importlib.import_module(package).__file__ or '')
    module = importlib.import_module(f'{package}.main' if folder.stem == '__init__' else package)
    parser = module._parser()
    text = parser.format_help()
    start = f'  ros2 run trt_detector {tool} '
    examples = [line[len(start) :] for line in text.splitlines() if line.startswith(start)]
    assert examples
    for example in examples:
        parser.parse_args(shlex.split(example))
    codes = text[text.index('exit codes:') :].splitlines()[1:]
    assert {'0', '1', '2'} <= {line.split()[0] for line in codes}
    assert '--json' in text or tool == 'play_images'


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
