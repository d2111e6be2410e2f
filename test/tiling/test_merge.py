# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Merging of the detections in the parts of an image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import pytest
from trt_detector.tiling.grid import Box, TileGrid
from trt_detector.tiling.merge import CUT_SHARE, merge_parts, PartDetections
from trt_detector.values.detections import Detections

SIZE = (1000, 600)
# Pixels of the image per pixel of the network's input. A border cuts what ends within 4 of its
# pixels; below 32 of them, boxes of the whole image are coarse.
SCALE = (0.75, 0.5)
MARGIN = (3.0, 2.0)
COARSE = (24.0, 16.0)
# Left, top, right, bottom, score, class, and the angle in radians if the boxes are rotated.
Row = tuple[float, ...]


def _detections(rows: Sequence[Row], **values: Any) -> Detections:
    """Make detections of one part, highest score first."""
    if not rows:
        return Detections.empty()
    table = np.array(sorted(rows, key=lambda row: -row[4]), np.float32)
    return Detections(
        table[:, :4],
        table[:, 4],
        table[:, 5].astype(np.int32),
        angles=table[:, 6] if table.shape[1] > 6 else None,
        **values,
    )


def _merge(parts: Sequence[tuple[Box, Sequence[Row]]], **options: Any) -> Detections:
    """Merge parts whose rows are in pixels of the part."""
    values = {'iou_threshold': 0.5, 'class_agnostic': False, 'max_detections': 300} | options
    given = [PartDetections(box, _detections(rows), SCALE) for box, rows in parts]
    return merge_parts(given, SIZE, **values)


WHOLE: Box = (0, 0, 1000, 600)
LEFT: Box = (0, 0, 600, 600)
RIGHT: Box = (400, 0, 1000, 600)


def _expect(
    parts: Sequence[tuple[Box, Sequence[Row]]], iou_threshold: float, *, agnostic: bool, limit: int
) -> list[Row]:
    """Merge with Python's own numbers, one pair at a time."""
    entries: list[dict[str, Any]] = []
    for number, (part, rows) in enumerate(parts):
        for x1, y1, x2, y2, score, kind in sorted(rows, key=lambda row: -row[4]):
            cut = (
                (part[0] > 0 and x1 <= MARGIN[0])
                or (part[1] > 0 and y1 <= MARGIN[1])
                or (part[2] < SIZE[0] and part[2] - part[0] - x2 <= MARGIN[0])
                or (part[3] < SIZE[1] and part[3] - part[1] - y2 <= MARGIN[1])
            )
            coarse = part == WHOLE and x2 - x1 < COARSE[0] and y2 - y1 < COARSE[1]
            box = (x1 + part[0], y1 + part[1], x2 + part[0], y2 + part[1])
            entries.append(
                {
                    'box': box,
                    'score': score,
                    'kind': kind,
                    'part': number,
                    'cut': cut,
                    'coarse': coarse,
                    'at': len(entries),
                }
            )
    kept: list[dict[str, Any]] = []
    for entry in sorted(entries, key=lambda e: (e['cut'], e['coarse'], -e['score'])):
        a = entry['box']
        area = (a[2] - a[0]) * (a[3] - a[1])
        for better in kept:
            if better['part'] == entry['part']:
                continue
            b = better['box']
            wide = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
            shared = wide * max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
            union = area + (b[2] - b[0]) * (b[3] - b[1]) - shared
            same = better['kind'] == entry['kind']
            same = same or agnostic or entry['cut'] or entry['coarse']
            if same and shared / union > iou_threshold:
                break
            if entry['cut'] and shared / area > CUT_SHARE:
                break
        else:
            kept.append(entry)
    kept.sort(key=lambda e: (-e['score'], e['at']))
    return [(*e['box'], e['score'], e['kind']) for e in kept[:limit]]


@pytest.mark.parametrize('agnostic', [False, True])
@pytest.mark.parametrize('iou_threshold', [0.0, 0.45, 1.0])
@pytest.mark.parametrize('grid', [(2, 1), (3, 2), (4, 4)], ids=str)
def test_merged_boxes_equal_those_of_a_plain_calculation(
    grid: tuple[int, int], iou_threshold: float, agnostic: bool
) -> None:
    rng = np.random.default_rng(7)
    for number in range(10):
        boxes = TileGrid(grid, float(rng.choice([0.0, 0.2, 0.5]))).find_parts(SIZE, (64, 64))
        objects = [
            (*rng.uniform(0, (950, 560)), *rng.uniform(10, 250, 2), int(rng.integers(0, 3)))
            for _ in range(30)
        ]
        parts = []
        for left, top, right, bottom in boxes:
            rows = []
            for x, y, w, h, kind in objects:
                # What a part shows of the object, a little off.
                x1, y1 = max(x, left) - left, max(y, top) - top
                x2, y2 = min(x + w, right) - left, min(y + h, bottom) - top
                if x2 - x1 < 6 or y2 - y1 < 6 or rng.random() < 0.2:
                    continue
                off = rng.uniform(0, 2, 4) * (1, 1, -1, -1)
                edges = np.round(np.array((x1, y1, x2, y2)) + off, 1)
                # Scores are multiples of 1/64, so that some are equal.
                score = int(rng.integers(16, 64)) / 64
                rows.append((*(float(np.float32(e)) for e in edges), score, kind))
            parts.append((boxes[len(parts)], rows))
        limit = 10 if number % 2 else 300
        found = _merge(
            parts, iou_threshold=iou_threshold, class_agnostic=agnostic, max_detections=limit
        )
        expected = _expect(parts, iou_threshold, agnostic=agnostic, limit=limit)
        assert len(expected) > 5
        got = np.column_stack((found.boxes_xyxy, found.scores, found.class_ids))
        np.testing.assert_allclose(got, np.array(expected), rtol=0, atol=1e-3)


