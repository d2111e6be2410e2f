# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Test what is published of tracked detections, and when tracks start again."""

from __future__ import annotations

import numpy as np
import pytest
from trt_detector.config import DetectorConfig
from trt_detector.decode import DecodeOptions
from trt_detector.errors import ConfigError
from trt_detector.tracking.camera_tracks import CameraTracks
from trt_detector.values.detections import Detections

pytest.importorskip('scipy', reason='SciPy is missing: pip install scipy')

SIZE_WH = (640, 480)


def _found(*rows: tuple[float, float, int]) -> Detections:
    """Make detections from (x, score, class) of boxes of 40x80 pixels."""
    return Detections(
        np.array([[x, 0, x + 40, 80] for x, _, _ in rows], np.float32).reshape(-1, 4),
        np.array([score for _, score, _ in rows], np.float32),
        np.array([kind for _, _, kind in rows], np.int32),
    )


class _Cameras:
    """Trackers of two cameras, with what they log."""

    def __init__(self, options: DecodeOptions | None = None, **parameters: float) -> None:
        self.warnings: list[str] = []
        self.failures: list[str] = []
        self.tracks = CameraTracks(['/a', '/b'], self.warnings.append, self.failures.append)
        config = DetectorConfig(tracker='bytetrack', **parameters)  # type: ignore[arg-type]
        self.decoded = self.tracks.set_options(config, options or DecodeOptions())

    def ids(self, *rows: tuple[float, float, int], at_s: float, camera: int = 0) -> list[int]:
        """Track one image; return the ids of what is published."""
        found = self.tracks.update(camera, _found(*rows), at_s, SIZE_WH).track_ids
        assert found is not None
        return found.tolist()


def test_the_model_is_decoded_down_to_the_low_threshold() -> None:
    options = DecodeOptions(score_threshold=0.4, class_score_thresholds=((1, 0.05), (2, 0.6)))
    decoded = _Cameras(options).decoded
    assert decoded.score_threshold == 0.1
    assert decoded.class_score_thresholds == ((1, 0.05), (2, 0.1))
    assert _Cameras(DecodeOptions(score_threshold=0.05)).decoded.score_threshold == 0.05


def test_published_are_those_with_the_minimum_score_and_those_that_continue_a_track() -> None:
    cameras = _Cameras(DecodeOptions(score_threshold=0.3))
    assert cameras.ids((0, 0.9, 0), (200, 0.35, 0), (400, 0.2, 0), at_s=0.0) == [1, 0]
    assert cameras.ids((0, 0.2, 0), (200, 0.35, 0), (400, 0.2, 0), at_s=0.1) == [1, 0]


def test_no_track_starts_below_the_minimum_score_of_the_class() -> None:
    cameras = _Cameras(DecodeOptions(score_threshold=0.3, class_score_thresholds=((1, 0.95),)))
    for step in range(3):
        assert cameras.ids((0, 0.9, 0), (200, 0.9, 1), at_s=step / 10) == [1]


def test_cameras_do_not_share_tracks() -> None:
    cameras = _Cameras()
    assert cameras.ids((0, 0.9, 0), at_s=5.0) == [1]
    assert cameras.ids((300, 0.9, 0), at_s=1.0, camera=1) == [1]
    assert cameras.ids((0, 0.9, 0), at_s=5.1) == [1]
    assert cameras.ids((300, 0.9, 0), at_s=1.1, camera=1) == [1]
    assert cameras.warnings == []


def test_stamps_that_go_back_start_tracks_anew_with_one_line_per_camera() -> None:
    cameras = _Cameras()
    for camera in (0, 1):
        assert cameras.ids((0, 0.9, 0), at_s=50.0, camera=camera) == [1]
        assert cameras.ids((0, 0.9, 0), at_s=47.5, camera=camera) == [2]
        assert cameras.ids((0, 0.9, 0), at_s=45.0, camera=camera) == [3]
    lines = [
        f'the tracks of {t} start again: the stamps went back by 2.500 s' for t in ('/a', '/b')
    ]
    assert cameras.warnings == lines


def test_a_long_pause_starts_tracks_anew_and_names_the_parameter() -> None:
    cameras = _Cameras(track_buffer=2.0)
    assert cameras.ids((0, 0.9, 0), at_s=1.0) == [1]
    assert cameras.ids((0, 0.9, 0), at_s=3.0) == [1]
    assert cameras.ids((0, 0.9, 0), at_s=5.5) == [2]
    assert cameras.warnings == [
        'the tracks of /a start again: 2.500 s passed between two images, track_buffer is 2 s'
    ]


def test_a_long_pause_without_any_track_is_no_news() -> None:
    cameras = _Cameras()
    assert cameras.ids(at_s=1.0) == []
    assert cameras.ids((0, 0.9, 0), at_s=60.0) == [0]
    assert cameras.warnings == []


