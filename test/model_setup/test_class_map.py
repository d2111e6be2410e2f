# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Test other names for classes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest
from support.detectors import config, device
from trt_detector.config import DetectorConfig
from trt_detector.decode import DecodeOptions
from trt_detector.decode.postprocess import filter_and_suppress
from trt_detector.errors import ConfigError
from trt_detector.factory import create_detector
from trt_detector.image.image import Image
from trt_detector.model_setup.class_map import ClassMap, map_classes
from trt_detector.model_setup.classes import decode_options
from trt_detector.values.detections import Detections

NAMES = ('person', 'car', 'bus', 'truck', 'dog')
MODELS = Path('demo/models')


@pytest.mark.parametrize(
    ('items', 'names', 'ids'),
    [
        ([], NAMES, None),
        (['dog:animal'], ('person', 'car', 'bus', 'truck', 'animal'), None),
        (
            ['truck:vehicle', 'car:vehicle'],
            ('person', 'vehicle', 'bus', '', 'dog'),
            (0, 1, 2, 1, 4),
        ),
        (['car:truck'], ('person', '', 'bus', 'truck', 'dog'), (0, 3, 2, 3, 4)),
        (['car:truck', 'truck:truck'], ('person', '', 'bus', 'truck', 'dog'), (0, 3, 2, 3, 4)),
        (['person:car', 'car:person'], ('car', 'person', 'bus', 'truck', 'dog'), None),
        (['car:truck', 'truck:vehicle'], ('person', 'truck', 'bus', 'vehicle', 'dog'), None),
        (['truck:vehicle', 'car:truck'], ('person', 'truck', 'bus', 'vehicle', 'dog'), None),
        (
            ['car:bus', 'bus:truck', 'truck:car'],
            ('person', 'bus', 'truck', 'car', 'dog'),
            None,
        ),
        (
            ['truck:bus', 'person:bus', 'bus:car'],
            ('bus', 'car', '', '', 'dog'),
            (0, 1, 1, 0, 4),
        ),
        ([' 1 : vehicle', '#2:vehicle'], ('person', 'vehicle', '', 'truck', 'dog'),
         (0, 1, 1, 3, 4)),
    ],
)  # fmt: skip
def test_classes_are_renamed_and_merged(
    items: list[str], names: tuple[str, ...], ids: tuple[int, ...] | None
) -> None:
    assert map_classes(items, NAMES) == ClassMap(names, ids)


@given(
    st.dictionaries(st.sampled_from(NAMES), st.sampled_from((*NAMES, 'vehicle'))),
    st.randoms(use_true_random=False),
)
def test_every_class_gets_its_new_name_at_once(targets: dict[str, str], random: Any) -> None:
    items = [f'{source}:{target}' for source, target in targets.items()]
    random.shuffle(items)
    found = map_classes(items, NAMES)
    ids = range(len(NAMES)) if found.ids is None else found.ids
    assert [found.names[n] for n in ids] == [targets.get(name, name) for name in NAMES]
    assert len({*found.names} - {''}) == sum(name != '' for name in found.names)


def test_all_classes_of_a_name_are_mapped() -> None:
    assert map_classes(['car:auto'], ('car', 'dog', 'car')) == ClassMap(
        ('auto', 'dog', ''), (0, 1, 0)
    )


