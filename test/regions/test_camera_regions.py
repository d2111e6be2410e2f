# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Test which detections of a camera are selected."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from trt_detector.config import DetectorConfig
from trt_detector.errors import ConfigError
from trt_detector.image.image import Image
from trt_detector.regions.assign import assign_regions
from trt_detector.regions.camera_regions import CameraRegions
from trt_detector.regions.drawing import draw_regions
from trt_detector.regions.ignore_mask import IgnoreMask
from trt_detector.values.detections import Detections

SIZE_WH = (200, 100)
CAMERAS = [('/left/image', 'left/image'), ('/right/image', '/right/image')]


def detect(*boxes: tuple[float, float, float, float], angles: Any = None) -> Detections:
    """Make detections whose class is their number."""
    count = len(boxes)
    return Detections(
        np.array(boxes, np.float32).reshape(count, 4),
        np.full(count, 0.5, np.float32),
        np.arange(count, dtype=np.int32),
        angles=None if angles is None else np.array(angles, np.float32),
    )


def select(detections: Detections, camera: int = 0, **parameters: Any) -> list[int]:
    """Return the numbers of the selected detections of a camera."""
    regions = assign_regions(DetectorConfig(**parameters), CAMERAS)
    assert regions is not None
    return [int(number) for number in regions[camera].select(detections, SIZE_WH).class_ids]


def at(x: float, y: float) -> tuple[float, float, float, float]:
    """Make a box of 10x10 pixels about a point, in pixels."""
    return (x - 5, y - 5, x + 5, y + 5)


GRID = detect(*(at(x, y) for y in (25, 75) for x in (50, 150)))
LEFT = '0,0 0.5,0 0.5,1 0,1'
UPPER = '0,0 1,0 1,0.5 0,0.5'


@pytest.mark.parametrize(
    ('regions', 'kept'),
    [
        ([f'include {LEFT}'], [0, 2]),
        ([f'exclude {LEFT}'], [1, 3]),
        ([f'include {LEFT}', f'include {UPPER}'], [0, 1, 2]),
        ([f'include {LEFT}', f'exclude {UPPER}'], [2]),
        ([f'exclude {LEFT}', f'exclude {UPPER}'], [3]),
        ([f'/left/image: include {LEFT}'], [0, 2]),
        ([f'left/image: include {LEFT}'], [0, 2]),
        ([f'/right/image: include {LEFT}'], [0, 1, 2, 3]),
        ([f'exclude {UPPER}', f'/right/image: exclude {LEFT}'], [2, 3]),
        (['include 0,0 1,0 1,1 0,1'], [0, 1, 2, 3]),
    ],
)
def test_regions_select_by_the_center(regions: list[str], kept: list[int]) -> None:
    assert select(GRID, regions=regions) == kept


def test_objects_at_the_edges_of_the_image_are_in_it() -> None:
    # Boxes that reach beyond the image have their centers outside or on its edge.
    edges = detect(at(0, 50), at(-3, -3), at(100, 0), at(200, 50), at(203, 103), at(100, 100))
    whole = 'include 0,0 1,0 1,1 0,1'
    assert select(edges, regions=[whole]) == [0, 1, 2, 3, 4, 5]
    assert select(edges, regions=[whole.replace('include', 'exclude')]) == []


def test_a_point_between_two_regions_is_in_one_of_them() -> None:
    between, right = detect(at(100, 50)), '0.5,0 1,0 1,1 0.5,1'
    found = [select(between, regions=[f'include {part}']) for part in (LEFT, right)]
    assert sorted(found) == [[], [0]]


def test_images_of_no_camera_have_regions_without_a_name() -> None:
    named = DetectorConfig(regions=[f'/left/image: include {LEFT}'])
    with pytest.raises(ConfigError, match='and these images are of no camera: leave it out'):
        assign_regions(named, [()])
    regions = assign_regions(DetectorConfig(regions=[f'include {LEFT}']), [()])
    assert regions is not None
    assert len(regions[0].select(GRID, SIZE_WH)) == 2


def test_each_camera_has_its_own_regions() -> None:
    regions = [f'/left/image: include {LEFT}', f'/right/image: exclude {LEFT}']
    assert select(GRID, 0, regions=regions) == [0, 2]
    assert select(GRID, 1, regions=regions) == [1, 3]


def test_the_lower_edge_can_be_the_anchor() -> None:
    # A person whose head is in the upper half and who stands in the lower one.
    standing = detect((90, 10, 110, 60))
    assert select(standing, regions=[f'include {UPPER}']) == [0]
    assert select(standing, regions=[f'include {UPPER}'], region_anchor='bottom') == []
    at_the_edge = detect((90, 60, 110, 100), (180, 90, 200, 100))
    whole = ['include 0,0 1,0 1,1 0,1']
    assert select(at_the_edge, regions=whole, region_anchor='bottom') == [0, 1]
    rotated = detect((90, 10, 110, 60), angles=[0.5])
    assert select(rotated, regions=[f'include {UPPER}'], region_anchor='bottom') == [0]


