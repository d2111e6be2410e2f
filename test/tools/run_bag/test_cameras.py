# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Tracks, regions and classes in the outputs of run_bag, as the node publishes them."""

from __future__ import annotations

from collections import Counter, defaultdict
import json
from pathlib import Path
import sys
from typing import Any

import cv2
import numpy as np
import onnx
import pytest
from support import bags
from support.models import lamp_detector
from trt_detector.errors import EngineError
from trt_detector.image.image import Image
from trt_detector.tools.run_bag import main
from trt_detector.tools.run_bag.detecting import DetectStage

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / 'demo'))

from scenes.sequence import render_sequence, SequenceFrame  # noqa: E402
from splits import SEQUENCE_SEEDS  # noqa: E402

pytest.importorskip('scipy', reason='SciPy is missing: pip install scipy')

FRONT, REAR = '/front/image_raw', '/rear/image_raw'
TRACKER = ('--tracker', 'bytetrack')


@pytest.fixture(name='model', scope='module')
def _model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return lamp_detector(tmp_path_factory.mktemp('model') / 'lamp.onnx')


def run(model: Path, bag: Path, output: Path, *options: object) -> int:
    given = ['--model', model, '--bag', bag, '--output', output, '--backend', 'onnxruntime']
    return main([str(argument) for argument in (*given, *options)])


def lamp(cell: int, brightness: float, stamp: Any) -> Any:
    return bags.raw((bags.lamp_picture(cell) * brightness).astype(np.uint8), stamp)


def write_lamps(folder: Path, lamps: list[tuple[str, int, float]], rate_hz: int = 10) -> Path:
    """Write a bag of pictures with one lamp each: topic, cell and brightness."""
    step_ns = 10**9 // rate_hz
    messages = []
    for number, (topic, cell, brightness) in enumerate(lamps):
        second, rest_ns = divmod(10**9 + number * step_ns, 10**9)
        picture = lamp(cell, brightness, bags.header(second, rest_ns))
        messages.append((topic, bags.RAW, number + 1, picture))
    return bags.write_bag(folder, messages)


def ids_of(output: Path, topic: str = '/front/detections') -> list[list[str]]:
    """Return the track ids per image."""
    messages = [m for name, _, _, m in bags.read_bag(output) if name == topic]
    return [[detection.id for detection in message.detections] for message in messages]


def test_without_a_tracker_ids_are_empty(model: Path, tmp_path: Path) -> None:
    bag = write_lamps(tmp_path / 'bag', [(FRONT, 9, 0.9)] * 3)
    assert run(model, bag, tmp_path / 'out') == 0
    assert ids_of(tmp_path / 'out') == [[''], [''], ['']]


def test_a_faint_lamp_is_written_only_if_it_continues_a_track(model: Path, tmp_path: Path) -> None:
    lamps = [(9, 0.9), (9, 0.9), (9, 0.3), (9, 0.9), (20, 0.3), (20, 0.9), (20, 0.9)]
    bag = write_lamps(tmp_path / 'bag', [(FRONT, *each) for each in lamps])
    options = ('--score-threshold', 0.5)
    assert run(model, bag, tmp_path / 'out', *TRACKER, *options) == 0
    assert ids_of(tmp_path / 'out') == [['1'], ['1'], ['1'], ['1'], [], [''], ['2']]
    assert run(model, bag, tmp_path / 'plain', *options) == 0
    assert [len(ids) for ids in ids_of(tmp_path / 'plain')] == [1, 1, 0, 1, 0, 1, 1]


def test_cameras_have_tracks_of_their_own(model: Path, tmp_path: Path) -> None:
    # Two lamps that are still, each seen by its camera only.
    lamps = [(FRONT, 9, 0.9), (REAR, 40, 0.9)] * 4
    bag = write_lamps(tmp_path / 'bag', lamps)
    options = ('--topics', FRONT, REAR, '--batch-size', 3)
    assert run(model, bag, tmp_path / 'out', *TRACKER, *options) == 0
    assert ids_of(tmp_path / 'out') == ids_of(tmp_path / 'out', '/rear/detections') == [['1']] * 4


