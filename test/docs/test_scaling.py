# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Pictures and tables of docs/scaling.md, made again from the raw figures."""

from __future__ import annotations

import json
from pathlib import Path
import re
import runpy
from xml.etree import ElementTree as ET

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / 'docs' / 'scaling.md').read_text(encoding='utf-8')
IMAGES = ROOT / 'docs' / 'images'
PICTURES = ('scaling_cameras', 'scaling_detections', 'scaling_options')
SVG = '{http://www.w3.org/2000/svg}'
RAW = ROOT / 'docs' / 'benchmarks'
SCRIPT = runpy.run_path(str(RAW / 'scaling.py'))
AGAIN = 'run python3 docs/benchmarks/scaling.py'


def test_pictures_are_those_of_the_raw_figures() -> None:
    made = SCRIPT['make_pictures']()
    assert tuple(made) == PICTURES
    for name, picture in made.items():
        assert (IMAGES / f'{name}.svg').read_text(encoding='utf-8') == picture, AGAIN


def test_tables_are_those_of_the_raw_figures() -> None:
    text = PAGE
    for heading, table in SCRIPT['make_tables']().items():
        text = SCRIPT['replace_table'](text, heading, table)
    assert text == PAGE, AGAIN


def test_every_curve_and_option_has_a_sentence_on_its_bound() -> None:
    head = r'^\| (?:Curve|Option|Option on a GPU) \| Bound \|\n\|---\|---\|\n'
    tables = re.findall(rf'{head}((?:\|.*\n)+)', PAGE, re.MULTILINE)
    rows = [line.split('|')[1:-1] for table in tables for line in table.splitlines()]
    assert all(len(bound.strip()) > 10 for _, bound in rows)
    told = [name.strip() for name, _ in rows]
    for steps in SCRIPT['DETECTIONS'].values():
        assert set(steps.values()) <= set(told)
    for name in SCRIPT['OPTIONS']:
        for row in json.loads((RAW / f'{name}.json').read_text(encoding='utf-8'))['summary']:
            # The defaults once more.
            option = row['node'].partition(', ')[2].replace('publish_empty=True', '')
            words = set(re.findall(r'[a-z_]{5,}', option))
            assert not words or any(words & set(re.findall(r'[a-z_]+', cell)) for cell in told)


@pytest.mark.parametrize('name', PICTURES)
def test_pictures_have_names_units_and_colors_of_both_modes(name: str) -> None:
    assert re.search(rf'!\[[^]]{{20,}}\]\(images/{name}\.svg\)', PAGE)
    root = ET.parse(IMAGES / f'{name}.svg').getroot()
    assert root.get('role') == 'img'
    assert root.findtext(f'{SVG}title')
    assert root.findtext(f'{SVG}desc')
    assert 'prefers-color-scheme:dark' in (root.findtext(f'{SVG}style') or '')
    charts = root.findall(f'{SVG}svg')
    for chart in charts:
        texts = ' '.join(text.text or '' for text in chart.iter(f'{SVG}text'))
        assert re.search(r'\bms\b|images/s', texts)
        # A color of its own would be unreadable on the paper of one of the modes.
        assert not [text for text in chart.iter(f'{SVG}text') if text.get('fill')]
        assert chart.get('fill') == 'currentColor'
