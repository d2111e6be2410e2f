# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Figures of docs/performance.md, computed again from the raw figures."""

from __future__ import annotations

from collections.abc import Iterable
import json
from pathlib import Path
import re
import shlex
import statistics
from typing import Any

import numpy as np
import pytest
from trt_detector.tools.benchmark_node.main import _parser

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / 'docs' / 'performance.md').read_text(encoding='utf-8')
SCALING = (ROOT / 'docs' / 'scaling.md').read_text(encoding='utf-8')


def read_figures(name: str) -> Any:
    """Read raw figures."""
    path = ROOT / 'docs' / 'benchmarks' / f'{name}.json'
    return json.loads(path.read_text(encoding='utf-8'))


def read_tables(heading: str, page: str = PAGE) -> list[list[list[str]]]:
    """Read the cells of the tables of a section, without their heads."""
    section = re.split(rf'^#+ {re.escape(heading)}$', page, flags=re.MULTILINE)[1]
    section = re.split(r'^#+ ', section, maxsplit=1, flags=re.MULTILINE)[0]
    tables = re.findall(r'(?:^\|.*\n)+', section, flags=re.MULTILINE)
    return [
        [[cell.strip() for cell in line.split('|')[1:-1]] for line in table.splitlines()[2:]]
        for table in tables
    ]


def matches(cell: str, value: float) -> bool:
    """Return whether a value, rounded like the cell, is the cell's."""
    digits = len(cell.partition('.')[2])
    # Half of the last digit: a value in the middle may be rounded to either side.
    return abs(float(cell) - value) <= 0.5 * 10**-digits + 1e-9


def of_mode(rows: Iterable[dict[str, Any]], mode: str) -> list[dict[str, Any]]:
    """List the rows of a mode."""
    return [row for row in rows if row['mode'] == mode]


def test_one_camera_on_a_gpu() -> None:
    (table,) = read_tables('On an H200, 30 images per second')
    rows = read_figures('node_h200')['summary']
    assert [tuple(line[:2]) for line in table] == [
        (row['size'], row['node'].removeprefix('benchmark/')) for row in rows
    ]
    for row, (_, _, *cells) in zip(rows, table, strict=True):
        assert cells.pop(3) == f'{row["answered"]} / {row["sent"]}'
        times = [row['latency_ms'][part] for part in ('p50', 'p90', 'p99')]
        assert all(map(matches, cells, [*times, row['cpu_ms_per_image'], row['peak_rss_mib']]))


def test_readme_has_the_figures_of_the_page() -> None:
    text = (ROOT / 'README.md').read_text(encoding='utf-8')
    speed = text.partition('## Speed')[2].partition('\n## ')[0]
    lines = [line.split('|')[1:-1] for line in speed.splitlines() if line.startswith('|')][2:]
    told = [[cell.strip().replace(' of ', ' / ') for cell in line[2:]] for line in lines]
    (table,) = read_tables('On an H200, 30 images per second')
    assert told == [[line[2], line[4], line[5], line[6]] for line in table]


def test_gpu_pipeline() -> None:
    (table,) = read_tables('GPU pipeline')
    files = {'H200': 'pipeline', 'H100': 'pipeline_h100'}
    assert {line[0] for line in table} == set(files)
    for gpu, model, batch, engine, *cells in table:
        rows = [
            row
            for row in read_figures(files[gpu])['rows']
            if (row['model'], row['batch']) == (model, int(batch))
        ]
        assert {gpu in row['device'] for row in rows if 'device' in row} == {True}
        fastest = max(row['fps'] for row in of_mode(rows, 'engine'))
        assert matches(engine, fastest)
        for cell, mode in zip(cells, ('pipeline', 'pageable', 'baseline'), strict=True):
            (rate,) = [
                row['fps'] for row in of_mode(rows, mode) if row.get('frames') == '1920x1080'
            ]
            told = re.findall(r'[\d.]+', cell)
            assert matches(told[0], rate)
            if mode != 'baseline':
                assert matches(told[1], 100 * rate / fastest)


def test_received_images() -> None:
    (cameras,) = read_tables('Received images')
    files = {'before': 'cameras_gpu_converted', 'now': 'cameras_gpu_taken'}
    for load, state, *cells in cameras:
        (row,) = [
            row
            for row in read_figures(files[state])['summary']
            if load.removeprefix(f'{row["cameras"]} x ') == f'{row["size"]} {row["rate_hz"]:g} Hz'
            and load.startswith(f'{row["cameras"]} x ') == (row['cameras'] > 1)
        ]
        times = [row['latency_ms'][part] for part in ('p50', 'p90', 'p99')]
        values = [*times, row['cpu_ms_per_image'], row['images_per_s']]
        assert all(map(matches, cells, values))


