# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Detection in tiles with ONNX Runtime and with an engine whose network only copies its input."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
import threading
from typing import Any

import cv2
from doubles.no_check import NoCheck
import numpy as np
import numpy.typing as npt
import pytest
from support.detectors import means_model, pictures
from support.heads import build, CASES, IOU, picture, SCORE
from support.images import make_image
from support.models import lamp_detector
from support.planted import plant
from trt_detector.config import DetectorConfig
from trt_detector.decode import DecodeOptions
from trt_detector.engine import InferenceEngine
from trt_detector.errors import EngineError
from trt_detector.factory import create_detector
from trt_detector.image.compressed import open_compressed
from trt_detector.image.image import Image
from trt_detector.pipeline import Detector
from trt_detector.pipeline.tiled_detector import TiledDetector
from trt_detector.preprocess import CpuPreprocessor, PreprocessSpec
from trt_detector.tiling.grid import TileGrid
from trt_detector.tiling.merge import merge_parts, PartDetections
from trt_detector.values.detections import Detections
from trt_detector.values.engine_info import EngineInfo
from trt_detector.values.tensor_spec import TensorSpec

SIDE = 64


class CopyEngine(InferenceEngine):
    """
    Engine whose only output is its input.

    :param batch_size: largest number of images per run.
    :param parallel_runs: number of runs at once.
    :param failing: number of the run that fails, from 0; None for none.
    """

    def __init__(
        self, batch_size: int, parallel_runs: int = 1, failing: int | None = None
    ) -> None:
        self._batch_size = batch_size
        self._parallel_runs = parallel_runs
        self._lock = threading.Lock()
        self.failing = failing
        self.counts: list[int] = []

    info = EngineInfo('copy', 'fp32', 'no device', '1.0')
    input_spec = TensorSpec('images', (None, 3, SIDE, SIDE), np.dtype(np.float32))
    output_specs = (TensorSpec('output', (None, 3, SIDE, SIDE), np.dtype(np.float32)),)

    def get_input_shape(self) -> tuple[int, int]:
        return SIDE, SIDE

    def get_batch_size(self) -> int:
        return self._batch_size

    def get_parallel_runs(self) -> int:
        return self._parallel_runs

    def run(self, batch: npt.NDArray[Any]) -> list[npt.NDArray[Any]]:
        with self._lock:
            number = len(self.counts)
            self.counts.append(len(batch))
        if number == self.failing:
            raise EngineError(f'run {number} fails')
        return [batch.copy()]

    def close(self) -> None:
        """Do nothing."""


class BlobHead:
    """
    Head that finds the bright areas of the network's input; their class is their color.

    :param smallest: sides of an area that it finds at least, in pixels of the input.
    """

    def __init__(self, smallest: int) -> None:
        self._smallest = smallest

    layout = 'blobs'
    num_classes = 3

    def decode(
        self, outputs: Sequence[npt.NDArray[Any]], options: DecodeOptions
    ) -> list[Detections]:
        found = []
        for planes in outputs[0]:
            boxes, kinds = [], []
            for kind, plane in enumerate(planes):
                mask = (plane > 0.9).astype(np.uint8)
                _, _, stats, _ = cv2.connectedComponentsWithStats(mask)
                for x, y, w, h, _ in stats[1:]:
                    if min(w, h) < self._smallest:
                        continue
                    boxes.append((x, y, x + w, y + h))
                    kinds.append(kind)
            found.append(
                Detections(
                    np.array(boxes, np.float32).reshape(-1, 4),
                    np.full(len(boxes), 0.9, np.float32),
                    np.array(kinds, np.int32),
                ).first(options.max_detections)
            )
        return found


def _open(engine: CopyEngine, grid: TileGrid | None, smallest: int = 1) -> Detector:
    """Open a detector of bright areas, padded with black."""
    preprocessor = CpuPreprocessor(PreprocessSpec(pad_value=0), engine.input_spec, (SIDE, SIDE))
    values: dict[str, Any] = {
        'model_name': 'blobs', 'class_names': ('red', 'green', 'blue'), 'options': DecodeOptions(),
        'choose_input_size': None, 'warnings': (), 'description': '', 'sanity': NoCheck(),
        'choose_batch': False, 'class_map': None,
    }  # fmt: skip
    if grid is None:
        return Detector(engine, preprocessor, BlobHead(smallest), **values)
    return TiledDetector(engine, preprocessor, BlobHead(smallest), grid=grid, **values)


def _draw(size_wh: tuple[int, int], *boxes: Sequence[int]) -> Image:
    """Draw rectangles left, top, right, bottom and class on black."""
    pixels = np.zeros((size_wh[1], size_wh[0], 3), np.uint8)
    for left, top, right, bottom, kind in boxes:
        pixels[top:bottom, left:right, 2 - kind] = 255
    return Image.from_array(pixels)


