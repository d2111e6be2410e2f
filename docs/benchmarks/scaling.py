# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""
Make the pictures and tables of docs/scaling.md from the raw figures in this folder.

    python3 docs/benchmarks/scaling.py

It writes docs/images/scaling_*.svg and replaces the tables of the page, section by section; the
sentences around them are written by hand. The raw figures are those of benchmark_node
(scale_*.json) and of detections.py (detections*.json).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
import json
from pathlib import Path
import re
from typing import Any

from trt_detector.evaluation.svg import bar_chart, COLORS, line_chart, stacked

DOCS = Path(__file__).resolve().parents[1]
RAW = DOCS / 'benchmarks'
PAGE = DOCS / 'scaling.md'
NODE = 'trt_detector'
# Files, and what their lines are called.
CAMERAS = {
    'scale_cameras': '640x480 at 5 Hz, two CPU cores, demo model',
    'scale_cameras_limit': '640x480 at 60 Hz, the same, overloaded from 2 cameras on',
    'scale_cameras_gpu': '1920x1080 at 30 Hz, H200, YOLO-sized model',
}
# Files, the figure of each step, the columns of the steps, and what the steps are called.
FIGURES = {'detections': 'p50', 'detections_readers': 'cpu_p50'}
DETECTIONS = {
    'detections': {
        'decode_ms': 'decode', 'serialize_ms': 'serialize',
        'serialize_rclpy_ms': 'serialize, by rclpy', 'track_ms': 'track',
    },
    'detections_readers': {
        'debug_image_ms': 'debug image', 'debug_image_compressed_ms': 'debug image, JPEG',
        'annotations_ms': 'annotations', 'detections_3d_ms': 'detections_3d',
    },
}  # fmt: skip
OPTIONS = {
    'scale_options': 'Cost per option',
    'scale_options_gpu': 'Options on a GPU',
}


def main() -> None:
    for name, picture in make_pictures().items():
        (DOCS / 'images' / f'{name}.svg').write_text(picture, encoding='utf-8')
    text = PAGE.read_text(encoding='utf-8')
    for heading, table in make_tables().items():
        text = replace_table(text, heading, table)
    PAGE.write_text(text, encoding='utf-8')


def make_pictures() -> dict[str, str]:
    """Draw the pictures; return them by name."""
    return {
        'scaling_cameras': draw_cameras(),
        'scaling_detections': draw_detections(),
        'scaling_options': draw_options(),
    }


def make_tables() -> dict[str, str]:
    """Write the tables; return them by the heading of their section."""
    rows = [row for name in CAMERAS for row in read(name)['summary']]
    tables = {'Cost per camera': write_rows(rows)}
    for name, heading in zip(
        DETECTIONS, ('Cost per detection', 'Cost per detection for readers'), strict=True
    ):
        tables[heading] = write_detections(name)
    for name, heading in OPTIONS.items():
        tables[heading] = write_rows(read(name)['summary'])
    return tables


def read(name: str) -> Any:
    """Read raw figures."""
    return json.loads((RAW / f'{name}.json').read_text(encoding='utf-8'))


def draw_cameras() -> str:
    """Draw the figures over the number of cameras."""
    charts = []
    for title, values, keys in (
        ('CPU time per image', 'ms', ('cpu_ms_per_image',)),
        ('Latency, p50', 'ms', ('latency_ms', 'p50')),
        ('Latency, p99', 'ms', ('latency_ms', 'p99')),
        ('Images with detections, all cameras', 'images/s', ('images_per_s',)),
    ):
        lines = [
            [(row['cameras'], get(row, keys)) for row in read(name)['summary']] for name in CAMERAS
        ]
        charts.append(
            line_chart(title, 'number of cameras', [*CAMERAS.values()], lines, values=values)
        )
    return stacked(
        charts,
        'Cost per camera, 1 to 8 cameras',
        'CPU time per image falls with the number of cameras, latency grows, throughput grows up '
        'to the limit of the network.',
    )