def test_four_cameras_on_a_gpu() -> None:
    (table,) = read_tables('Four cameras on a GPU')
    rows = {}
    for name, cores in (('720', 4), ('1080', 4), ('one_core', 1)):
        figures = read_figures(f'four_cameras_gpu_{name}')
        assert len(figures['settings']['cores']) == cores
        for row in figures['rows']:
            load = f'4 x {row["size"]} {row["rate_hz"]:g} Hz'
            rows[load, cores, row['round'] + 1, row['node']] = row
    assert len(table) * 2 == len(rows)
    for load, cores, number, *cells in table:
        place = load, {'one': 1, 'four': 4}[cores], int(number)
        pair = [rows[(*place, name)] for name in ('trt_detector', 'trt_detector, 4 nodes')]
        rates = [row['images_per_s'] for row in pair]
        values = [
            *rates, rates[0] / rates[1],
            *(row['latency_ms']['p99'] for row in pair),
            *(row['cpu_ms_per_image'] for row in pair),
        ]  # fmt: skip
        assert all(map(matches, cells, values))


def test_four_cameras() -> None:
    (table,) = read_tables('Four cameras')
    rows = read_figures('four_cameras')['rows']
    ratios = []
    for number, *cells in table:
        one, four = (
            next(row for row in rows if (row['node'], row['round']) == (node, int(number) - 1))
            for node in ('trt_detector', 'trt_detector, 4 nodes')
        )
        ratios.append(one['answered'] / four['answered'])
        values = [one['answered'], four['answered'], ratios[-1]]
        for key in ('p50', 'p99'):
            values += [row['latency_ms'][key] for row in (one, four)]
        values += [row['cpu_ms_per_image'] for row in (one, four)]
        values += [row['rss_mib'] for row in (one, four)]
        assert all(map(matches, cells, values))
        assert len(cells) == len(values)
    assert len(ratios) == 1 + max(row['round'] for row in rows)
    (told,) = re.findall(r'The median of the ratios is (\d\.\d+)', PAGE)
    assert matches(told, statistics.median(ratios))


def test_cost_of_what_is_off() -> None:
    text = ' '.join(PAGE.partition('## What is off')[2].partition('## ')[0].split())
    report = read_figures('cost_when_off')
    for name in ('node', 'pipeline'):
        pairs = [
            [statistics.median(run[which][name]) for which in ('now', 'before')]
            for run in report['runs']
        ]
        ratios = [now / before for now, before in pairs]
        told = re.findall(
            r'the median (\d\.\d+), (?:and lies )?between (\d\.\d+) and (\d\.\d+)', text
        )[name == 'pipeline']
        values = (statistics.median(ratios), min(ratios), max(ratios))
        assert all(matches(cell, value) for cell, value in zip(told, values, strict=True))
    now, before = re.findall(r'(\d+\.\d) ms', text)
    assert matches(now, report['node']['now_ms'])
    assert matches(before, report['node']['before_ms'])


def test_speed_of_run_bag() -> None:
    page = (ROOT / 'docs' / 'bags.md').read_text(encoding='utf-8')
    (table,) = read_tables('Speed', page)
    rows = read_figures('run_bag')['rows']
    for (images, output, tracker, cpu_ms, factor), row in zip(table, rows, strict=True):
        assert images.lower() == row['images']
        assert (output, tracker == 'yes') == (
            {'bag': 'bag', '.mp4': 'video'}[row['output']],
            'bytetrack' in row['options'],
        )
        runs = row['runs']
        assert matches(cpu_ms, statistics.median(run['cpu_ms_per_image'] for run in runs))
        assert matches(factor, max(run['real_time_factor'] for run in runs))


def test_commands_of_the_page_parse() -> None:

    text = PAGE.replace('\\\n', ' ')
    commands = re.findall(r'^    ros2 run trt_detector benchmark_node (.*)$', text, re.MULTILINE)
    assert len(commands) >= 5

    for command in commands:
        options = _parser().parse_args(shlex.split(command))
        assert len(options.against) == len(options.topic)


