# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Data sets, COCO's figures, and the tool evaluate with its reports."""

from __future__ import annotations

import base64
from html.parser import HTMLParser
import json
from pathlib import Path
import re
from typing import Any
import xml.etree.ElementTree as ET

import cv2
import numpy as np
import pytest
from support.models import constant_detector
from trt_detector.config import DetectorConfig
from trt_detector.errors import ConfigError, ModelError
from trt_detector.evaluation.data_set import read_data_set, Sample
from trt_detector.evaluation.metric import coco_figures
from trt_detector.evaluation.run import run_detector
from trt_detector.evaluation.svg import bar_chart, grouped_chart
from trt_detector.factory import create_detector
from trt_detector.quantize import CalibrationCache, read_calibration_cache
from trt_detector.tools import calibrate, evaluate
from trt_detector.values.detections import Detections

ROOT = Path(__file__).resolve().parents[2]
MODEL = ROOT / 'demo' / 'models' / 'demo_end2end.onnx'
PICTURES = ROOT / 'demo' / 'pictures'
TRUTH = PICTURES / 'ground_truth.json'
NAMES = ('cone', 'ball', 'crate', 'barrel', 'pallet', 'sign')

pytest.importorskip('faster_coco_eval', reason='pip install faster-coco-eval')


def sample(*rows: tuple[float, float, float, float, int]) -> Sample:
    table = np.array(rows, np.float64).reshape(-1, 5)
    crowd = np.zeros(len(table), bool)
    return Sample(Path('x.png'), table[:, :4], table[:, 4].astype(np.int64), crowd)


def found(*rows: tuple[float, float, float, float, float, int]) -> Detections:
    table = np.array(rows, np.float32).reshape(-1, 6)
    return Detections(table[:, :4], table[:, 4], table[:, 5].astype(np.int32))


TWO = sample((10, 10, 60, 60, 0), (100, 100, 150, 150, 1))


def figures(*rows: tuple[float, float, float, float, float, int]) -> Any:
    return coco_figures([TWO], [(200, 200)], [found(*rows)], ('a', 'b'))


def test_perfect_detections_score_one() -> None:
    result = figures((10, 10, 60, 60, 0.9, 0), (100, 100, 150, 150, 0.8, 1))
    assert result.map50_95 == pytest.approx(1.0)
    assert [row.objects for row in result.classes] == [1, 1]


def test_one_class_of_two_scores_half() -> None:
    result = figures((10, 10, 60, 60, 0.9, 0))
    assert result.map50_95 == pytest.approx(0.5)
    assert [row.map50_95 for row in result.classes] == pytest.approx([1.0, 0.0])


def test_a_box_of_iou_0_72_counts_at_five_of_ten_thresholds() -> None:
    # 36 of 50 columns: IoU 0.72 passes 0.50, 0.55, 0.60, 0.65 and 0.70.
    result = figures((10, 10, 46, 60, 0.9, 0), (100, 100, 150, 150, 0.8, 1))
    assert result.map50 == pytest.approx(1.0)
    assert result.classes[0].map50_95 == pytest.approx(0.5)


def test_nothing_found_scores_zero() -> None:
    result = figures()
    assert result.map50_95 == 0.0
    assert [row.name for row in result.classes] == ['a', 'b']


def test_a_crowd_counts_neither_way() -> None:
    crowd = Sample(TWO.path, TWO.boxes_xyxy, TWO.class_ids, np.array([False, True]))
    rows = found((10, 10, 60, 60, 0.9, 0), (110, 110, 140, 140, 0.8, 1))
    result = coco_figures([crowd], [(200, 200)], [rows], ('a', 'b'))
    assert result.map50_95 == pytest.approx(1.0)
    assert [row.name for row in result.classes] == ['a']


def test_coco_categories_are_matched_by_name() -> None:
    turned = tuple(reversed(NAMES))
    plain, other = read_data_set(TRUTH, None, NAMES), read_data_set(TRUTH, None, turned)
    assert len(plain.samples) == 16
    for left, right in zip(plain.samples, other.samples, strict=True):
        assert np.array_equal(left.class_ids, 5 - right.class_ids)
        assert np.array_equal(left.boxes_xyxy, right.boxes_xyxy)


def write_yolo(folder: Path, names: tuple[str, ...] = NAMES) -> Path:
    """Write the demo's pictures in YOLO's form and return data.yaml."""
    data = read_data_set(TRUTH, None, names)
    (folder / 'images').mkdir(parents=True)
    (folder / 'labels').mkdir()
    for entry in data.samples:
        height, width = cv2.imread(str(entry.path)).shape[:2]
        (folder / 'images' / entry.path.name).symlink_to(entry.path)
        lines = []
        for (x1, y1, x2, y2), number in zip(entry.boxes_xyxy, entry.class_ids, strict=True):
            values = ((x1 + x2) / 2 / width, (y1 + y2) / 2 / height)
            values += ((x2 - x1) / width, (y2 - y1) / height)
            lines.append(' '.join([str(number), *(f'{value:.9f}' for value in values)]))
        (folder / 'labels' / f'{entry.path.stem}.txt').write_text('\n'.join(lines) + '\n')
    config = folder / 'data.yaml'
    config.write_text(f'val: images\nnames: {json.dumps(dict(enumerate(names)))}\n')
    return config


