# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Test positions and sizes against the truth of rendered scenes, and against simple geometry."""

from __future__ import annotations

from collections.abc import Iterator
import math
from typing import Any

import cv2
from hypothesis import example, given, settings, strategies
import numpy as np
import pytest
from scenes import DepthObject, DepthScene, render_depth
from splits import TEST_SEEDS
from support.depth_messages import camera_info, camera_model, depth_message, pixel_box
from trt_detector.depth.box3d import Box3D
from trt_detector.depth.camera_model import CameraModel
from trt_detector.depth.config import DepthConfig
from trt_detector.depth.depth_image import DepthImage
from trt_detector.depth.locate import locate_boxes
from trt_detector.errors import ImageError

SIZE_WH = (640, 480)
# A depth camera: 1 % noise, a fifth of the pixels without depth, and stray pixels at edges.
NOISE, HOLES = 0.01, 0.2


@pytest.fixture(scope='module')
def scenes() -> list[DepthScene]:
    return [render_depth(seed, SIZE_WH) for seed in TEST_SEEDS[:40]]


def locate_all(
    scenes: list[DepthScene], *, is_noisy: bool, encoding: str = '16UC1'
) -> Iterator[tuple[DepthObject, Box3D]]:
    """Locate the true boxes of all scenes."""
    rng = np.random.default_rng(6)
    for scene in scenes:
        depth_m = scene.depth_m.astype(float)
        if is_noisy:
            blurred = cv2.blur(np.minimum(depth_m, 60.0), (3, 3))
            is_edge = np.abs(blurred - depth_m) > 0.1 * depth_m
            depth_m = np.where(is_edge, blurred, depth_m)
            depth_m *= 1 + NOISE * rng.standard_normal(depth_m.shape)
            depth_m[rng.random(depth_m.shape) < HOLES] = np.nan
        depth_m[depth_m > 60] = np.nan
        boxes = np.array([pixel_box(*thing.bbox_xyxy) for thing in scene.objects]).reshape(-1, 5)
        camera = camera_model(*SIZE_WH, scene.focal_px)
        image = DepthImage.from_message(depth_message(depth_m, encoding))
        found = locate_boxes(boxes, image, camera, DepthConfig())
        for thing, place in zip(scene.objects, found, strict=True):
            assert isinstance(place, Box3D)
            yield thing, place


@pytest.mark.parametrize('is_noisy', [False, True])
def test_positions_and_sizes_are_near_the_truth(scenes: list[DepthScene], is_noisy: bool) -> None:
    """Position error: median under 2 % of the distance; size: under 10 % of the true edges."""
    pairs = list(locate_all(scenes, is_noisy=is_noisy))
    assert len(pairs) > 150
    errors = np.array([
        np.linalg.norm(box.center - thing.center_xyz) / np.linalg.norm(thing.center_xyz)
        for thing, box in pairs
    ])  # fmt: skip
    is_half = np.array([thing.visible_fraction > 0.5 for thing, _ in pairs])
    assert is_half.sum() > 100
    assert np.median(errors[is_half]) < 0.02
    assert np.median(errors) < 0.025, 'with those of which only a quarter is visible'
    whole = [(thing, box) for thing, box in pairs if is_whole(thing)]
    assert len(whole) > 70
    sizes = np.array([np.abs(box.size / thing.size_xyz - 1) for thing, box in whole])
    assert (np.median(sizes[:, :2], axis=0) < 0.1).all()
    assert np.median(sizes[:, 2]) < 0.25, 'the thickness, of which only the front is seen'


def is_whole(thing: DepthObject) -> bool:
    """Tell whether nothing hides a part of an object."""
    left, top, right, bottom = thing.bbox_xyxy
    is_inside = left > 0 and top > 0 and right < SIZE_WH[0] and bottom < SIZE_WH[1]
    return is_inside and thing.visible_fraction > 0.95


def normalize(thing: DepthObject, box: Box3D) -> float:
    """Calculate the squared error of the center, normalized by its covariance."""
    error = box.center - thing.center_xyz
    return float(error @ np.linalg.solve(box.covariance, error))


def touches_border(thing: DepthObject) -> bool:
    """Tell whether an object reaches the border of the image."""
    left, top, right, bottom = thing.bbox_xyxy
    return left <= 0 or top <= 0 or right >= SIZE_WH[0] or bottom >= SIZE_WH[1]