@pytest.mark.parametrize(
    ('heading', 'names', 'page'),
    [
        ('Below capacity', ['node_below_capacity'], PAGE),
        ('Overload', ['node_overload'], PAGE),
        (
            'Cost per camera', ['scale_cameras', 'scale_cameras_limit', 'scale_cameras_gpu'],
            SCALING,
        ),
        ('Cost per option', ['scale_options'], SCALING),
    ],
)  # fmt: skip
def test_rows_of_benchmark_node(heading: str, names: list[str], page: str) -> None:
    known = {}
    for name in names:
        for row in read_figures(name)['summary']:
            cameras = f'{row["cameras"]} x ' if row['cameras'] > 1 else ''
            node = row['node'].removeprefix('benchmark/')
            known[f'{cameras}{row["size"]} {row["rate_hz"]:g} Hz', node, name] = row
    found = 0
    for table in read_tables(heading, page):
        # The other tables of a section say what bounds its figures.
        for load, node, *cells in (line for line in table if len(line) > 2):
            rows = [row for key, row in known.items() if key[:2] == (load, node)]
            times = [row.get('latency_ms') or row['run_ms'] for row in rows]
            values = [
                [
                    *(each[part] for part in ('p50', 'p90', 'p99')),
                    row['cpu_ms_per_image'],
                    row['images_per_s'],
                ]
                for each, row in zip(times, rows, strict=True)
            ]
            assert any(all(map(matches, cells, each)) for each in values), (load, node)
            found += 1
    assert found


@pytest.mark.parametrize(
    ('heading', 'name', 'figure', 'steps'),
    [
        (
            'Cost per detection', 'detections', 'p50',
            ['decode', 'serialize', 'serialize_rclpy', 'track'],
        ),
        (
            'Cost per detection for readers', 'detections_readers', 'cpu_p50',
            ['debug_image', 'debug_image_compressed', 'annotations', 'detections_3d'],
        ),
    ],
)  # fmt: skip
def test_cost_per_detection(heading: str, name: str, figure: str, steps: list[str]) -> None:
    table = read_tables(heading, SCALING)[0]
    for cells, row in zip(table, read_figures(name)['rows'], strict=True):
        assert cells[0] == str(row['detections'])
        values = [row[f'{step}_ms'][figure] for step in steps if f'{step}_ms' in row]
        assert all(map(matches, cells[1:], values))


def test_jpeg_images() -> None:
    cost, quality = read_tables('JPEG images')
    for cells, row in zip(cost, read_figures('jpeg_cost')['cost']['rows'], strict=True):
        width, height = row['image_wh']
        assert cells[0] == f'{width}x{height}'
        assert cells[1:4] == [
            str(row['jpeg_quality']), str(row['jpeg_kib']), f'1/{row["reduction"]}'
        ]  # fmt: skip
        assert all(map(matches, cells[4:], (row['full_cpu_ms'], row['reduced_cpu_ms'])))
    for cells, row in zip(quality, read_figures('jpeg')['quality']['sets'], strict=True):
        width, height = row['image_wh']
        assert cells[0] == f'{row["set"]}, {width}x{height}'
        assert cells[1:3] == [f'1/{row["reduction"][0]}', str(row['objects'])]
        figures = [row[way][name] for name in ('map50', 'map50_95') for way in ('full', 'reduced')]
        assert all(map(matches, cells[3:], figures))


def test_jpeg_images_on_the_gpu() -> None:
    (table,) = read_tables('Decoded on the GPU')
    for cells, row in zip(table, read_figures('jpeg_gpu')['rows'], strict=True):
        width, height = row['image_wh']
        assert cells[0] == f'{width}x{height}'
        assert cells[1:4] == [str(row[name]) for name in ('quality', 'kib', 'batch')]
        speeds = [row[way]['images_per_s'] for way in ('full', 'reduced', 'gpu', 'pixels')]
        cpu = [row[way]['cpu_ms_per_image'] for way in ('reduced', 'gpu')]
        assert all(map(matches, cells[4:], speeds + cpu))


def test_openvino() -> None:
    here, accuracy, xeon = read_tables('INT8 and OpenVINO on the CPU')
    modes = read_figures('openvino_epyc')['modes']
    assert [cells[:2] for cells in here] == [[name, modes[name]['precision']] for name in modes]
    for name, _, *cells in here:
        for key, median, gain in (('ms', *cells[:2]), ('cpu_ms', *cells[2:])):
            own, base = (statistics.median(modes[mode][key][4:]) for mode in (name, 'cpu fp32'))
            assert matches(median, own)
            assert matches(gain, base / own)
    variants = {row['name']: row for row in read_figures('openvino_accuracy')['variants']}
    assert [cells[0] for cells in accuracy] == list(variants)
    for name, *cells in accuracy:
        own = variants[name]
        values = [own['figures'][key] for key in ('map50_95', 'map50')]
        assert all(map(matches, cells, [*values, own['agreement']['share']]))
    raw = read_figures('openvino')['ms']
    medians = {name: np.percentile(times[4:], 50) for name, times in raw.items()}
    assert [cells[0] for cells in xeon] == list(medians)
    for name, median, gain in xeon:
        assert matches(median, medians[name])
        assert matches(gain, medians['cpu fp32'] / medians[name])