def test_an_object_seen_whole_in_several_parts_is_reported_once_with_the_best_score() -> None:
    found = _merge(
        [
            (WHOLE, [(450, 100, 500, 150, 0.6, 1)]),
            (LEFT, [(450, 100, 500, 150, 0.9, 1)]),
            (RIGHT, [(50, 100, 100, 150, 0.8, 1)]),
        ]
    )
    assert found.boxes_xyxy.tolist() == [[450, 100, 500, 150]]
    assert found.scores.tolist() == pytest.approx([0.9])


def test_a_cut_box_yields_to_the_whole_one_though_its_score_is_higher() -> None:
    # An object from 390 to 620: cut by both tiles, whole in the whole image only.
    parts = [
        (WHOLE, [(390, 100, 620, 200, 0.3, 1)]),
        (LEFT, [(390, 100, 600, 200, 0.9, 1)]),
        (RIGHT, [(0, 100, 220, 200, 0.8, 2)]),
    ]
    assert _merge(parts, iou_threshold=0.95).boxes_xyxy.tolist() == [[390, 100, 620, 200]]


def test_of_two_pieces_without_a_whole_box_the_better_one_stays() -> None:
    parts = [
        (WHOLE, []),
        (LEFT, [(390, 100, 600, 200, 0.7, 1)]),
        (RIGHT, [(0, 100, 220, 200, 0.8, 1)]),
    ]
    assert _merge(parts, iou_threshold=0.95).boxes_xyxy.tolist() == [[400, 100, 620, 200]]


def test_a_cut_box_stays_beside_a_small_box_inside_it() -> None:
    # Something small and whole in front of a large object that the border cuts.
    parts: list[tuple[Box, list[Row]]] = [
        (WHOLE, [(500, 100, 540, 140, 0.9, 1)]),
        (LEFT, [(300, 0, 600, 400, 0.8, 1)]),
    ]
    assert len(_merge(parts)) == 2


def test_a_border_of_the_image_cuts_nothing() -> None:
    # Both touch the left edge of the image; the larger one must not replace the smaller one.
    parts: list[tuple[Box, list[Row]]] = [
        (WHOLE, [(0, 100, 200, 300, 0.9, 1)]),
        (LEFT, [(0, 100, 100, 200, 0.5, 1)]),
    ]
    assert len(_merge(parts)) == 2


def test_a_coarse_box_of_the_whole_image_yields_to_what_a_tile_shows_larger() -> None:
    tile: tuple[Box, list[Row]] = (LEFT, [(450, 100, 470, 115, 0.4, 2)])
    small = (451, 100, 472, 115, 0.9, 1)
    found = _merge([(WHOLE, [small]), tile])
    assert found.class_ids.tolist() == [2]
    # Alone, and beside another one, it stays.
    assert len(_merge([(WHOLE, [small]), (LEFT, [])])) == 1
    assert len(_merge([(WHOLE, [(480, 100, 500, 115, 0.9, 1)]), tile])) == 2
    # One that is large enough keeps its class and its place.
    large: Row = (450, 100, 475, 115, 0.9, 1)
    assert sorted(_merge([(WHOLE, [large]), tile]).class_ids.tolist()) == [1, 2]


def test_classes_suppress_each_other_only_if_asked() -> None:
    parts: list[tuple[Box, list[Row]]] = [
        (WHOLE, [(450, 100, 500, 150, 0.6, 1)]),
        (LEFT, [(450, 100, 500, 150, 0.9, 2)]),
    ]
    assert sorted(_merge(parts).class_ids.tolist()) == [1, 2]
    assert _merge(parts, class_agnostic=True).class_ids.tolist() == [2]


def test_boxes_of_one_part_do_not_suppress_each_other() -> None:
    # A head without suppression may report two objects that overlap.
    rows: list[Row] = [(450, 100, 500, 150, 0.9, 1), (452, 100, 502, 150, 0.8, 1)]
    assert len(_merge([(WHOLE, rows), (LEFT, [])])) == 2