def test_covariance_encloses_the_truth_of_whole_and_cut_objects(scenes: list[DepthScene]) -> None:
    distances: dict[str, list[float]] = {'whole': [], 'border': [], 'hidden': []}
    for thing, box in locate_all(scenes, is_noisy=True):
        is_border = touches_border(thing)
        kind = 'whole' if is_whole(thing) else 'border' if is_border else 'hidden'
        distances[kind].append(normalize(thing, box))
    # Of a normal distribution in three dimensions, 50 % are below 2.37 and 95 % below 7.81. The
    # covariance is not far too wide either.
    for kind, minimum in (('whole', 0.93), ('border', 0.88), ('hidden', 0.75)):
        values = np.array(distances[kind])
        assert len(values) > 30, kind
        assert np.mean(values < 7.81) > minimum, kind
        assert 0.2 < np.median(values) < 2.37, kind


def test_an_object_cut_by_the_border_has_an_uncertain_center_across_it() -> None:
    # A square of 1 m at 4 m, of which the image shows the right quarter.
    depths = wall(8.0, (0, 100, 31, 225), 4.0)
    cut = locate_one(pixel_box(0, 100, 31, 225), depths)
    whole = locate_one(pixel_box(200, 100, 325, 225), wall(8.0, (200, 100, 325, 225), 4.0))
    width_m = 31 * 4.0 / FOCAL_PX
    assert cut.covariance[0, 0] > (0.3 * width_m) ** 2
    assert whole.covariance[0, 0] < (0.06 * 1.0) ** 2
    # Up and down it is seen as a whole.
    assert cut.covariance[1, 1] == pytest.approx(whole.covariance[1, 1], rel=0.2)


@pytest.mark.parametrize(('near_m', 'is_cut'), [(2.0, True), (3.9, False), (7.9, False)])
def test_an_object_behind_another_one_has_an_uncertain_center(near_m: float, is_cut: bool) -> None:
    depths = wall(8.0, (200, 100, 325, 225), 4.0)
    depths[60:260, 326:380] = near_m
    found = locate_one(pixel_box(200, 100, 325, 225), depths)
    assert (found.covariance[0, 0] > 0.3**2) == is_cut
    assert found.covariance[1, 1] < 0.1**2


def test_a_hole_over_a_part_of_a_sloped_object_makes_its_depth_uncertain() -> None:
    # From 3 m at the left edge to 5 m at the right one.
    slope = wall(8.0, (200, 100, 400, 300), 4.0)
    slope[100:300, 200:400] = np.linspace(3.0, 5.0, 200)
    box = pixel_box(200, 100, 400, 300)
    whole = locate_one(box, slope, thickness_ratio=0.0)
    assert whole.center[2] == pytest.approx(4.0, abs=0.05)
    slope[100:300, 270:400] = np.nan
    part = locate_one(box, slope, thickness_ratio=0.0)
    error_m = 4.0 - part.center[2]
    assert error_m > 0.25
    assert part.covariance[2, 2] > max(error_m / 2, 1.5 * np.sqrt(whole.covariance[2, 2])) ** 2


def test_visible_surface_is_found_beside_what_is_before_and_behind(
    scenes: list[DepthScene],
) -> None:
    """Compare with the depths of the pixels that show the object, which the node does not know."""
    ours, medians = [], []
    config = DepthConfig(thickness_ratio=0.0)
    for scene in scenes:
        depth_m = np.where(scene.depth_m < 60, scene.depth_m, np.nan)
        image = DepthImage.from_message(depth_message(depth_m))
        camera = camera_model(*SIZE_WH, scene.focal_px)
        for number, thing in enumerate(scene.objects):
            left, top, right, bottom = thing.bbox_xyxy
            shown = depth_m[scene.ids == number]
            if not np.isfinite(shown).any():
                continue  # thinner than a pixel
            truth = np.nanmedian(shown)
            (found,) = locate_boxes(np.array([pixel_box(*thing.bbox_xyxy)]), image, camera, config)
            assert isinstance(found, Box3D)
            ours.append(abs(found.center[2] / truth - 1))
            window = depth_m[top:bottom, left:right]
            medians.append(abs(np.nanmedian(window) / truth - 1))
    assert np.percentile(ours, 90) < 0.05
    assert np.percentile(medians, 90) > 0.1, 'the scenes have to be harder than a plain median'


FOCAL_PX = 500.0