@pytest.mark.parametrize('jump_s', [-3, 100])
def test_tracks_start_anew_if_the_stamps_jump(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], jump_s: int
) -> None:
    stamps_s = [10, 10.25, 10.5, 10.5 + jump_s, 10.75 + jump_s]
    messages = [
        (FRONT, bags.RAW, number + 1, lamp(9, 0.9, bags.header(int(at_s), int(at_s % 1 * 1e9))))
        for number, at_s in enumerate(stamps_s)
    ]
    bag = bags.write_bag(tmp_path / 'bag', messages)
    assert run(model, bag, tmp_path / 'out', *TRACKER) == 0
    assert ids_of(tmp_path / 'out') == [['1'], ['1'], ['1'], ['2'], ['2']]
    assert f'run_bag: the tracks of {FRONT} start again' in capsys.readouterr().err


def test_images_without_stamps_are_tracked_by_their_times_in_the_bag(
    model: Path, tmp_path: Path
) -> None:
    times_s = [1, 1.1, 1.2, 50, 50.1]
    bag = bags.write_bag(
        tmp_path / 'bag',
        [(FRONT, bags.RAW, int(at * 1e9), lamp(9, 0.9, bags.header(0))) for at in times_s],
    )
    assert run(model, bag, tmp_path / 'out', *TRACKER) == 0
    assert ids_of(tmp_path / 'out') == [['1'], ['1'], ['1'], ['2'], ['2']]


def fail_at_batch(patch: pytest.MonkeyPatch, number: int) -> None:
    """Let the run fail when it collects the batch with this number, from 1."""
    original, calls = DetectStage._collect, 0

    def collect(stage: DetectStage) -> None:
        nonlocal calls
        calls += 1
        if calls == number:
            raise EngineError('the device is lost')
        original(stage)

    patch.setattr(DetectStage, '_collect', collect)


@pytest.fixture(name='sequence', scope='module')
def _sequence(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[SequenceFrame]]:
    """Write a drawn sequence with known ids into a bag; its first image is stamped 1 s."""
    frames = list(render_sequence(SEQUENCE_SEEDS[303], 20, 10.0, (256, 144), 8))
    messages = []
    for number, frame in enumerate(frames):
        second, rest_ns = divmod(round(frame.stamp_s * 1e9) + 10**9, 10**9)
        head = bags.header(second, rest_ns)
        messages.append((FRONT, bags.RAW, number + 1, bags.raw(frame.image_bgr, head)))
    return bags.write_bag(tmp_path_factory.mktemp('sequence') / 'bag', messages), frames