def test_rotated_boxes_are_refused(tmp_path: Path) -> None:
    path = tmp_path / 'obb.onnx'
    constant_detector(path, np.zeros((7, 84), np.float32), props={'task': 'obb'})
    data = read_data_set(TRUTH, None, NAMES)
    config = DetectorConfig(model_path=str(path), backend='onnxruntime')
    with (
        create_detector(config) as detector,
        pytest.raises(ModelError, match='obb.onnx has rotated boxes'),
    ):
        run_detector('obb', detector, data, path)


@pytest.mark.parametrize('form', ['yaml', 'yaml in another order', 'folder'])
def test_yolo_and_coco_hold_the_same(form: str, tmp_path: Path) -> None:
    names = tuple(reversed(NAMES)) if 'order' in form else NAMES
    config = write_yolo(tmp_path / 'set', names)
    path = config.parent if form == 'folder' else config
    yolo = {s.path.name: s for s in read_data_set(path, None, NAMES).samples}
    for expected in read_data_set(TRUTH, None, NAMES).samples:
        height, width = cv2.imread(str(expected.path)).shape[:2]
        given = yolo[expected.path.name]
        assert np.array_equal(given.class_ids, expected.class_ids)
        np.testing.assert_allclose(given.boxes_in(width, height), expected.boxes_xyxy, atol=1e-3)


def test_a_polygon_becomes_its_box(tmp_path: Path) -> None:
    (tmp_path / 'images').mkdir()
    (tmp_path / 'labels').mkdir()
    cv2.imwrite(str(tmp_path / 'images' / 'a.png'), np.zeros((10, 20, 3), np.uint8))
    (tmp_path / 'labels' / 'a.txt').write_text('0 0.1 0.2 0.5 0.4 0.3 0.9\n')
    (entry,) = read_data_set(tmp_path, None, ['a']).samples
    np.testing.assert_allclose(entry.boxes_in(20, 10), [[2, 2, 10, 9]])


@pytest.mark.parametrize(
    ('line', 'message'),
    [
        ('0 0.5 0.5 0.1', r'a\.txt line 1: 3 numbers'),
        ('7 0.5 0.5 0.1 0.1', r'a\.txt line 1: class is 7; expected 0 to 0'),
        ('0 x 0.5 0.1 0.1', r'a\.txt line 1: could not convert'),
        ('', 'has 1 pictures and no labeled box'),
    ],
)
def test_bad_labels_are_named(line: str, message: str, tmp_path: Path) -> None:
    (tmp_path / 'images').mkdir()
    (tmp_path / 'labels').mkdir()
    cv2.imwrite(str(tmp_path / 'images' / 'a.png'), np.zeros((8, 8, 3), np.uint8))
    (tmp_path / 'labels' / 'a.txt').write_text(line)
    with pytest.raises(ConfigError, match=message):
        read_data_set(tmp_path, None, ['a'])


def test_data_sets_that_cannot_be_used_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match='does not exist; check --data'):
        read_data_set(tmp_path / 'none.json')
    (tmp_path / 'a.json').write_text('{"images": []}')
    with pytest.raises(ConfigError, match='not in the format of COCO.*expected images'):
        read_data_set(tmp_path / 'a.json')
    with pytest.raises(ConfigError, match='no category of .* is a class of the model'):
        read_data_set(TRUTH, None, ['dog'])
    with pytest.raises(ConfigError, match='16 of 16 pictures are missing'):
        read_data_set(TRUTH, tmp_path, NAMES)