def wall(depth_m: float, box: tuple[int, int, int, int], near_m: float) -> Any:
    """Make a wall with a rectangle before it."""
    depths = np.full(SIZE_WH[::-1], depth_m)
    left, top, right, bottom = box
    depths[top:bottom, left:right] = near_m
    return depths


def locate_one(box: list[float], depths: Any, **options: Any) -> Any:
    image = DepthImage.from_message(depth_message(depths))
    camera = options.pop('camera', None) or camera_model(*SIZE_WH, FOCAL_PX)
    (found,) = locate_boxes(np.array([box], float), image, camera, DepthConfig(**options))
    return found


def test_a_rectangle_has_the_position_and_size_of_the_pinhole_camera() -> None:
    edges = (400, 100, 500, 150)
    found = locate_one(pixel_box(*edges), wall(9.0, edges, 3.0), thickness_ratio=0.0)
    np.testing.assert_allclose(found.center, [130 / 500 * 3, -115 / 500 * 3, 3.0], atol=1e-9)
    np.testing.assert_allclose(found.size, [100 / 500 * 3, 50 / 500 * 3, 0.0], atol=1e-6)
    np.testing.assert_array_equal(found.rotation, np.eye(3))


def test_thickness_moves_the_center_behind_the_surface() -> None:
    edges = (270, 190, 370, 290)
    found = locate_one(pixel_box(*edges), wall(9.0, edges, 2.0))
    width = 100 / 500 * 2
    assert found.size == pytest.approx([width, width, width])
    assert 2.0 + 0.2 * width < found.center[2] < 2.0 + 0.5 * width
    double = locate_one(pixel_box(*edges), wall(9.0, edges, 2.0), thickness_ratio=2.0)
    assert double.size[2] == pytest.approx(2 * width)
    assert double.center[2] - 2.0 == pytest.approx(2 * (found.center[2] - 2.0))


def test_a_rotated_box_keeps_its_angle_and_ignores_the_corners() -> None:
    theta = math.radians(30)
    v, u = np.mgrid[0 : SIZE_WH[1], 0 : SIZE_WH[0]] + 0.5
    along = math.cos(theta) * (u - 300) + math.sin(theta) * (v - 220)
    across = -math.sin(theta) * (u - 300) + math.cos(theta) * (v - 220)
    depths = np.where((np.abs(along) < 80) & (np.abs(across) < 8), 2.0, 9.0)
    found = locate_one([300, 220, 160, 16, theta], depths, thickness_ratio=0.0)
    assert found.center[2] == pytest.approx(2.0)
    np.testing.assert_allclose(found.size[:2], [160 / 500 * 2, 16 / 500 * 2], rtol=1e-6)
    assert math.atan2(found.rotation[1, 0], found.rotation[0, 0]) == pytest.approx(theta)


def test_a_lens_moves_the_position() -> None:
    """Compare with the direction that the lens bends to the center of the box."""
    k1 = -0.2
    x = 0.5
    bent = x * (1 + k1 * x * x)
    info = camera_info(*SIZE_WH, FOCAL_PX, (k1, 0.0, 0.0, 0.0, 0.0))
    camera = CameraModel.from_message(info, rectified=False)
    column = SIZE_WH[0] / 2 + bent * FOCAL_PX
    depths = np.full(SIZE_WH[::-1], 4.0)
    found = locate_one([column, 240, 20, 20, 0], depths, camera=camera, thickness_ratio=0.0)
    np.testing.assert_allclose(found.center, [x * 4.0, 0.0, 4.0], atol=1e-6)
    assert abs(bent - x) * 4.0 > 0.05, 'the lens has to matter'


def test_a_box_at_the_edge_of_the_image_uses_the_part_inside() -> None:
    depths = np.full(SIZE_WH[::-1], 3.0)
    found = locate_one([630, 240, 60, 40, 0], depths, min_valid_share=1.0)
    assert isinstance(found, Box3D)
    assert locate_one([660, 240, 20, 40, 0], depths) == 'outside'


def test_holes_are_counted_against_the_minimum_share() -> None:
    depths = np.full(SIZE_WH[::-1], 3.0)
    depths[:, ::2] = np.nan
    box = pixel_box(200, 200, 296, 296)
    assert isinstance(locate_one(box, depths, min_valid_share=0.4), Box3D)
    assert locate_one(box, depths, min_valid_share=0.6) == 'no depth'
    assert locate_one(box, np.zeros(SIZE_WH[::-1])) == 'no depth'


