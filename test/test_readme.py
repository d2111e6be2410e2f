# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""What the README and the other pages name exists."""

from __future__ import annotations

from pathlib import Path
import re
import subprocess
import sys

import pytest
from trt_detector.config import parameter_specs

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / 'README.md', ROOT / 'CONTRIBUTING.md', *sorted((ROOT / 'docs').glob('*.md'))]
README = PAGES[0].read_text(encoding='utf-8')
LINK = re.compile(r'\]\(([^)#\s]+)[^)]*\)')


@pytest.mark.parametrize('page', PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    targets = LINK.findall(page.read_text(encoding='utf-8'))
    local = [target for target in targets if '://' not in target]
    assert [target for target in local if not (page.parent / target).exists()] == []


def test_programs_that_it_runs_are_installed() -> None:
    setup = (ROOT / 'setup.py').read_text(encoding='utf-8')
    installed = set(re.findall(r"'(\w+) = trt_detector", setup))
    named = set(re.findall(r'ros2 run trt_detector (\w+)', README))
    named |= set(re.findall(r'^\| `(\w+) ', README, flags=re.MULTILINE)) - {'image_topics'}
    assert len(named) >= 5
    assert named <= installed
    launched = re.findall(r'ros2 launch trt_detector (\S+)', README)
    assert launched
    assert all((ROOT / 'launch' / name).is_file() for name in launched)


def test_parameters_in_its_table_exist_with_their_defaults() -> None:
    specs = {spec.name: spec for spec in parameter_specs()}
    table = README.partition('## Parameters')[2].partition('\n## ')[0]
    rows = re.findall(r'^\| (`\w+`(?:, `\w+`)*) \| ([^|]*) \|', table, flags=re.MULTILINE)
    assert len(rows) >= 6
    words = {'none': (), 'all': (), 'false': False, '[image_raw]': ('image_raw',), '': ''}
    for names, defaults in rows:
        listed = re.findall(r'`(\w+)`', names)
        values = [value.strip(' `') for value in defaults.split(',')]
        values = values * len(listed) if len(values) == 1 else values
        for name, value in zip(listed, values, strict=True):
            assert name in specs
            default = specs[name].default
            assert words.get(value, value) in (default, str(default)), name


def test_scripts_take_the_options_that_it_names() -> None:
    for script, options in (
        ('scripts/demo.sh', ('--frames', '--seconds', '--output', '--show')),
        ('scripts/test.sh', ('--',)),
    ):
        shown = subprocess.run(
            ['bash', str(ROOT / script), '--help'], capture_output=True, text=True, check=True
        ).stdout
        assert script in README
        assert all(option in shown for option in options)


def test_module_form_of_every_tool_shows_its_help() -> None:
    for name in re.findall(r'^\| `(\w+) --', README, flags=re.MULTILINE):
        done = subprocess.run(
            [sys.executable, '-m', 'trt_detector', name, '--help'],
            capture_output=True,
            text=True,
            check=False,
            cwd=ROOT,
        )
        assert done.returncode == 0, done.stderr
        assert '--model' in done.stdout
