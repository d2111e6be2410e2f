# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Tracks of moving boxes with known ids."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from trt_detector.errors import ConfigError
from trt_detector.tracking.tracker import Tracker, TrackerThresholds
from trt_detector.values.detections import Detections


def _at(*rows: tuple[float, float, float, int]) -> Detections:
    """Make detections from (x, y, score, class) of boxes of 40x80 pixels."""
    ordered = sorted(rows, key=lambda row: -row[2])
    boxes = np.array([[x, y, x + 40, y + 80] for x, y, _, _ in ordered], np.float32)
    return Detections(
        boxes.reshape(-1, 4),
        np.array([row[2] for row in ordered], np.float32),
        np.array([row[3] for row in ordered], np.int32),
    )


def _ids(tracker: Tracker, detections: Detections, stamp_s: float) -> tuple[int, ...]:
    return tuple(tracker.update(detections, stamp_s).tolist())


def test_without_scipy_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, 'scipy.optimize', None)
    with pytest.raises(ConfigError, match='python3-scipy'):
        Tracker()


class TestTracker:
    @pytest.fixture(autouse=True)
    def _needs_scipy(self) -> None:
        pytest.importorskip('scipy', reason='SciPy is missing: pip install scipy')

    def test_an_id_survives_dropped_images(self) -> None:
        tracker = Tracker()
        stamps = [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 1.1, 1.2]
        ids = [_ids(tracker, _at((200 * t, 50, 0.9, 0)), t) for t in stamps]
        assert ids == [(1,)] * len(stamps)

    def test_a_low_score_continues_a_track_but_starts_none(self) -> None:
        tracker = Tracker()
        (known,) = _ids(tracker, _at((0, 0, 0.9, 0)), 0.0)
        assert _ids(tracker, _at((1, 0, 0.2, 0), (300, 0, 0.15, 0)), 0.1) == (known, 0)
        assert _ids(tracker, _at((2, 0, 0.2, 0), (300, 0, 0.15, 0)), 0.2) == (known, 0)

    def test_a_track_starts_at_the_threshold(self) -> None:
        assert _ids(Tracker(), _at((0, 0, 0.5, 0)), 0.0) == (1,)
        assert _ids(Tracker(), _at((0, 0, 0.499, 0)), 0.0) == (0,)

    def test_a_low_score_does_not_continue_a_track_that_was_lost(self) -> None:
        tracker = Tracker()
        (known,) = _ids(tracker, _at((0, 0, 0.9, 0)), 0.0)
        tracker.update(Detections.empty(), 0.1)
        assert _ids(tracker, _at((0, 0, 0.2, 0)), 0.2) == (0,)
        assert _ids(tracker, _at((0, 0, 0.9, 0)), 0.3) == (known,)

    @pytest.mark.parametrize(('x', 'continues'), [(21, True), (22, False)])
    def test_a_low_score_has_to_lie_closer(self, x: float, *, continues: bool) -> None:
        # The IoU is 19/61 = 0.31, or 18/62 = 0.29; that of the first association is 0.1.
        tracker = Tracker()
        (known,) = _ids(tracker, _at((0, 0, 0.9, 0)), 0.0)
        assert _ids(tracker, _at((x, 0, 0.2, 0)), 0.1) == ((known if continues else 0),)

    def test_a_detection_is_not_given_to_two_tracks(self) -> None:
        tracker = Tracker()
        (known,) = _ids(tracker, _at((0, 0, 0.9, 0)), 0.0)
        # A second object over the first one, in one image only.
        assert _ids(tracker, _at((0, 0, 0.9, 0), (20, 0, 0.8, 0)), 0.1) == (known, 0)
        assert _ids(tracker, _at((0, 0, 0.9, 0)), 0.2) == (known,)
        assert len(tracker) == 1

    def test_boxes_that_share_nothing_are_two_objects_at_any_threshold(self) -> None:
        tracker = Tracker(TrackerThresholds(match=1.0))
        tracker.update(_at((0, 0, 0.9, 0)), 0.0)
        assert _ids(tracker, _at((500, 0, 0.9, 0)), 0.1) == (0,)

    def test_pairs_that_are_not_allowed_do_not_cost_one_that_is(self) -> None:
        # IoU by distance: 12 pixels 0.54, 17 pixels 0.40, 46 pixels 0. Together the two pairs of
        # 17 pixels are closer than those of 12 and 46, but none of the two is allowed.
        tracker = Tracker(TrackerThresholds(match=0.5))
        first, _ = _ids(tracker, _at((0, 0, 0.9, 0), (29, 0, 0.8, 0)), 0.0)
        assert _ids(tracker, _at((12, 0, 0.9, 0), (-17, 0, 0.8, 0)), 0.1) == (first, 0)

    def test_an_object_that_grew_keeps_its_size_while_it_is_hidden(self) -> None:
        tracker = Tracker(TrackerThresholds(match=0.3))

        def of_height(height: float) -> Detections:
            half = np.array([height / 4, height / 2])
            box = np.concatenate((200 - half, 200 + half)).astype(np.float32)[None]
            return Detections(box, np.ones(1, np.float32), np.zeros(1, np.int32))

        # 100 pixels in a second.
        for step in range(21):
            known = _ids(tracker, of_height(100 + 5 * step), step / 20)
        for step in range(21, 36):
            tracker.update(Detections.empty(), step / 20)
        assert known != (0,)
        assert _ids(tracker, of_height(205), 36 / 20) == known

    def test_rounding_of_stamps_does_not_make_a_track_lost(self) -> None:
        first_s, second_s = 0.3, 0.8
        assert second_s - (second_s - first_s) > first_s
        tracker = Tracker()
        (known,) = _ids(tracker, _at((0, 0, 0.9, 0)), first_s)
        assert _ids(tracker, _at((0, 0, 0.2, 0)), second_s) == (known,)

    def test_a_track_is_lost_after_the_buffer_and_its_id_never_used_again(self) -> None:
        tracker = Tracker()
        (old,) = _ids(tracker, _at((0, 0, 0.9, 0)), 0.0)
        assert _ids(tracker, _at((0, 0, 0.9, 0)), 1.5) == (0,)
        (new,) = _ids(tracker, _at((0, 0, 0.9, 0)), 1.6)
        assert new not in (0, old)

    def test_an_object_keeps_its_class(self) -> None:
        tracker = Tracker()
        tracker.update(_at((0, 0, 0.9, 0)), 0.0)
        assert _ids(tracker, _at((0, 0, 0.9, 1)), 0.1) == (0,)

    def test_a_stamp_that_goes_back_resets_without_using_an_id_again(self) -> None:
        tracker = Tracker()
        before = _ids(tracker, _at((0, 0, 0.9, 0)), 5.0)
        after = _ids(tracker, _at((0, 0, 0.9, 0)), 4.0)
        assert after not in (before, (0,))

    def test_ids_are_unique_in_an_array(self) -> None:
        random, tracker = np.random.default_rng(3), Tracker()
        for step in range(60):
            rows = [
                (*random.uniform(0, 200, 2), random.uniform(0.1, 1), int(random.integers(2)))
                for _ in range(random.integers(0, 25))
            ]
            given = [i for i in _ids(tracker, _at(*rows), step / 10) if i]
            assert len(given) == len(set(given))

    def test_a_detection_that_may_not_start_a_track_still_continues_one(self) -> None:
        tracker = Tracker()
        none = np.zeros(1, bool)
        assert tracker.update(_at((0, 0, 0.9, 0)), 0.0, none).tolist() == [0]
        assert len(tracker) == 0
        tracker.reset()
        (known,) = _ids(tracker, _at((0, 0, 0.9, 0)), 0.0)
        assert tracker.update(_at((0, 0, 0.9, 0)), 0.1, none).tolist() == [known]

    @pytest.mark.parametrize('bad', [np.nan, np.inf, -np.inf])
    def test_values_that_are_not_finite_never_get_an_id_or_harm_others(self, bad: float) -> None:
        tracker = Tracker()
        (known,) = _ids(tracker, _at((0, 0, 0.9, 0)), 0.0)
        boxes = np.array([[0, 0, 40, 80], [bad, 0, 40, 80], [0, 0, 40, 80]], np.float32)
        scores = np.array([0.9, 0.9, bad if np.isnan(bad) else 0.0], np.float32)
        mixed = Detections(boxes, scores, np.zeros(3, np.int32))
        for step in range(1, 4):
            assert _ids(tracker, mixed, step / 10) == (known, 0, 0)
        assert len(tracker) == 1

    def test_no_detections_are_an_image_like_others(self) -> None:
        tracker = Tracker()
        assert _ids(tracker, Detections.empty(), 0.0) == ()
        assert _ids(tracker, _at((0, 0, 0.9, 0)), 0.1) == (0,)
        (known,) = _ids(tracker, _at((0, 0, 0.9, 0)), 0.2)
        assert _ids(tracker, Detections.empty(), 0.3) == ()
        assert _ids(tracker, _at((0, 0, 0.9, 0)), 0.4) == (known,)

    def test_more_objects_than_the_tracker_takes_keep_their_detections(self) -> None:
        tracker = Tracker(TrackerThresholds(buffer_s=3600.0))
        side = np.arange(40) * 100.0
        rows = [(x, y, 0.9, 0) for x in side for y in side]
        for step in range(3):
            moved = [(x + 5000.0 * step, y, score, kind) for x, y, score, kind in rows]
            ids = _ids(tracker, _at(*moved), step / 10)
            assert len(ids) == 1600
            assert len(tracker) <= 2000

    def test_the_tracks_that_were_seen_last_remain_beyond_the_limit(self) -> None:
        tracker = Tracker(TrackerThresholds(buffer_s=3600.0))

        def groups(*counts: int) -> Detections:
            places = [
                (100.0 * x, 200.0 * y) for y, count in enumerate(counts) for x in range(count)
            ]
            return _at(*((*place, 0.9, 0) for place in places))

        first = _ids(tracker, groups(500, 500), 0.0)
        assert len(set(first)) == len(tracker) == 1000
        # The second group is hidden, and a third one of 300 objects appears.
        known = first[:500]
        assert _ids(tracker, groups(500, 0, 300), 0.1)[:500] == known
        third = _ids(tracker, groups(500, 0, 300), 0.2)
        # So many of the hidden group are too many.
        assert third[:500] == known
        assert len(set(third)) == 800
        assert len(tracker) == 1000
        assert _ids(tracker, groups(500, 0, 300), 0.3) == third
        again = _ids(tracker, groups(0, 500), 0.4)
        assert np.count_nonzero(np.isin(again, first[500:])) == 200

    @pytest.mark.parametrize('bad', [np.nan, np.inf])
    def test_an_angle_that_is_not_finite_is_no_box(self, bad: float) -> None:
        boxes = np.array([[0, 0, 40, 80], [200, 0, 240, 80]], np.float32)
        tracker = Tracker()
        for step in range(3):
            mixed = Detections(
                boxes, np.full(2, 0.9, np.float32), np.zeros(2, np.int32),
                angles=np.array([0.1, bad], np.float32),
            )  # fmt: skip
            with np.errstate(all='raise', under='ignore'):
                assert _ids(tracker, mixed, step / 10) == (1, 0)

    def test_a_rotated_box_keeps_its_id_if_its_angle_jumps_by_a_right_angle(self) -> None:
        tracker = Tracker()
        long = np.array([[0, 30, 200, 50]], np.float32)
        high = np.array([[90, -60, 110, 140]], np.float32)
        one, zero = np.ones(1, np.float32), np.zeros(1, np.int32)
        flat = Detections(long, one, zero, angles=np.zeros(1, np.float32))
        turned = Detections(high, one, zero, angles=np.full(1, np.pi / 2, np.float32))
        assert _ids(tracker, flat, 0.0) == _ids(tracker, turned, 0.1) == (1,)

    def test_a_hidden_object_follows_the_turn_of_the_camera(self) -> None:
        tracker = Tracker()
        places = [(150.0 * number, 0.0, 0.9, 0) for number in range(6)]
        for step in range(5):
            known = _ids(tracker, _at(*places), step / 20)
        for step in range(7):
            turned = [(x + 8.0 * step, y, score, kind) for x, y, score, kind in places]
            assert _ids(tracker, _at(*turned[1:]), (5 + step) / 20) == known[1:]
        turned = [(x + 8.0 * 7, y, score, kind) for x, y, score, kind in places]
        assert _ids(tracker, _at(*turned), 12 / 20) == known

    def test_a_hidden_object_goes_on_turning_if_all_are_hidden(self) -> None:
        tracker = Tracker()
        places = [(150.0 * number, 0.0, 0.9, 0) for number in range(6)]

        def turned(step: int) -> list[tuple[float, float, float, int]]:
            return [(x + 10.0 * step, y, score, kind) for x, y, score, kind in places]

        for step in range(5):
            known = _ids(tracker, _at(*places), step / 20)
        for step in range(9):
            assert _ids(tracker, _at(*turned(step)[1:]), (5 + step) / 20) == known[1:]
        for step in range(9, 14):
            tracker.update(Detections.empty(), (5 + step) / 20)
        assert _ids(tracker, _at(*turned(14)), 19 / 20) == known

    def test_a_hidden_object_does_not_follow_one_that_moves_alone(self) -> None:
        tracker = Tracker()
        places = [(150.0 * number, 0.0, 0.9, 0) for number in range(6)]
        for step in range(5):
            known = _ids(tracker, _at(*places), step / 20)
        for step in range(12):
            moved = (*places[1:5], (750 + 20.0 * step, 0.0, 0.9, 0))
            assert _ids(tracker, _at(*moved), (5 + step) / 20) == known[1:]
        assert _ids(tracker, _at(*places[:5]), 17 / 20) == known[:5]

    def test_an_object_that_is_seen_once_is_forgotten(self) -> None:
        tracker = Tracker()
        tracker.update(Detections.empty(), 0.0)
        assert _ids(tracker, _at((0, 0, 0.9, 0)), 0.1) == (0,)
        tracker.update(Detections.empty(), 0.2)
        assert len(tracker) == 0
        assert _ids(tracker, _at((0, 0, 0.9, 0)), 0.3) == (0,)
        assert _ids(tracker, _at((0, 0, 0.9, 0)), 0.4) != (0,)

    @pytest.mark.parametrize(('x', 'kind'), [(0, 1), (10, 0)])
    def test_a_lost_track_beside_another_one_is_kept(self, x: float, kind: int) -> None:
        # One of another class at the same place, and one whose IoU is 30/50.
        tracker = Tracker()
        both = _at((0, 0, 0.9, 0), (x, 0, 0.8, kind))
        known = _ids(tracker, both, 0.0)
        assert _ids(tracker, _at((0, 0, 0.9, 0)), 0.1) == known[:1]
        assert len(tracker) == 2
        assert _ids(tracker, both, 0.2) == known

    def test_a_lost_track_under_another_one_is_dropped(self) -> None:
        tracker = Tracker()
        first, second = _ids(tracker, _at((0, 0, 0.9, 0), (60, 0, 0.8, 0)), 0.0)
        for step in range(1, 11):
            ids = _ids(tracker, _at((60 - 6 * step, 0, 0.8, 0)), step / 20)
        assert ids in ((first,), (second,))
        assert len(tracker) == 1
