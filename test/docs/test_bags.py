# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""The commands and messages of docs/bags.md."""

from __future__ import annotations

from pathlib import Path
import re
import shlex

import pytest
from support import bags
from support.models import lamp_detector
from trt_detector.tools.run_bag import main

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / 'docs' / 'bags.md').read_text(encoding='utf-8')
START = '    ros2 run trt_detector run_bag '
COMMANDS = [line[len(START) :] for line in PAGE.splitlines() if line.startswith(START)]


@pytest.mark.parametrize('command', COMMANDS)
def test_each_command_runs(command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    lamp_detector(tmp_path / 'model.onnx')
    bags.write_bag(tmp_path / 'recording', bags.lamp_messages([3, 4, 5]))
    before = set(tmp_path.iterdir())
    assert main(shlex.split(command)) == 0
    created = {path.name for path in set(tmp_path.iterdir()) - before}
    arguments = shlex.split(command)
    named = {arguments[arguments.index(o) + 1] for o in ('--output', '--json') if o in arguments}
    assert created == named


def test_the_page_has_commands() -> None:
    assert len(COMMANDS) >= 4


def test_messages_of_broken_bags_are_those_of_the_code() -> None:
    table = PAGE.partition('| Message | Remedy |')[2]
    messages = re.findall(r'^\| `([^`]+)`', table, flags=re.MULTILINE)
    sources = '\n'.join(
        path.read_text(encoding='utf-8')
        for path in (ROOT / 'trt_detector' / 'tools' / 'bag').glob('*.py')
    )
    # The first is a message of rosbags.
    for message in messages[1:]:
        pattern = re.escape(message.partition(' ...')[0]).replace('N', '{number}')
        pattern = pattern.replace('/topic', '{wanted}')
        assert re.search(pattern, sources), message
    assert len(messages) >= 6
