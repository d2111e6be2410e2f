# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Figures of several detectors as JSON and as a text table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from .data_set import DataSet
from .run import compare_results, Result

__all__ = ['as_json', 'as_table', 'relative_loss']


def relative_loss(first: Result, other: Result) -> float | None:
    """Return the share of the first variant's mAP50-95 that another lost, None if it is 0."""
    base = first.figures.map50_95
    return (base - other.figures.map50_95) / base if base > 0 else None


def as_json(data: DataSet, results: Sequence[Result], score_threshold: float) -> dict[str, Any]:
    """Return the figures of all variants, ready for JSON."""
    first = results[0]
    entries = []
    for result in results:
        agreement = compare_results(first, result, score_threshold)
        entries.append({
            'name': result.name,
            'backend': result.info.backend,
            'precision': result.info.precision,
            'device': result.info.device,
            'version': result.info.version,
            'warnings': list(result.info.warnings),
            'details': result.info.report(),
            'bytes': result.bytes,
            'latency_ms': asdict(result.latency),
            'figures': asdict(result.figures),
            'relative_loss': relative_loss(first, result),
            'agreement': {
                'share': agreement.share,
                'found': agreement.found,
                'reference': agreement.reference,
                'confirmed': agreement.confirmed,
                'candidate': agreement.candidate,
                'score_drift': agreement.score_drift,
            },
        })  # fmt: skip
    return {
        'data_set': data.name,
        'pictures': len(data.samples),
        'objects': sum(row.objects for row in first.figures.classes),
        'score_threshold': score_threshold,
        'variants': entries,
    }


def as_table(report: dict[str, Any]) -> str:
    """Format the figures as text."""
    width = max(7, *(len(entry['name']) for entry in report['variants']))
    lines = [
        f'{report["data_set"]}: {report["pictures"]} pictures, {report["objects"]} objects',
        f'{"variant":{width}}  mAP50-95   mAP50    loss  agree   ms p50   ms p95      MB  runs as',
    ]
    for entry in report['variants']:
        figures, latency = entry['figures'], entry['latency_ms']
        loss = '' if entry['relative_loss'] is None else f'{entry["relative_loss"]:.2%}'
        size = '' if entry['bytes'] is None else f'{entry["bytes"] / 1e6:.2f}'
        lines.append(
            f'{entry["name"]:{width}}  {figures["map50_95"]:8.4f} {figures["map50"]:7.4f} '
            f'{loss:>7} {entry["agreement"]["share"]:6.3f} {latency["p50"]:8.1f} '
            f'{latency["p95"]:8.1f} {size:>7}  {entry["backend"]} {entry["precision"]}'
        )
    names = [row['name'] for row in report['variants'][0]['figures']['classes']]
    lines += ['', 'mAP50-95 per class']
    label = max(map(len, names), default=0)
    for position, name in enumerate(names):
        values = (v['figures']['classes'][position]['map50_95'] for v in report['variants'])
        lines.append(f'{name:{label}}  ' + '  '.join(f'{value:.4f}' for value in values))
    return '\n'.join(lines)