def _rows(found: Detections) -> list[list[float]]:
    """List boxes and classes, sorted."""
    return sorted(np.column_stack((found.boxes_xyxy, found.class_ids)).tolist())


def test_one_object_anywhere_gives_what_it_gives_without_tiles() -> None:
    # The whole image is shown at 1:4 and a tile at 1:2; all corners are multiples of 4.
    rng = np.random.default_rng(5)
    plain = _open(CopyEngine(1), None)
    tiled = _open(CopyEngine(5), TileGrid((2, 2), 0.0))
    for _ in range(150):
        left, top = (4 * rng.integers(0, 60, 2)).tolist()
        width, height = (4 * rng.integers(1, 40, 2)).tolist()
        image = _draw((256, 256), (left, top, min(left + width, 256), min(top + height, 256), 1))
        (expected,), (found,) = (d.detect([image]).detections for d in (plain, tiled))
        assert len(expected) == 1
        assert _rows(found) == _rows(expected)
        assert found.scores.tolist() == expected.scores.tolist()


@pytest.mark.parametrize('overlap', [0.1, 0.25, 0.5, 0.75])
@pytest.mark.parametrize('grid', [(2, 2), (3, 2), None], ids=str)
def test_one_object_is_reported_once_at_any_overlap(
    grid: tuple[int, int] | None, overlap: float
) -> None:
    rng = np.random.default_rng(6)
    # A sliver of an object, cut at a border, is nothing that a network finds.
    tiled = _open(CopyEngine(17), TileGrid(grid, overlap), smallest=3)
    for _ in range(30):
        left, top = rng.integers(0, 200, 2).tolist()
        right, bottom = left + int(rng.integers(30, 100)), top + int(rng.integers(30, 100))
        image = _draw((320, 300), (left, top, right, min(bottom, 300), 2))
        (found,) = tiled.detect([image]).detections
        assert found.class_ids.tolist() == [2]
        # 320 pixels are 64 of the network's input.
        np.testing.assert_allclose(
            found.boxes_xyxy[0], (left, top, right, min(bottom, 300)), atol=5
        )


def test_an_object_too_small_for_the_whole_image_is_found_in_a_tile() -> None:
    image = _draw((512, 512), (130, 70, 133, 73, 0))
    assert len(_open(CopyEngine(1), None).detect([image]).detections[0]) == 0
    (found,) = _open(CopyEngine(1), TileGrid((8, 8), 0.0)).detect([image]).detections
    assert _rows(found) == [[130, 70, 133, 73, 0]]