@pytest.fixture(scope='module')
def reports(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Measure FP32, INT8 and bad INT8 on the demo's pictures; calibrated on some of them."""
    folder = tmp_path_factory.mktemp('evaluation')
    cache = folder / 'x.calib'
    small = sorted(PICTURES.glob('*_1280x720.jpg'))
    arguments = ['--model', MODEL, '--output', cache, '--images', *small]
    arguments += ['--method', 'minmax', '--gate-frames', 0]
    assert calibrate.main([str(argument) for argument in arguments]) == 0
    arguments = ['--model', MODEL, '--data', TRUTH]
    arguments += ['--variant', 'full <1>', 'backend=onnxruntime']
    settings = ['backend=onnxruntime', 'precision=int8', f'calib_cache_path={cache}']
    arguments += ['--variant', 'int8', *settings]
    good = read_calibration_cache(cache)
    wide = CalibrationCache(good.header, {name: 8 * s for name, s in good.scales.items()})
    (folder / 'x8.calib').write_bytes(wide.to_bytes())
    settings[-1] = f'calib_cache_path={folder / "x8.calib"}'
    arguments += ['--variant', 'bad', *settings]
    arguments += ['--json', folder / 'r.json', '--html', folder / 'r.html']
    assert evaluate.main([str(argument) for argument in arguments]) == 0
    return folder


def test_int8_is_near_full_precision(reports: Path) -> None:
    report = json.loads((reports / 'r.json').read_text())
    full, int8, bad = report['variants']
    assert (full['precision'], int8['precision']) == ('fp32', 'int8')
    assert full['figures']['map50_95'] > 0.7
    assert full['relative_loss'] == 0.0
    assert full['agreement']['share'] == 1.0
    # 500 scenes lose less than 1 %; 16 pictures scatter.
    assert abs(int8['relative_loss']) < 0.03
    assert 0.9 < int8['agreement']['share'] <= 1.0
    # A refused engine is measured all the same, not what would stand in for it.
    assert bad['precision'] == 'int8'
    assert bad['relative_loss'] > 0.1
    assert 0 < int8['bytes'] < full['bytes'] == MODEL.stat().st_size
    assert full['latency_ms']['p50'] >= full['latency_ms']['infer_p50'] > 0
    assert [row['name'] for row in int8['figures']['classes']] == list(NAMES)


def test_the_settings_of_each_variant_are_printed_at_start(
    capsys: pytest.CaptureFixture[str],
) -> None:
    arguments = ['--model', MODEL, '--data', TRUTH, '--limit', 1]
    for name in ('a', 'b'):
        arguments += ['--variant', name, 'backend=onnxruntime']
    assert evaluate.main([str(argument) for argument in arguments]) == 0
    lines = capsys.readouterr().err.splitlines()
    for name in ('a', 'b'):
        start = f'evaluate: {name}: {MODEL.name}: head '
        (settings,) = [line for line in lines if line.startswith(start)]
        assert all(part in settings for part in ('preprocessing ', 'input ', 'classes ('))


def test_the_truth_itself_scores_one(reports: Path) -> None:
    full = json.loads((reports / 'r.json').read_text())['variants'][0]['figures']
    data = read_data_set(TRUTH, None, NAMES)
    sizes = [cv2.imread(str(s.path)).shape[1::-1] for s in data.samples]
    perfect = [
        Detections(
            s.boxes_xyxy.astype(np.float32),
            np.ones(len(s.class_ids), np.float32),
            s.class_ids.astype(np.int32),
        )
        for s in data.samples
    ]
    best = coco_figures(data.samples, sizes, perfect, NAMES)
    assert best.map50_95 == pytest.approx(1.0)
    assert {row.name: row.objects for row in best.classes} == {
        row['name']: row['objects'] for row in full['classes']
    }


def test_the_html_report_is_self_contained(reports: Path) -> None:
    text = (reports / 'r.html').read_text(encoding='utf-8')
    seen: list[tuple[str, dict[str, str | None]]] = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            seen.append((tag, dict(attrs)))

    Reader().feed(text)
    sources = [attributes.get('src') or '' for tag, attributes in seen if tag == 'img']
    assert sources
    for source in sources:
        kind, _, data = source.partition('base64,')
        assert kind == 'data:image/jpeg;'
        picture = cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), cv2.IMREAD_COLOR)
        assert picture.shape[1] <= 640
    assert not [tag for tag, _ in seen if tag in ('script', 'link')]
    assert not re.findall(r'(?:src|href)="(?!data:)', text)
    assert sum(tag == 'svg' for tag, _ in seen) == 4
    assert 'full &lt;1&gt;' in text
    assert 'full <1>' not in text


def test_charts_are_well_formed_and_to_scale() -> None:
    chart = ET.fromstring(bar_chart('a & b', ['<x>', 'y'], [2.0, 1.0], '{:.1f}'))
    lengths = [float(bar.get('width') or 0) for bar in chart.iter() if bar.tag.endswith('rect')]
    assert lengths[0] == pytest.approx(2 * lengths[1])
    grouped = ET.fromstring(grouped_chart('t', ['a', 'b'], ['v'], [[0.5, 1.0]]))
    heights = [float(bar.get('height') or 0) for bar in grouped.iter() if bar.tag.endswith('rect')]
    assert heights[0] == pytest.approx(heights[1] / 2)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (['--variant', 'x', 'precision'], 'is not parameter=value'),
        (['--variant', 'x', 'color=red'], 'is not parameter=value'),
        (['--variant', 'x', 'batch_size=two'], "batch_size is 'two'; expected an integer"),
        (['--variant', 'x', '--variant', 'x'], "'x': expected a unique name"),
        (['--limit', '0'], '--limit is 0'),
        (['--images', '/nowhere'], '16 of 16 pictures are missing'),
    ],
)
def test_wrong_requests_are_reported(
    options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate.main(['--model', str(MODEL), '--data', str(TRUTH), *options]) == 1
    assert message in capsys.readouterr().err
