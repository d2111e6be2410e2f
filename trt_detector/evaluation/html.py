# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Report as one self-contained HTML file."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from html import escape
from typing import Any

import cv2
import numpy as np

from ..image.drawing import draw_detections
from ..image.image import Image
from ..int8_gate.agreement import Agreement
from ..values.detections import Detections
from .data_set import DataSet
from .run import Result, worst_pictures
from .svg import bar_chart, grouped_chart

__all__ = ['as_html']

_WORST = 6
_PICTURE_WIDTH = 640
_STYLE = """
body { font-family: sans-serif; margin: 2em auto; max-width: 1340px; padding: 0 1em; color: #222; }
table { border-collapse: collapse; margin: 1em 0; }
th, td { border-bottom: 1px solid #ddd; padding: 0.35em 0.8em; text-align: right; }
th:first-child, td:first-child, td.text, th.text { text-align: left; }
figure { display: inline-block; margin: 0.4em; }
figcaption { font-size: 0.9em; color: #444; }
.warning { background: #fff4e5; border-left: 4px solid #ea580c; padding: 0.5em 1em; }
svg, img { max-width: 100%; }
"""


def as_html(
    report: dict[str, Any], data: DataSet, results: Sequence[Result], score_threshold: float
) -> str:
    """
    Return the report.

    :param report: as :func:`.report.as_json` gives it.
    :param score_threshold: minimum score of the detections that are drawn.
    """
    names = [result.name for result in results]
    title = f'{data.name}: {", ".join(names)}'
    about = (
        f'{report["pictures"]} pictures, {report["objects"]} objects. Losses and agreement are '
        f'relative to {escape(names[0])}; agreement at scores of {score_threshold:g} or more.'
    )
    warnings = [
        f'<p class="warning">{escape(entry["name"])}: {escape(text)}</p>'
        for entry in report['variants']
        for text in entry['warnings']
    ]
    classes = [row.name for row in results[0].figures.classes]
    a_class = [[row.map50_95 for row in result.figures.classes] for result in results]
    charts = [
        bar_chart('mAP50-95', names, [r.figures.map50_95 for r in results], '{:.4f}'),
        bar_chart(
            'Latency of one picture, median, ms', names, [r.latency.p50 for r in results], '{:.1f}'
        ),
        bar_chart(
            'Size of engine or model, MB', names, [(r.bytes or 0) / 1e6 for r in results], '{:.2f}'
        ),
        grouped_chart('mAP50-95 per class', classes, names, a_class),
    ]
    return '\n'.join([
        '<!DOCTYPE html>',
        f'<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>',
        f'<style>{_STYLE}</style></head><body>',
        f'<h1>{escape(data.name)}</h1>',
        f'<p>{about}</p>',
        *warnings,
        _table(report),
        *(f'<div>{chart}</div>' for chart in charts),
        *_disagreements(data, results, score_threshold),
        '</body></html>',
        '',
    ])  # fmt: skip


def _table(report: dict[str, Any]) -> str:
    """Return the figures side by side."""
    heads = (
        'mAP50-95', 'mAP50', 'small', 'medium', 'large', 'loss', 'agreement', 'score drift',
        'ms p50', 'ms p95', 'MB',
    )  # fmt: skip
    rows = [
        '<tr><th>variant</th><th class="text">runs as</th>'
        + ''.join(f'<th>{head}</th>' for head in heads)
        + '</tr>'
    ]
    for entry in report['variants']:
        figures, latency, agreement = entry['figures'], entry['latency_ms'], entry['agreement']
        keys = ('map50_95', 'map50', 'map_small', 'map_medium', 'map_large')
        cells = [f'{figures[key]:.4f}' if figures[key] >= 0 else '-' for key in keys]
        loss = entry['relative_loss']
        cells += [
            '-' if loss is None else f'{loss:.2%}',
            f'{agreement["share"]:.3f}',
            f'{agreement["score_drift"]:+.3f}',
            f'{latency["p50"]:.1f}',
            f'{latency["p95"]:.1f}',
            '-' if entry['bytes'] is None else f'{entry["bytes"] / 1e6:.2f}',
        ]
        runs = escape(f'{entry["backend"]} {entry["precision"]}, {entry["device"]}')
        rows.append(
            f'<tr><td>{escape(entry["name"])}</td><td class="text">{runs}</td>'
            + ''.join(f'<td>{cell}</td>' for cell in cells)
            + '</tr>'
        )
    return '<table>' + '\n'.join(rows) + '</table>'


def _disagreements(data: DataSet, results: Sequence[Result], score_threshold: float) -> list[str]:
    """Return the pictures with the largest differences from the first variant."""
    worst = worst_pictures(results, score_threshold, _WORST)
    if len(results) < 2:
        return []
    parts = ['<h2>Largest differences</h2>']
    if not worst:
        parts.append('<p>All variants have the same detections.</p>')
    for number, other, agreement in worst:
        path = data.samples[number].path
        image = Image.from_file(path)
        parts.append(f'<h3>{escape(path.name)}</h3>')
        for result in (results[0], other):
            found = result.detections[number]
            shown = found.select(found.scores >= score_threshold)
            parts.append(_figure(image, shown, data.class_names, _caption(result, agreement)))
    return parts


def _caption(result: Result, agreement: Agreement) -> str:
    """Return the caption of a picture."""
    return (
        f'{result.name}; of {agreement.reference} detections {agreement.found} found again, of '
        f'{agreement.candidate} {agreement.confirmed} confirmed'
    )


def _figure(image: Image, found: Detections, names: Sequence[str], caption: str) -> str:
    """Return a picture with its detections, inside the HTML."""
    drawn = draw_detections(image.to_bgr(), found, names)
    scale = min(1.0, _PICTURE_WIDTH / drawn.shape[1])
    small = cv2.resize(drawn, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    _, data = cv2.imencode('.jpg', small, [cv2.IMWRITE_JPEG_QUALITY, 85])
    text = base64.b64encode(np.asarray(data, np.uint8).tobytes()).decode()
    return (
        f'<figure><img alt="{escape(caption)}" src="data:image/jpeg;base64,{text}">'
        f'<figcaption>{escape(caption)}</figcaption></figure>'
    )