def test_two_images_of_one_stamp_continue_a_track() -> None:
    cameras = _Cameras()
    assert cameras.ids((0, 0.9, 0), at_s=1.0) == [1]
    assert cameras.ids((2, 0.9, 0), at_s=1.0) == [1]
    assert cameras.warnings == []


@pytest.mark.parametrize(('match_thresh', 'ids'), [(0.7, [1]), (0.6, [0])])
def test_a_track_goes_on_within_the_distance_of_its_threshold(
    match_thresh: float, ids: list[int]
) -> None:
    cameras = _Cameras(match_thresh=match_thresh)
    assert cameras.ids((0, 0.9, 0), at_s=0.0) == [1]
    # 20 of 40 pixels further: half of each box is shared, an IoU of 1/3 and a distance of 2/3.
    assert cameras.ids((20, 0.9, 0), at_s=0.1) == ids


def test_a_low_threshold_above_the_high_one_is_refused() -> None:
    with pytest.raises(ConfigError, match=r'track_low_thresh is 0\.6 and track_thresh is 0\.5'):
        DetectorConfig(track_low_thresh=0.6)
    assert DetectorConfig(track_low_thresh=0.5).track_low_thresh == 0.5


def test_another_image_size_starts_tracks_anew() -> None:
    cameras = _Cameras()
    assert cameras.ids((0, 0.9, 0), at_s=1.0) == [1]
    ids = cameras.tracks.update(0, _found((0, 0.9, 0)), 1.1, (320, 240)).track_ids
    assert ids is not None
    assert ids.tolist() == [2]
    assert cameras.warnings == [
        'the tracks of /a start again: the size of the images changed from 640x480 to 320x240'
    ]


def test_reset_forgets_tracks_and_stamps_silently() -> None:
    cameras = _Cameras()
    assert cameras.ids((0, 0.9, 0), at_s=50.0) == [1]
    cameras.tracks.reset()
    assert cameras.ids((0, 0.9, 0), at_s=1.0) == [2]
    assert cameras.warnings == []


def test_thresholds_change_between_two_images() -> None:
    cameras = _Cameras()
    assert cameras.ids((0, 0.45, 0), at_s=0.0) == [0]
    config = DetectorConfig(tracker='bytetrack', track_thresh=0.4)
    cameras.tracks.set_options(config, DecodeOptions())
    assert cameras.ids((0, 0.45, 0), at_s=0.1) == [0], 'a track is confirmed by a second image'
    assert cameras.ids((0, 0.45, 0), at_s=0.2) == [1]


def test_a_tracker_that_fails_never_costs_a_detection(monkeypatch: pytest.MonkeyPatch) -> None:
    cameras = _Cameras(DecodeOptions(score_threshold=0.3))
    assert cameras.ids((0, 0.9, 0), at_s=0.0) == [1]
    with monkeypatch.context() as patch:
        patch.setattr('trt_detector.tracking.kalman.predict', lambda *_: 1 // 0)
        assert cameras.ids((0, 0.9, 0), (200, 0.2, 0), at_s=0.1) == [0]
    assert len(cameras.failures) == 1
    assert cameras.failures[0].startswith('the tracker of /a failed:\nTraceback')
    assert cameras.ids((0, 0.9, 0), at_s=0.2) == [2]


def test_any_detections_stamps_and_thresholds_give_unique_ids_and_no_failure() -> None:
    random, cameras = np.random.default_rng(8), _Cameras()
    stamps = [0.0, 100.0]
    for _ in range(400):
        count = int(random.choice([0, 1, 5, 50, 300]))
        corner, size = random.uniform(-100, 900, (count, 2)), random.uniform(0, 200, (count, 2))
        boxes = np.concatenate((corner, corner + size), axis=1).astype(np.float32)
        scores = np.sort(random.random(count))[::-1].astype(np.float32)
        if count and random.random() < 0.2:
            boxes[random.integers(count), random.integers(4)] = random.choice(
                [np.nan, np.inf, 3e38]
            )
            scores[random.integers(count)] = np.nan
        angles = random.uniform(-7, 7, count).astype(np.float32) if random.random() < 0.2 else None
        found = Detections(boxes, scores, random.integers(0, 3, count, np.int32), angles=angles)
        high = random.uniform(0, 1)
        config = DetectorConfig(
            tracker='bytetrack',
            track_thresh=high,
            track_low_thresh=random.uniform(0, high),
            match_thresh=random.uniform(0, 1),
            track_buffer=float(random.choice([0.0, 1.0, 3600.0])),
        )
        cameras.tracks.set_options(config, DecodeOptions(score_threshold=random.uniform(0, 1)))
        camera = int(random.integers(2))
        stamps[camera] += float(random.choice([0.0, 1e-9, 0.1, 5.0, 1e9, -1e9, -0.01]))
        with np.errstate(all='raise', under='ignore'):
            tracked = cameras.tracks.update(camera, found, stamps[camera], SIZE_WH)
        assert tracked.track_ids is not None
        given = tracked.track_ids[tracked.track_ids > 0].tolist()
        assert len(given) == len(set(given))
    assert cameras.failures == []