@pytest.mark.parametrize(('batch_size', 'parallel_runs'), [(1, 1), (1, 3), (2, 1), (4, 2), (5, 1)])
def test_the_parts_take_as_few_runs_as_the_batch_size_allows(
    batch_size: int, parallel_runs: int
) -> None:
    objects = [(0, 0, 16, 16, 0), (120, 120, 136, 136, 1), (200, 40, 240, 60, 2)]
    image = _draw((256, 256), *objects)
    engine = CopyEngine(batch_size, parallel_runs)
    detector = _open(engine, TileGrid((2, 2), 0.0))
    for _ in range(3):
        engine.counts.clear()
        (found,) = detector.detect([image]).detections
        assert _rows(found) == sorted([float(v) for v in box] for box in objects)
        assert sum(engine.counts) == 5
        assert len(engine.counts) == -(-5 // batch_size)
    detector.close()


def test_several_images_fill_one_run_if_all_their_parts_fit() -> None:
    engine = CopyEngine(16)
    detector = _open(engine, TileGrid((2, 2), 0.0))
    assert detector.batch_size == 3
    images = [_draw((256, 256), (64 * n, 32, 64 * n + 16, 48, n)) for n in range(3)]
    found = detector.detect(images).detections
    assert [_rows(one) for one in found] == [[[64 * n, 32, 64 * n + 16, 48, n]] for n in range(3)]
    assert engine.counts == [15]
    with pytest.raises(ValueError, match='got 4 images; expected 1 to 3'):
        detector.detect([*images, images[0]])


@pytest.mark.parametrize('parallel_runs', [1, 3])
def test_a_run_that_fails_fails_the_image_and_leaves_no_slot_behind(parallel_runs: int) -> None:
    engine = CopyEngine(1, parallel_runs, failing=2)
    detector = _open(engine, TileGrid((2, 2), 0.0))
    image = _draw((256, 256), (0, 0, 16, 16, 0))
    with pytest.raises(EngineError, match='run 2 fails'):
        detector.detect([image])
    for _ in range(3):
        assert len(detector.detect([image]).detections[0]) == 1
    detector.close()


def test_batches_are_in_flight_only_if_they_fit_into_one_run() -> None:
    single = _open(CopyEngine(1, 3), TileGrid((2, 2), 0.0))
    assert single.depth == 1
    whole = _open(CopyEngine(5, 3), TileGrid((2, 2), 0.0))
    assert whole.depth == 2
    images = [_draw((256, 256), (16 * n, 0, 16 * n + 16, 16, 0)) for n in range(4)]
    waiting = [whole.submit([image]) for image in images[:2]]
    found = [whole.collect(pending).detections[0] for pending in waiting]
    assert [_rows(one)[0][0] for one in found] == [0, 16]
    single.close()
    whole.close()


@pytest.mark.parametrize('size_wh', [(1, 1), (2, 1), (3, 7), (64, 64), (65, 1), (333, 101)])
@pytest.mark.parametrize('grid', [(2, 2), (5, 1), None], ids=str)
def test_images_of_any_size(size_wh: tuple[int, int], grid: tuple[int, int] | None) -> None:
    detector = _open(CopyEngine(3), TileGrid(grid, 0.2))
    empty, full = (_draw(size_wh), _draw(size_wh, (0, 0, *size_wh, 1)))
    assert len(detector.detect([empty]).detections[0]) == 0
    (found,) = detector.detect([full]).detections
    assert _rows(found) == [[0, 0, *size_wh, 1]]


def test_times_and_report_tell_the_tiles() -> None:
    detector = _open(CopyEngine(2), TileGrid((2, 2), 0.0))
    assert detector.info.report()['tiles'] == 'no image yet'
    result = detector.detect([_draw((256, 256))])
    assert detector.info.report()['tiles'] == (
        '2x2 of 128x128 pixels and the whole image: 5 network inputs per image, 3 runs'
    )
    times = result.times
    assert min(times.preprocess_ms, times.infer_ms, times.decode_ms) > 0
    detector = _open(CopyEngine(2), TileGrid(None, 0.0))
    detector.detect([_draw((64, 48))])
    assert 'the whole image only' in detector.info.report()['tiles']


def test_has_run_is_about_images() -> None:
    detector = _open(CopyEngine(10), TileGrid((2, 2), 0.0))
    detector.detect([_draw((256, 256))])
    assert detector.has_run(1)
    assert not detector.has_run(2)


def _config(path: Path, **values: Any) -> DetectorConfig:
    return DetectorConfig(model_path=str(path), backend='onnxruntime', **values)


def _merge_by_hand(image: Image, path: Path, grid: TileGrid, **values: Any) -> Detections:
    """Detect in each part, cut out of the pixels, without tiles, and merge."""
    bgr = image.to_bgr()
    size_wh = (image.width, image.height)
    with create_detector(_config(path, batch_size=1, **values)) as detector:
        height, width = detector.input_size
        preprocessor: Any = detector._runner.preprocessor
        stretch = preprocessor._spec.mode == 'stretch'
        parts = []
        for box in grid.find_parts(size_wh, (width, height)):
            left, top, right, bottom = box
            cut = Image.from_array(np.ascontiguousarray(bgr[top:bottom, left:right]))
            gain_x, gain_y = width / cut.width, height / cut.height
            if not stretch:
                gain = min(gain_x, gain_y)
                gain_x = round(cut.width * gain) / cut.width
                gain_y = round(cut.height * gain) / cut.height
            (found,) = detector.detect([cut]).detections
            parts.append(PartDetections(box, found, (1 / gain_x, 1 / gain_y)))
        options = detector.options
        return merge_parts(
            parts,
            size_wh,
            iou_threshold=options.iou_threshold,
            class_agnostic=options.class_agnostic,
            max_detections=options.max_detections,
        )


@pytest.mark.parametrize('name', CASES)
def test_every_head_layout_gives_its_detections_of_the_parts(name: str, tmp_path: Path) -> None:
    path = build(name, tmp_path / 'm.onnx')
    values = {'warmup_iterations': 0, 'score_threshold': SCORE, 'iou_threshold': IOU}
    image = Image.from_array(picture(4, 331, 200))
    with create_detector(_config(path, tiling='3x2', tile_overlap=0.3, **values)) as detector:
        assert isinstance(detector, TiledDetector)
        (found,) = detector.detect([image]).detections
    expected = _merge_by_hand(image, path, TileGrid((3, 2), 0.3), **values)
    assert len(expected) > 3, 'nothing found says nothing'
    assert found.class_ids.tolist() == expected.class_ids.tolist()
    np.testing.assert_allclose(found.boxes_xyxy, expected.boxes_xyxy, rtol=0, atol=0.01)
    np.testing.assert_allclose(found.scores, expected.scores, rtol=0, atol=1e-5)


def test_jpegs_are_cut_into_tiles_at_full_size() -> None:
    # In half or less of the size the object is smaller than what the head finds.
    drawn = _draw((256, 256), (136, 136, 152, 152, 1))
    image = open_compressed(cv2.imencode('.jpg', drawn.to_bgr())[1])
    assert image.find_reduction((SIDE, SIDE)) == 4
    tiled = _open(CopyEngine(20), TileGrid((4, 4), 0.0), smallest=10)
    (found,) = tiled.detect([image]).detections
    (expected,) = tiled.detect([Image.from_array(image.to_bgr())]).detections
    assert _rows(found) == _rows(expected)
    assert len(found) == 1


def test_rotated_boxes_are_shifted_with_their_angles(tmp_path: Path) -> None:
    # Every part answers with one box in the middle: five centers, five boxes.
    rows = np.tile(np.array([[48, 32, 30, 6, 0.9, 0, 0.5]], np.float32), (2, 1, 1))
    path = plant(
        tmp_path / 'm.onnx',
        {'out': rows},
        metadata={'task': 'obb', 'names': "{0: 'ship', 1: 'plane'}"},
    )
    with create_detector(
        _config(path, head='obb_rows', tiling='2x2', tile_overlap=0.0)
    ) as detector:
        (found,) = detector.detect(
            [Image.from_array(np.zeros((128, 192, 3), np.uint8))]
        ).detections
    assert found.angles is not None
    assert found.angles.tolist() == pytest.approx([0.5] * 5)
    centers = (found.boxes_xyxy[:, :2] + found.boxes_xyxy[:, 2:]) / 2
    assert sorted(np.round(centers).tolist()) == [
        [48, 32], [48, 96], [96, 64], [144, 32], [144, 96],
    ]  # fmt: skip
    # The network shows the whole image at half its size.
    assert (found.boxes_xyxy[:, 2] - found.boxes_xyxy[:, 0]).tolist().count(60) == 1


@pytest.mark.parametrize('batch_size', [0, 1, 3, 7])
def test_every_encoding_gives_what_its_pixels_give(batch_size: int, tmp_path: Path) -> None:
    path = means_model(tmp_path)
    values = {'warmup_iterations': 0, 'score_threshold': 0.0}
    parameters = {'tiling': '3x2', 'batch_size': batch_size, **values}
    images = [*pictures(), make_image('mono8', 91, 55, 3)]
    with create_detector(_config(path, **parameters)) as detector:
        for image in images:
            (found,) = detector.detect([image]).detections
            expected = _merge_by_hand(image, path, TileGrid((3, 2), 0.2), **values)
            assert len(expected) > 8
            np.testing.assert_allclose(found.boxes_xyxy, expected.boxes_xyxy, atol=1e-3)
            np.testing.assert_allclose(found.scores, expected.scores, atol=1e-5)


def test_without_tiles_it_is_the_plain_detector(tmp_path: Path) -> None:
    path = lamp_detector(tmp_path / 'lamp.onnx')
    with create_detector(_config(path)) as detector:
        assert type(detector) is Detector
        assert 'tiles' not in detector.description
        assert 'tiles' not in detector.info.report()


@pytest.mark.parametrize(
    ('parameters', 'run_size', 'batch_size'),
    [
        ({'tiling': '2x2'}, 1, 1),
        ({'tiling': '2x2', 'batch_size': 5}, 5, 1),
        ({'tiling': '2x2', 'batch_size': 12}, 12, 2),
        ({'tiling': 'auto', 'batch_size': 17}, 17, 1),
    ],
)
def test_batch_size_counts_parts(
    parameters: dict[str, Any], run_size: int, batch_size: int, tmp_path: Path
) -> None:
    path = lamp_detector(tmp_path / 'lamp.onnx')
    with create_detector(_config(path, **parameters), default_batch_size=4) as detector:
        assert (detector.run_size, detector.batch_size) == (run_size, batch_size)
        assert detector.description.endswith(f'; tiles {parameters["tiling"]}, overlap 20%')


def test_a_fixed_batch_is_filled(tmp_path: Path) -> None:
    path = lamp_detector(tmp_path / 'four.onnx', batch=4)
    with create_detector(_config(path, tiling='2x2', tile_overlap=0.0)) as detector:
        # One lamp is a cell of 8 of the network's 64 pixels: here of a tile.
        image = np.zeros((128, 128, 3), np.uint8)
        image[80:88, 120:128] = 255
        (found,) = detector.detect([Image.from_array(image)]).detections
    assert [120, 80, 128, 88] in found.boxes_xyxy.round(3).tolist()