@pytest.mark.parametrize(
    ('parameters', 'kept'),
    [
        ({'min_size': 10}, [0, 1, 2, 3]),
        ({'min_size': 10.5}, [1, 2, 3]),
        ({'min_size': [40, 20]}, [2, 3]),
        ({'min_size': [0, 30]}, [1, 3]),
        # A pixel, not the whole image.
        ({'min_size': 1}, [0, 1, 2, 3]),
        # Shares: 0.2 of 200x100 pixels are 40x20.
        ({'min_size': 0.2}, [2, 3]),
        ({'max_size': 0.2}, [0, 2]),
        ({'max_size': [0, 20]}, [0, 2]),
        ({'max_size': [40, 0]}, [0, 1, 2]),
        ({'min_size': 0.1, 'max_size': [50, 50]}, [1, 2]),
    ],
)
def test_sizes_are_pixels_or_shares(parameters: dict[str, Any], kept: list[int]) -> None:
    boxes = detect((0, 0, 10, 10), (0, 0, 20, 50), (0, 0, 40, 20), (0, 0, 100, 60))
    assert select(boxes, **parameters) == kept


@pytest.mark.parametrize(
    ('parameters', 'message'),
    [
        ({'min_size': [1, 2, 3]}, r'min_size is \[1.0, 2.0, 3.0\]; expected a width and a height'),
        ({'min_size': -1}, 'min_size is -1.0; expected 0 or more'),
        ({'min_size': 50, 'max_size': [100, 40]}, 'height of at least 50 and .* at most 40'),
        ({'min_size': 0.5, 'max_size': 0.2}, 'no box has both'),
        ({'max_size': 1.0}, '1 is one pixel: numbers below 1 are shares'),
        ({'regions': ['include 0,0 1,0', 'exclude 0,0']}, '^2 errors in parameters'),
        ({'regions': 'include 0,0 1,0 1,1'}, 'expected a list of strings'),
        ({'regions': ['include 0,0 1,0'], 'max_rate': [1, 2, 3]}, '^2 errors in parameters'),
    ],
)
def test_contradictions_are_refused(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        DetectorConfig(**parameters)


def test_shares_and_pixels_are_no_contradiction() -> None:
    assert DetectorConfig(min_size=0.5, max_size=100).size_limits == ((0.5, 0.5), (100, 100))
    assert DetectorConfig(min_size=100, max_size=0.5).size_limits == ((100, 100), (0.5, 0.5))
    # One size only.
    assert DetectorConfig(min_size=50, max_size=50).size_limits == ((50, 50), (50, 50))


@pytest.mark.parametrize('parameter', ['regions', 'ignore_mask'])
def test_unknown_cameras_are_refused_with_the_known_ones(parameter: str, tmp_path: Path) -> None:
    path = write_mask(tmp_path, slice(None), slice(0, 2))
    text = {'regions': f'include {LEFT}', 'ignore_mask': str(path)}[parameter]
    with pytest.raises(ConfigError) as caught:
        select(GRID, **{parameter: [f'/left/imag: {text}']})
    assert str(caught.value) == (
        f"{parameter} names the camera '/left/imag'; expected an image topic of this node: "
        "/left/image, /right/image; did you mean '/left/image'?"
    )


def test_nothing_selected_needs_no_selection() -> None:
    assert assign_regions(DetectorConfig(), CAMERAS) is None
    assert assign_regions(DetectorConfig(region_anchor='bottom', max_size=0), CAMERAS) is None
    empty = Detections.empty()
    assert CameraRegions(min_wh=(1, 1)).select(empty, SIZE_WH) is empty


def write_mask(folder: Path, rows: slice, columns: slice) -> Path:
    """Write a picture of 8x4 pixels with a white part."""
    picture = np.zeros((4, 8, 3), np.uint8)
    picture[rows, columns] = 255
    cv2.imwrite(str(folder / 'a mask.png'), picture)
    return folder / 'a mask.png'


def test_masks_ignore_what_is_white(tmp_path: Path) -> None:
    path = write_mask(tmp_path, slice(0, 2), slice(0, 4))
    assert select(GRID, ignore_mask=[str(path)]) == [1, 2, 3]
    assert select(GRID, 1, ignore_mask=[f'/left/image: {path}']) == [0, 1, 2, 3]
    assert select(GRID, ignore_mask=[f'left/image: {path}'], regions=[f'include {LEFT}']) == [2]
    # The last pixel of the mask reaches to the edge of the image, and the first one to 0.
    edges = detect((-5, -5, 5, 5), (195, 95, 205, 105))
    last = write_mask(tmp_path, slice(3, 4), slice(7, 8))
    assert select(edges, ignore_mask=[str(last)]) == [0]


def test_the_lighter_half_of_the_colors_is_white(tmp_path: Path) -> None:
    # One pixel per quarter of the image: two grays, and two colors in BGR.
    picture = np.array([[[127] * 3, [128] * 3], [[0, 0, 255], [90, 120, 60]]], np.uint8)
    cv2.imwrite(str(tmp_path / 'mask.png'), picture)
    assert select(GRID, ignore_mask=[f' {tmp_path / "mask.png"} ']) == [0, 3]


def test_a_mask_of_another_shape_is_another_mask(tmp_path: Path) -> None:
    hashes = set()
    for shape in ((2, 8), (4, 4), (8, 2)):
        picture = np.zeros(16, np.uint8)
        picture[5] = 255
        cv2.imwrite(str(tmp_path / 'mask.png'), picture.reshape(shape))
        hashes.add(IgnoreMask(str(tmp_path / 'mask.png')).sha256)
    assert len(hashes) == 3


def test_wrong_masks_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"ignore_mask holds '/no/mask.png': cannot read /no/m"):
        select(GRID, ignore_mask=['/no/mask.png'])
    black = write_mask(tmp_path, slice(0), slice(0))
    with pytest.raises(ConfigError, match='is black all over, so everything would be detected'):
        select(GRID, ignore_mask=[str(black)])
    white = write_mask(tmp_path, slice(None), slice(None))
    with pytest.raises(ConfigError, match='is white all over, so nothing would be detected'):
        select(GRID, ignore_mask=[str(white)])