@pytest.mark.parametrize(
    ('items', 'message'),
    [
        (['car'], "class_map holds 'car'; expected 'source:target', e.g."),
        ([':vehicle'], 'expected .source:target'),
        (['car:'], 'expected .source:target'),
        (['cars:vehicle'], "class_map holds 'cars'; expected names or numbers of: person, car"),
        (['Car:vehicle'], "the name is 'car'"),
        (['9:vehicle'], "class_map holds '9'; expected names or numbers"),
        (['car:vehicle', 'car:thing'], "maps 'car' to 'vehicle' and to 'thing'; keep one of"),
        (['car:vehicle', '#1:vehicle'], "maps 'car' to 'vehicle' and to 'vehicle'; keep one"),
    ],
)
def test_contradictions_are_refused(items: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        map_classes(items, NAMES)
    with pytest.raises(ConfigError, match='class_names'):
        map_classes(['car:vehicle'], ())


def test_other_parameters_know_the_new_names_only() -> None:
    names = map_classes(['car:vehicle', 'truck:vehicle'], NAMES).names
    values = DetectorConfig(
        classes=('vehicle', 'dog'), class_score_thresholds=('vehicle:0.5', 'bus:0.75')
    )
    options = decode_options(values, names)
    assert options.classes == {1, 4}
    assert options.class_score_thresholds == ((1, 0.5), (2, 0.75))
    for gone in ('car', 'truck', '3', '#3'):
        with pytest.raises(ConfigError, match='numbers of: person, vehicle, bus, dog'):
            decode_options(DetectorConfig(classes=(gone,)), names)


def random_candidates(seed: int, count: int, classes: int) -> tuple[Any, Any, Any]:
    """Make overlapping boxes with distinct scores."""
    random = np.random.default_rng(seed)
    corners = random.uniform(0, 60, (count, 2))
    boxes = np.concatenate((corners, corners + random.uniform(20, 40, (count, 2))), axis=1)
    scores = random.permutation(np.linspace(0.05, 0.95, count))
    return (
        boxes.astype(np.float32),
        scores.astype(np.float32),
        random.integers(0, classes, count),
    )


def rows(found: Detections) -> list[tuple[float, ...]]:
    """Return score, class and box of each detection."""
    return [
        (float(score), int(class_id), *map(float, box))
        for score, class_id, box in zip(
            found.scores, found.class_ids, found.boxes_xyxy, strict=True
        )
    ]


@given(seed=st.integers(0, 10_000), dtype=st.sampled_from(['int64', 'float32', 'int32']))
def test_merged_classes_are_decoded_as_if_the_network_had_one(seed: int, dtype: str) -> None:
    boxes, scores, ids = random_candidates(seed, 40, 5)
    options = DecodeOptions(
        iou_threshold=0.4, score_threshold=0.3, class_score_thresholds=((1, 0.6),),
        classes=frozenset({0, 1, 4}), max_detections=12,
    )  # fmt: skip
    mapping = (0, 1, 2, 1, 4)
    found = filter_and_suppress(
        boxes, scores, ids.astype(dtype), replace(options, class_map=mapping), suppress=True
    )
    by_hand = np.array([mapping[class_id] for class_id in ids])
    expected = filter_and_suppress(boxes, scores, by_hand, options, suppress=True)
    assert rows(found) == rows(expected)
    assert found.class_error == 0
    assert 3 not in found.class_ids


def test_a_network_with_suppression_gives_one_box_for_merged_classes() -> None:
    boxes = np.array(
        [[0, 0, 10, 10], [1, 0, 11, 10], [0, 1, 10, 11], [1, 1, 11, 11], [50, 0, 60, 10]],
        np.float32,
    )
    scores = np.array([0.5, 0.9, 0.8, 0.7, 0.6], np.float32)
    ids = np.array([0, 1, 3, 0, 3], np.int64)
    options = DecodeOptions(class_map=(0, 1, 2, 1, 4), class_agnostic=True)
    found = filter_and_suppress(boxes, scores, ids, options, suppress=False)
    # The truck (3) of 0.8 is the car of 0.9; two persons may stand close.
    assert [(row[0], row[1]) for row in rows(found)] == [
        pytest.approx((0.9, 1)), pytest.approx((0.7, 0)), pytest.approx((0.6, 1)),
        pytest.approx((0.5, 0)),
    ]  # fmt: skip


def test_classes_beyond_the_map_stay() -> None:
    options = DecodeOptions(class_map=(0, 0))
    assert options.map_classes(np.array([-1, 0, 1, 2, 9])).tolist() == [-1, 0, 0, 2, 9]
    assert options.map_classes(np.array([1.0, np.nan]))[0] == 0
    same = np.array([1, 2])
    assert DecodeOptions().map_classes(same) is same


@pytest.mark.parametrize('kind', ['onnxruntime', 'tensorrt-10.13'])
@pytest.mark.parametrize('model', ['demo_raw.onnx', 'demo_end2end.onnx'])
def test_detectors_map_on_the_device_and_on_the_cpu(kind: str, model: str, tmp_path: Path) -> None:
    picture = Image.from_file('demo/pictures/scene_48_1280x720.jpg')
    base = {'model_path': str(MODELS / model), 'score_threshold': 0.3, 'batch_size': 1}
    with create_detector(DetectorConfig(backend='onnxruntime', **base)) as detector:  # type: ignore[arg-type]
        names = detector.class_names
        plain = detector.detect([picture]).detections[0]
    present = sorted({int(class_id) for class_id in plain.class_ids})
    assert len(present) >= 2
    first, second = present[:2]
    items = (f'{names[first]}:thing', f'{names[second]}:thing')
    on_cpu = {'backend': 'onnxruntime', 'onnxruntime_provider': 'cpu'}
    mapped = DetectorConfig(class_map=items, **base, **on_cpu)  # type: ignore[arg-type]
    with create_detector(mapped) as detector:
        assert detector.class_names[first] == 'thing'
        assert detector.class_names[second] == ''
        found = detector.detect([picture]).detections[0]
        # Live options keep the map.
        detector.options = decode_options(mapped, detector.class_names)
        again = detector.detect([picture]).detections[0]
    expected = [first if class_id == second else int(class_id) for class_id in plain.class_ids]
    assert found.class_ids.tolist() == again.class_ids.tolist() == expected
    values = config(
        MODELS / model, tmp_path, class_map=items, score_threshold=0.3, batch_size=1,
        input_shape='auto',
    )  # fmt: skip
    with (
        device(kind) as (_, backend),
        create_detector(values.with_changes(backend=backend)) as detector,
    ):
        assert detector.detect([picture]).detections[0].class_ids.tolist() == expected
