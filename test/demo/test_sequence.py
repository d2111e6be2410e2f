# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Check that sequences repeat, and that ids and boxes are those of what is visible."""

from pathlib import Path
import sys

import numpy as np

_DEMO = Path(__file__).resolve().parents[2] / 'demo'
sys.path.insert(0, str(_DEMO))

from scenes.sequence import (  # noqa: E402
    _plan_sequence,
    _trace,
    render_sequence,
)
import splits  # noqa: E402

_SEED = splits.SEQUENCE_SEEDS[300]
_SIZE = (256, 144)


def _ids_of_pixels(seed: int, time_s: float, objects: int) -> np.ndarray:
    """Trace one ray per pixel through all objects; return the (h, w) ids hit, 0 for none."""
    plan, layers, ids = _trace(_plan_sequence(seed, _SIZE, objects), time_s)
    camera = plan.camera
    x, y = np.meshgrid(np.arange(_SIZE[0]) + 0.5, np.arange(_SIZE[1]) + 0.5)
    local = np.stack([x - _SIZE[0] / 2, y - _SIZE[1] / 2, np.full(x.shape, camera.focal_px)])
    rays = np.einsum('ij,ihw->jhw', camera.rotation.astype(float), local / camera.focal_px)
    depth, hit = np.full(x.shape, 1e8), np.zeros(x.shape, int)
    for (solid, _), number in zip(layers, ids, strict=True):
        turned = np.einsum('ij,ihw->jhw', solid.rotation.astype(float), rays)
        origin = solid.rotation.T.astype(float) @ (camera.position - solid.position)
        for part in solid.parts:
            distance = part.shape.hit(origin, turned)
            closer = distance < depth
            depth[closer], hit[closer] = distance[closer], number
    return hit


def test_boxes_enclose_the_pixels_of_their_object() -> None:
    frames = list(render_sequence(_SEED, 3, 1.0, _SIZE, 6, draw=False))
    checked = 0
    for frame in frames:
        hit = _ids_of_pixels(_SEED, frame.stamp_s, 6)
        for thing in frame.objects:
            rows, columns = np.nonzero(hit == thing.track_id)
            if thing.is_counted and len(rows) > 60:
                box = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
                assert np.abs(np.subtract(box, thing.bbox_xyxy)).max() <= 2
                checked += 1
    assert checked >= 6


def test_a_sequence_repeats_and_moves_and_an_id_keeps_its_class() -> None:
    first = list(render_sequence(_SEED, 2, 2.0, _SIZE, 5))
    again = list(render_sequence(_SEED, 2, 2.0, _SIZE, 5))
    traced = list(render_sequence(_SEED, 2, 2.0, _SIZE, 5, draw=False))
    for one, other, outline in zip(first, again, traced, strict=True):
        assert np.array_equal(one.image_bgr, other.image_bgr)
        assert one.image_bgr.shape == (144, 256, 3)
        assert one.objects == other.objects == outline.objects
    assert [frame.stamp_s for frame in first] == [0.0, 0.5]
    before, after = ({thing.track_id: thing for thing in frame.objects} for frame in first)
    common = before.keys() & after.keys()
    assert common
    assert all(before[number].class_id == after[number].class_id for number in common)
    assert any(before[number].bbox_xyxy != after[number].bbox_xyxy for number in common)
    assert not np.array_equal(first[0].image_bgr, first[1].image_bgr)