def test_the_crop_is_even_and_covers_the_regions() -> None:
    config = DetectorConfig(
        crop_to_regions=True,
        regions=['include 0.33,0.33 0.5,0.33 0.5,0.51', 'include 0.4,0.2 0.6,0.2 0.6,0.3',
                 'exclude 0,0 0.1,0 0.1,0.1'],
    )  # fmt: skip
    regions = assign_regions(config, CAMERAS)
    assert regions is not None
    # 0.33 * 101 = 33.3 and 0.6 * 101 = 60.6; 0.2 * 99 = 19.8 and 0.51 * 99 = 50.5
    assert regions[0].find_crop((101, 99)) == (32, 18, 62, 52)
    assert CameraRegions(include=regions[0].include).find_crop((101, 99)) is None
    assert CameraRegions(exclude=regions[0].exclude, crop=True).find_crop((101, 99)) is None
    found = regions[0].restore(detect((0, 0, 5.5, 6)), (101, 99))
    assert found.boxes_xyxy.tolist() == [[32, 18, 37.5, 24]]
    whole = assign_regions(config.with_changes(regions=('include 0,0 1,0 1,1 0,1',)), CAMERAS)
    assert whole is not None
    assert whole[0].find_crop((101, 99)) is None
    image = Image.from_array(np.zeros((99, 101, 3), np.uint8))
    assert whole[0].crop_image(image) is image


@pytest.mark.parametrize('regions', [(), ('exclude 0,0 1,0 1,1',)])
def test_a_crop_without_an_include_region_is_a_warning(
    regions: tuple[str, ...], caplog: pytest.LogCaptureFixture
) -> None:
    config = DetectorConfig(crop_to_regions=True, regions=regions)
    assign_regions(config, CAMERAS)
    assert "no include region: nothing is cropped; add one to regions, e.g. 'in" in caplog.text
    caplog.clear()
    for good in (
        config.with_changes(crop_to_regions=False),
        config.with_changes(regions=(*regions, f'/left/image: include {UPPER}')),
    ):
        assign_regions(good, CAMERAS)
    assert not caplog.text


def test_a_crop_reaches_an_odd_edge() -> None:
    regions = CameraRegions(include=assign(['include 0.5,0.5 1,0.5 1,1']), crop=True)
    assert regions.find_crop((101, 99)) == (50, 48, 101, 99)


def assign(regions: list[str]) -> Any:
    """Make the include regions of the first camera."""
    assigned = assign_regions(DetectorConfig(regions=regions), CAMERAS)
    assert assigned is not None
    return assigned[0].include


def test_regions_are_drawn_where_they_select(tmp_path: Path) -> None:
    path = write_mask(tmp_path, slice(0, 2), slice(4, 8))
    config = DetectorConfig(
        regions=['include 0.1,0.1 0.4,0.1 0.4,0.9 0.1,0.9', f'exclude {UPPER}'],
        ignore_mask=[str(path)],
    )
    regions = assign_regions(config, CAMERAS)
    assert regions is not None
    image = np.full((100, 200, 3), 100, np.uint8)
    assert draw_regions(image, None) is image
    assert draw_regions(image, CameraRegions(min_wh=(9, 9))) is image
    picture = draw_regions(image, regions[0])
    assert (image == 100).all()
    blue, green, red = picture[75, 20].tolist()
    assert green > 150 > max(blue, red), 'the left edge of the include region'
    blue, green, red = picture[0, 100].tolist()
    assert red > 150 > max(blue, green), 'the upper edge of the exclude region'
    assert picture[25, 150].tolist() == [40, 40, 40], 'the mask'
    assert picture[75, 150].tolist() == [100, 100, 100]
    only_mask = draw_regions(image, CameraRegions(masks=regions[0].masks))
    assert only_mask[25, 150].tolist() == [40, 40, 40]