def draw_detections() -> str:
    """Draw the time of each step over the number of detections."""
    charts = []
    for name, title in zip(
        DETECTIONS,
        ('In the node, time', 'While somebody subscribes, CPU time'),
        strict=True,
    ):
        rows = read(name)['rows']
        steps = {key: text for key, text in DETECTIONS[name].items() if key in rows[0]}
        lines = [[(row['detections'], row[key][FIGURES[name]]) for row in rows] for key in steps]
        charts.append(
            line_chart(
                f'{title} per image, p50', 'number of detections', [*steps.values()], lines,
                values='ms', logarithmic=True,
            )
        )  # fmt: skip
    return stacked(
        charts,
        'Cost per detection, 1 to 3,000 detections',
        'Time per image of decoding, serialization and tracking, and of debug images, annotations '
        'and detections_3d, on logarithmic axes.',
    )


def draw_options() -> str:
    """Draw the cost of each option beside the default."""
    charts = []
    for name, heading in OPTIONS.items():
        rows = read(name)['summary']
        labels = [name_option(row['node']) for row in rows]
        for title, color, keys in (
            ('CPU time per image in ms', COLORS[0], ('cpu_ms_per_image',)),
            ('latency in ms, p50', COLORS[1], ('latency_ms', 'p50')),
        ):
            charts.append(
                bar_chart(
                    f'{heading}: {title}', labels, [get(row, keys) for row in rows], '{:.1f}',
                    color=color,
                )
            )  # fmt: skip
    return stacked(
        charts,
        'Cost per option',
        'CPU time and latency per image with each option on, one bar per option, beside the '
        'defaults.',
    )


def name_option(node: str) -> str:
    """Shorten the name of a contender for a picture."""
    name = node.removeprefix(f'{NODE}, ')
    if name == NODE:
        return 'defaults'
    # The points of a polygon and the folder of a file say nothing here.
    name = re.sub(r"\['include [^]]*\]", '[one polygon]', name)
    return re.sub(r"\['[^']*/([^/']+)'\]", r'\1', name)


def write_rows(rows: Iterable[dict[str, Any]]) -> str:
    """Write a table of benchmark_node."""
    lines = [
        '| load | node | p50 ms | p90 | p99 | CPU ms per image | images/s |',
        '|---|---|---|---|---|---|---|',
    ]
    for row in rows:
        cameras = f'{row["cameras"]} x ' if row['cameras'] > 1 else ''
        figures = [
            *(row['latency_ms'][part] for part in ('p50', 'p90', 'p99')),
            row['cpu_ms_per_image'],
            row['images_per_s'],
        ]
        cells = [f'{cameras}{row["size"]} {row["rate_hz"]:g} Hz', row['node']]
        cells += [f'{value:.1f}' for value in figures]
        lines.append(f'| {" | ".join(cells)} |')
    return '\n'.join(lines) + '\n'


def write_detections(name: str) -> str:
    """Write a table of detections.py."""
    rows = read(name)['rows']
    steps = {key: text for key, text in DETECTIONS[name].items() if key in rows[0]}
    lines = [f'| detections | {" | ".join(steps.values())} |', '|---' * (1 + len(steps)) + '|']
    for row in rows:
        cells = [f'{row[key][FIGURES[name]]:.2f}' for key in steps]
        lines.append(f'| {row["detections"]} | {" | ".join(cells)} |')
    return '\n'.join(lines) + '\n'


def replace_table(text: str, heading: str, table: str) -> str:
    """Replace the first table of a section."""
    found = re.search(rf'^#+ {re.escape(heading)}$', text, flags=re.MULTILINE)
    if found is None:
        raise SystemExit(f'{PAGE} has no section {heading!r}')
    before, rest = text[: found.end()], text[found.end() :]
    new, count = re.subn(r'(?:^\|.*\n)+', lambda _: table, rest, count=1, flags=re.MULTILINE)
    if not count:
        raise SystemExit(f'the section {heading!r} of {PAGE} has no table')
    return before + new


def get(row: dict[str, Any], keys: Sequence[str]) -> float:
    """Return a value of a row."""
    value: Any = row
    for key in keys:
        value = value[key]
    return float(value)


if __name__ == '__main__':
    main()