@pytest.mark.parametrize('name', ['out', 'out.json', 'out.mp4'])
def test_a_continued_run_has_the_ids_of_an_uninterrupted_one(
    sequence: tuple[Path, list[SequenceFrame]], tmp_path: Path, name: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    bag, frames = sequence
    demo = ROOT / 'demo' / 'models' / 'demo_end2end.onnx'
    options = (*TRACKER, '--batch-size', 3, '--score-threshold', 0.4)
    whole, resumed = tmp_path / 'whole' / name, tmp_path / 'resumed' / name
    assert run(demo, bag, whole, *options) == 0
    with monkeypatch.context() as patch:
        fail_at_batch(patch, 4)
        assert run(demo, bag, resumed, *options) == 1
    assert run(demo, bag, resumed, *options, '--json', tmp_path / 'report.json') == 0
    assert json.loads((tmp_path / 'report.json').read_text())['continued_after'] == 9
    files = [sorted(p.iterdir()) if p.is_dir() else [p] for p in (whole, resumed)]
    if name != 'out.mp4':
        pairs = zip(*files, strict=True)
        assert all(first.read_bytes() == second.read_bytes() for first, second in pairs)
    else:
        videos = [cv2.VideoCapture(str(path)) for path in (whole, resumed)]
        for _ in frames:
            first, second = (video.read()[1] for video in videos)
            assert np.array_equal(first, second)
    if name == 'out':
        check_truth(whole, frames)


def check_truth(output: Path, frames: list[SequenceFrame]) -> None:
    """Check that nearly all detections of an object have its main id."""
    given: defaultdict[int, Counter[str]] = defaultdict(Counter)
    for (_, _, _, message), frame in zip(bags.read_bag(output), frames, strict=True):
        for detection in message.detections:
            center = detection.bbox.center.position
            near = [
                thing
                for thing in frame.objects
                for left, top, right, bottom in [thing.bbox_xyxy]
                if left <= center.x <= right
                and top <= center.y <= bottom
                and 0.5 < (right - left) / max(detection.bbox.size_x, 1) < 2
            ]
            if len(near) == 1 and detection.id:
                given[near[0].track_id][detection.id] += 1
    main_ids = [counts.most_common(1)[0] for counts in given.values()]
    assert len(main_ids) >= 4
    share = sum(n for _, n in main_ids) / sum(counts.total() for counts in given.values())
    assert share > 0.9


def test_coco_annotations_have_the_track(model: Path, tmp_path: Path) -> None:
    bag = write_lamps(tmp_path / 'bag', [(FRONT, 9, 0.9)] * 2)
    assert run(model, bag, tmp_path / 'tracks.json', *TRACKER) == 0
    rows = json.loads((tmp_path / 'tracks.json').read_text())['annotations']
    assert [row['track_id'] for row in rows] == [1, 1]
    assert run(model, bag, tmp_path / 'plain.json') == 0
    rows = json.loads((tmp_path / 'plain.json').read_text())['annotations']
    assert len(rows) == 2
    assert not any('track_id' in row for row in rows)


def test_regions_masks_and_sizes_select_what_is_written(model: Path, tmp_path: Path) -> None:
    # Cells 0..63 are 8x8 of an 8x8 grid: left half of the picture is column 0 to 3.
    cells = [0, 3, 4, 7, 33, 60]
    bag = write_lamps(tmp_path / 'bag', [(FRONT, cell, 0.9) for cell in cells])
    left = 'include 0,0 0.5,0 0.5,1 0,1'
    mask = np.zeros((64, 64), np.uint8)
    mask[:32] = 255
    cv2.imwrite(str(tmp_path / 'mask.png'), mask)
    named = f'{FRONT}: {left}'
    for number, (options, wanted) in enumerate([
        (('--regions', left), [0, 3, 33]),
        (('--regions', named), [0, 3, 33]),
        (('--regions', f'front/image_raw: {left}', '--crop-to-regions'), [0, 3, 33]),
        (('--ignore-mask', tmp_path / 'mask.png'), [33, 60]),
        (('--regions', left, '--ignore-mask', f'{FRONT}: {tmp_path / "mask.png"}'), [33]),
        (('--min-size', 9), []),
        (('--max-size', 0.5), cells),
    ]):  # fmt: skip
        out = tmp_path / f'out{number}'
        assert run(model, bag, out, *options) == 0
        found = [
            cell
            for cell, (_, _, _, message) in zip(cells, bags.read_bag(out), strict=True)
            for detection in message.detections
            if detection.bbox.center.position.x == sum(bags.lamp_box(cell)[::2]) / 2
        ]
        if '--crop-to-regions' not in options:
            assert found == wanted, options
        # The cropped part is stretched, so its cells are others.
        counts = [len(message.detections) for _, _, _, message in bags.read_bag(out)]
        assert counts == [cell in wanted for cell in cells], options


def test_a_region_of_another_camera_is_refused(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bag = write_lamps(tmp_path / 'bag', [(FRONT, 9, 0.9)])
    region = f'{REAR}: include 0,0 1,0 1,1'
    assert run(model, bag, tmp_path / 'out', '--regions', region) == 1
    assert f"regions names the camera '{REAR}'" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == [bag]


def test_a_run_with_a_mask_that_was_painted_anew_is_not_continued(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    bag = write_lamps(tmp_path / 'bag', [(FRONT, 9, 0.9)] * 6)
    mask, pixels = tmp_path / 'mask.png', np.zeros((64, 64), np.uint8)
    for row in (8, 16):
        pixels[:row] = 255
        cv2.imwrite(str(mask), pixels)
        with monkeypatch.context() as patch:
            fail_at_batch(patch, 2)
            options = ('--ignore-mask', mask, '--batch-size', 2)
            assert run(model, bag, tmp_path / 'out', *options) == 1
    assert 'an interrupted run with another content of ignore_mask' in capsys.readouterr().err


def test_the_mask_that_is_applied_is_the_one_that_is_noted(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bag = write_lamps(tmp_path / 'bag', [(FRONT, 9, 0.9)])
    mask, pixels = tmp_path / 'mask.png', np.zeros((64, 64), np.uint8)
    pixels[:8] = 255
    cv2.imwrite(str(mask), pixels)
    read, from_file = list[Path](), Image.from_file
    monkeypatch.setattr(
        Image, 'from_file', lambda path: (read.append(Path(path)), from_file(path))[1]
    )
    masks = ('--ignore-mask', f'{FRONT}: {mask}')
    assert run(model, bag, tmp_path / 'out', *masks) == 0
    assert read == [mask], 'a second reading could be of another picture'


def test_parameters_come_from_the_file_of_the_node(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bag = write_lamps(tmp_path / 'bag', [(FRONT, 0, 0.9), (FRONT, 7, 0.9), (FRONT, 0, 0.9)])
    file = tmp_path / 'detector.yaml'
    file.write_text(
        '/**:\n  ros__parameters:\n'
        '    model_path: other.onnx\n    image_topics: [/front/image_raw, /rear/image_raw]\n'
        '    max_rate: [5.0, 2.0]\n    use_sim_time: true\n'
        "    regions: ['include 0,0 0.5,0 0.5,1 0,1']\n    tracker: bytetrack\n"
    )
    assert run(model, bag, tmp_path / 'out', '--params-file', file) == 0
    assert ids_of(tmp_path / 'out') == [['1'], [], ['1']]
    options = ('--params-file', file, '--tracker', 'none')
    assert run(model, bag, tmp_path / 'plain', *options) == 0
    assert ids_of(tmp_path / 'plain') == [[''], [], ['']]
    file.write_text('/**:\n  ros__parameters:\n    regoins: [a]\n')
    assert run(model, bag, tmp_path / 'no', '--params-file', file) == 1
    assert 'regoins' in capsys.readouterr().err


def test_a_class_map_names_what_is_written(model: Path, tmp_path: Path) -> None:
    bag = write_lamps(tmp_path / 'bag', [(FRONT, 0, 0.9)])
    assert run(model, bag, tmp_path / 'out', '--class-map', 'lamp:light') == 0
    (_, _, _, message), *_ = bags.read_bag(tmp_path / 'out')
    assert message.detections[0].results[0].hypothesis.class_id == 'light'


def test_an_object_that_changes_between_merged_classes_keeps_its_number(
    model: Path, tmp_path: Path
) -> None:
    network = onnx.load(model)
    names = json.dumps({0: 'car', 1: 'truck'})
    onnx.helper.set_model_props(
        network, {p.key: p.value for p in network.metadata_props} | {'names': names}
    )
    # A dim lamp is of class 1.
    (old,) = (node for node in network.graph.node if list(node.output) == ['class'])
    half = onnx.numpy_helper.from_array(np.array(0.6, np.float32), 'half')
    network.graph.initializer.append(half)
    where = list(network.graph.node).index(old)
    network.graph.node.remove(old)
    cast = onnx.helper.make_node('Cast', ['dim'], ['class'], to=onnx.TensorProto.FLOAT)
    network.graph.node.insert(where, cast)
    less = onnx.helper.make_node('Less', ['score', 'half'], ['dim'])
    network.graph.node.insert(where, less)
    path = tmp_path / 'cars.onnx'
    onnx.save(network, path)
    brightness = [0.9, 0.9, 0.55, 0.55, 0.9, 0.55]
    bag = write_lamps(tmp_path / 'bag', [(FRONT, 9, each) for each in brightness])
    assert run(path, bag, tmp_path / 'two', *TRACKER) == 0
    assert {number for (number,) in ids_of(tmp_path / 'two')} == {'', '1', '2'}
    merged = ('--class-map', 'car:vehicle', 'truck:vehicle')
    assert run(path, bag, tmp_path / 'one', *TRACKER, *merged) == 0
    assert ids_of(tmp_path / 'one') == [['1']] * 6