def test_depths_out_of_range_are_holes() -> None:
    depths = np.full(SIZE_WH[::-1], 3.0)
    box = pixel_box(200, 200, 296, 296)
    assert locate_one(box, depths, max_depth=2.9) == 'no depth'
    assert locate_one(box, depths, min_depth=3.1) == 'no depth'
    # Millimeters in a floating-point image are beyond every camera.
    assert locate_one(box, depths * 1000) == 'no depth'


@pytest.mark.parametrize('box', [(9, 9, 0, 5, 0), (9, 9, 5, -1, 0), (math.nan, 9, 5, 5, 0),
                                 (9, 9, math.inf, 5, 0)])  # fmt: skip
def test_malformed_boxes_have_no_place_and_spoil_no_others(box: tuple[float, ...]) -> None:
    image = DepthImage.from_message(depth_message(np.full(SIZE_WH[::-1], 3.0)))
    boxes = np.array([box, (320, 240, 50, 50, 0)], float)
    camera = camera_model(*SIZE_WH, FOCAL_PX)
    first, second = locate_boxes(boxes, image, camera, DepthConfig())
    assert first == 'malformed'
    assert isinstance(second, Box3D)


@pytest.mark.parametrize(
    ('depth_wh', 'boxes', 'sentence'),
    [
        ((640, 360), [(10, 10, 5, 5, 0)], 'depth image is 640x360, but the CameraInfo is that'),
        ((320, 180), [], 'depth image is 320x180'),
        ((640, 480), [(1200, 10, 5, 5, 0)], 'a detection is at x = 1200, y = 10, outside'),
        ((640, 480), [(-200, 10, 5, 5, 0)], 'a detection is at x = -200'),
    ],
)
def test_sizes_that_contradict_each_other_are_refused(
    depth_wh: tuple[int, int], boxes: Any, sentence: str
) -> None:
    image = DepthImage.from_message(depth_message(np.full(depth_wh[::-1], 3.0)))
    rows = np.array(boxes, float).reshape(-1, 5)
    with pytest.raises(ImageError, match=sentence):
        locate_boxes(rows, image, camera_model(*SIZE_WH, FOCAL_PX), DepthConfig())


def test_a_smaller_depth_image_of_the_same_view_is_scaled() -> None:
    edges = (400, 100, 500, 150)
    depths = wall(9.0, edges, 3.0)
    full = locate_one(pixel_box(*edges), depths)
    half = locate_one(pixel_box(*edges), depths[::2, ::2])
    np.testing.assert_allclose(half.center, full.center)
    np.testing.assert_allclose(half.size, full.size)


NUMBERS = strategies.one_of(
    strategies.floats(-2, 6), strategies.floats(0, 1e6), strategies.floats()
)


@settings(max_examples=200, deadline=None)
@example(box=(0.0, 0.0, 1.0, 1e-226, 0.0), depth=[1.0] + [0.0] * 11, lens=())
@given(
    box=strategies.tuples(*[NUMBERS] * 5),
    depth=strategies.lists(
        strategies.one_of(strategies.floats(0, 40, width=32), strategies.floats(width=32)),
        min_size=12,
        max_size=12,
    ),
    lens=strategies.sampled_from([(), (-0.3, 0.1, 0.0, 0.0, 0.0), (5.0, -3.0, 0.1, 0.1, 2.0)]),
)
def test_any_numbers_give_a_finite_box_or_a_reason(
    box: tuple[float, ...], depth: list[float], lens: tuple[float, ...]
) -> None:
    image = DepthImage.from_message(depth_message(np.array(depth).reshape(3, 4)))
    camera = CameraModel.from_message(camera_info(4, 3, 3.0, lens), rectified=False)
    boxes = np.array([box, (2, 1.5, 2, 2, 0)], float)
    try:
        found = locate_boxes(boxes, image, camera, DepthConfig())
    except ImageError:
        return
    for place in found:
        if isinstance(place, str):
            assert place in ('outside', 'no depth', 'malformed')
            continue
        for values in (place.center, place.rotation, place.size, place.covariance):
            assert np.isfinite(values).all()
        assert (place.size > 0).all()
        assert (np.linalg.eigvalsh(place.covariance) >= -1e-9 * place.covariance.max()).all()