def test_no_detections_at_all() -> None:
    found = _merge([(WHOLE, []), (LEFT, []), (RIGHT, [])])
    assert len(found) == 0
    assert found.boxes_xyxy.shape == (0, 4)


def test_counts_of_dropped_candidates_are_those_of_all_parts() -> None:
    parts = [
        PartDetections(WHOLE, _detections([(1, 1, 9, 9, 0.9, 1)], invalid=2, degenerate=1), SCALE),
        PartDetections(LEFT, _detections([(99, 1, 120, 9, 0.5, 1)], class_error=0.25), SCALE),
        PartDetections(RIGHT, Detections.empty(), SCALE),
    ]
    found = merge_parts(parts, SIZE, iou_threshold=0.5, class_agnostic=False, max_detections=1)
    assert (len(found), found.invalid, found.degenerate, found.class_error) == (1, 2, 1, 0.25)


def _rotated_iou(a: Row, b: Row) -> float:
    """Compute the overlap of two rotated boxes by OpenCV."""
    first, second = (
        ((x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1, np.degrees(turn))
        for x1, y1, x2, y2, _, _, turn in (a, b)
    )
    rects = [(r[:2], r[2:4], r[4]) for r in (first, second)]
    kind, points = cv2.rotatedRectangleIntersection(*rects)
    if kind == cv2.INTERSECT_NONE or points is None:
        return 0.0
    shared = cv2.contourArea(cv2.convexHull(points))
    return float(shared / (first[2] * first[3] + second[2] * second[3] - shared))


def test_rotated_boxes_keep_their_angles_and_use_their_own_overlap() -> None:
    long = (420, 200, 560, 220, 0.9, 1, 0.5)
    for turn in (0.5, 0.6, 0.9, 2.0):
        other = (420 - 400, 200, 560 - 400, 220, 0.8, 1, turn)
        found = _merge([(WHOLE, [long]), (RIGHT, [other])])
        overlap = _rotated_iou(long, (420, 200, 560, 220, 0.8, 1, turn))
        assert len(found) == (1 if overlap > 0.5 else 2), turn
        assert found.angles is not None
        assert found.angles.tolist() == pytest.approx([0.5, turn][: len(found)])


def test_a_rotated_box_is_cut_where_its_corners_leave_the_tile() -> None:
    # Unrotated, both are well inside their tiles; a quarter turn reaches over the border at 600.
    quarter = np.pi / 2
    whole = (500, 250, 700, 350, 0.4, 1, 0.0)
    piece = (570, 255, 590, 345, 0.9, 1, quarter)
    assert len(_merge([(WHOLE, [whole]), (LEFT, [piece])])) == 1
    assert len(_merge([(WHOLE, [whole]), (LEFT, [(*piece[:6], 0.0)])])) == 2


@pytest.mark.parametrize(('left', 'count'), [(490, 2), (475, 1)])
def test_a_rotated_piece_yields_to_what_holds_most_of_it(left: float, count: int) -> None:
    # Both are 200x100 pixels and not turned; the piece ends at the border at 600. What they share
    # is 110 of 200 columns, or 125, which are more than 0.6 of them; less than half of the union.
    whole = (left, 250, left + 200, 350, 0.4, 1, 0.0)
    piece = (400, 250, 600, 350, 0.9, 1, 0.0)
    assert len(_merge([(WHOLE, [whole]), (LEFT, [piece])])) == count


def test_an_overlap_of_the_threshold_is_not_above_it() -> None:
    # 50x50 of 50x100 pixels.
    small, large = (450, 100, 500, 150, 0.9, 1), (450, 100, 500, 200, 0.8, 1)
    assert len(_merge([(WHOLE, [large]), (LEFT, [small])])) == 2
    assert len(_merge([(WHOLE, [large]), (LEFT, [small])], iou_threshold=0.49)) == 1


def test_equal_scores_keep_the_order_of_the_parts() -> None:
    parts: list[tuple[Box, list[Row]]] = [
        (WHOLE, [(10, 10, 50, 50, 0.5, 1)]),
        (LEFT, [(100, 10, 150, 50, 0.5, 1), (590, 10, 600, 50, 0.5, 1)]),
        (RIGHT, [(300, 10, 350, 50, 0.5, 1)]),
    ]
    assert _merge(parts).boxes_xyxy[:, 0].tolist() == [10, 100, 590, 700]


def test_many_boxes_in_several_blocks() -> None:
    # 900 objects, all of them in two parts; the second time a little worse.
    corners = [(float(x), float(y)) for x in range(405, 595, 6) for y in range(5, 185, 6)]
    rows = [(x, y, x + 4, y + 4, 0.9, 1) for x, y in corners]
    again = [(x - 400, y, x - 396, y + 4, 0.8, 1) for x, y in corners]
    found = _merge([(WHOLE, []), (LEFT, rows[:-50]), (RIGHT, again)], max_detections=10_000)
    kept = {(x, y) for x, y in found.boxes_xyxy[:, :2].tolist()}
    assert len(found) == len(kept) == len(corners)
    assert kept == set(corners)
