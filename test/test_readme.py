# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Names and examples of the README and the other pages."""

from __future__ import annotations

from fnmatch import fnmatch
import json
from pathlib import Path
import re
import shutil
import subprocess
import sys
from typing import Any

import pytest
from trt_detector.config import parameter_specs

ROOT = Path(__file__).parents[1]
PAGES = [
    ROOT / 'README.md',
    ROOT / 'CONTRIBUTING.md',
    ROOT / 'QUALITY_DECLARATION.md',
    ROOT / 'docker' / 'README.md',
    ROOT / 'docs' / 'benchmarks' / 'README.md',
    *sorted((ROOT / 'docs').glob('*.md')),
]
README = PAGES[0].read_text(encoding='utf-8')
MODEL = ROOT / 'demo' / 'models' / 'demo_end2end.onnx'
PICTURE = ROOT / 'demo' / 'pictures' / 'scene_48_1280x720.jpg'
LINK = re.compile(r'\]\(([^)#\s]+)[^)]*\)')
ANCHOR = re.compile(r'\]\(([^)#\s:]*)#([^)\s]+)\)')


@pytest.mark.parametrize('page', PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    targets = LINK.findall(page.read_text(encoding='utf-8'))
    local = [target for target in targets if '://' not in target]
    assert [target for target in local if not (page.parent / target).exists()] == []


@pytest.mark.parametrize('page', PAGES, ids=lambda page: page.name)
def test_links_to_other_sites_are_encrypted_and_whole(page: Path) -> None:
    for target in re.findall(r'\]\((\w+:[^)]*)\)', page.read_text(encoding='utf-8')):
        assert re.fullmatch(r'https://[\w.-]+\.\w+(/[\w./#?=%-]*)?', target), target


def test_large_files_are_listed_with_what_needs_them() -> None:
    table = (ROOT / 'CONTRIBUTING.md').read_text(encoding='utf-8')
    table = table.partition('## Size of the clone')[2].partition('\n## ')[0]
    patterns = re.findall(r'^\| `([^`]+)` \| .+ \|$', table, flags=re.MULTILINE)
    folders = ('bringup', 'config', 'demo', 'docs', 'launch', 'scripts', 'test', 'trt_detector')
    large = [
        path.relative_to(ROOT).as_posix()
        for folder in folders
        for path in (ROOT / folder).rglob('*')
        if path.is_file() and path.suffix != '.pyc' and path.stat().st_size > 100_000
    ]
    assert [name for name in large if not any(fnmatch(name, p) for p in patterns)] == []
    assert [p for p in patterns if not any(fnmatch(name, p) for name in large)] == []


@pytest.mark.parametrize('page', PAGES, ids=lambda page: page.name)
def test_anchors_are_headings(page: Path) -> None:
    for file, anchor in ANCHOR.findall(page.read_text(encoding='utf-8')):
        target = page.parent / file if file else page
        if target.suffix == '.md':
            headings = re.findall(r'^#+ (.*)$', target.read_text(encoding='utf-8'), re.MULTILINE)
            # As GitHub makes them.
            slugs = {re.sub(r'[^\w\- ]', '', h.lower()).replace(' ', '-') for h in headings}
            assert anchor in slugs, f'{page.name} links to {file}#{anchor}'


def test_each_figure_and_script_of_the_benchmarks_is_used_by_a_page() -> None:
    folder = ROOT / 'docs' / 'benchmarks'
    kept = (folder / 'README.md').read_text(encoding='utf-8')
    first_cells = '\n'.join(re.findall(r'^\| (`.*?) \|', kept, flags=re.MULTILINE))
    patterns = re.findall(r'`([\w.*]+)`', first_cells)
    pages = {*PAGES, *folder.glob('*.md')} - {folder / 'README.md'}
    text = '\n'.join(page.read_text(encoding='utf-8') for page in pages)
    for path in sorted(folder.iterdir()):
        if path.is_file() and path.suffix != '.md':
            assert any(fnmatch(path.name, pattern) for pattern in patterns), path.name
            assert path.name in text or f'{path.stem}.' in text, f'no page uses {path.name}'


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
    table = README.partition('## Parameters to know')[2].partition('\n## ')[0]
    rows = re.findall(r'^\| (`\w+`(?:, `\w+`)*) \| ([^|]*) \|', table, flags=re.MULTILINE)
    assert len(rows) >= 6
    words = {
        'none': (), 'all': (), 'false': False, 'true': True, '[image_raw]': ('image_raw',), '': '',
    }  # fmt: skip
    for names, defaults in rows:
        listed = re.findall(r'`(\w+)`', names)
        values = [value.strip(' `') for value in defaults.split(',')]
        values = values * len(listed) if len(values) == 1 else values
        for name, value in zip(listed, values, strict=True):
            assert name in specs
            default = specs[name].default
            assert {value, words.get(value, value)} & {default, str(default)}, name


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


def test_library_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    example = re.findall(r'^```python\n(.*?)^```', README, flags=re.MULTILINE | re.DOTALL)
    assert len(example) == 1
    assert len([line for line in example[0].splitlines() if line]) <= 5
    shutil.copy(MODEL, tmp_path / 'yolo11n.onnx')
    shutil.copy(PICTURE, tmp_path / 'street.jpg')
    monkeypatch.chdir(tmp_path)
    # Nothing of the caller's machine may decide whether the example runs.
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
    names: dict[str, Any] = {}
    exec(example[0], names)
    found = names['found']
    truth = json.loads((PICTURE.parent / 'ground_truth.json').read_text(encoding='utf-8'))
    numbers = [row['id'] for row in truth['images'] if row['file_name'] == PICTURE.name]
    shown = [row for row in truth['annotations'] if row['image_id'] == numbers[0]]
    categories = {row['id']: row['name'] for row in truth['categories']}
    wanted = [(categories[row['category_id']], row['bbox']) for row in shown]
    rows = [row for row in range(len(found)) if found.scores[row] >= 0.5]
    assert len(rows) >= len(wanted) / 2
    for row in rows:
        name = names['detector'].class_names[found.class_ids[row]]
        box = found.boxes_xyxy[row].tolist()
        assert any(name == other and overlap(box, truth) > 0.5 for other, truth in wanted)


def overlap(box_xyxy: list[float], box_xywh: list[float]) -> float:
    """Return the intersection over union of a box and one of COCO's."""
    left, top, width, height = box_xywh
    right, bottom = min(box_xyxy[2], left + width), min(box_xyxy[3], top + height)
    common = max(0.0, right - max(box_xyxy[0], left)) * max(0.0, bottom - max(box_xyxy[1], top))
    area = (box_xyxy[2] - box_xyxy[0]) * (box_xyxy[3] - box_xyxy[1])
    return common / (area + width * height - common)


def test_pages_have_no_placeholders() -> None:
    for page in PAGES:
        text = page.read_text(encoding='utf-8')
        assert not re.findall(r'<this[^>]*>|example\.(?:org|com)|\bTODO\b', text), page.name


def test_sections_of_the_readme_are_in_order() -> None:
    assert re.findall(r'^## (.*)$', README, flags=re.MULTILINE) == [
        'Run it',
        'Why this one',
        'Speed',
        'Topics and services',
        'Parameters to know',
        'Models',
        'TensorRT and INT8',
        'Tools',
        'Use it as a library',
        'Status',
        'Limits',
        'More',
    ]
