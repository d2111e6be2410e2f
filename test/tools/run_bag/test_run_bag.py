# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""The tool run_bag, from a bag to the output."""

from __future__ import annotations

import io
import json
from pathlib import Path
import sys
from typing import Any

import cv2
import numpy as np
import pytest
from support import bags
from support.models import lamp_detector
from trt_detector.image.drawing import draw_detections
from trt_detector.tools.run_bag import main
from trt_detector.values.detections import Detections

ROOT = Path(__file__).resolve().parents[3]
FRONT = '/front/image_raw'
CELLS = [5, 63, 0, 17, 30, 9, 44, 8, 21, 60, 2, 33]


@pytest.fixture(name='model', scope='module')
def _model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return lamp_detector(tmp_path_factory.mktemp('model') / 'lamp.onnx')


def run(model: Path, bag: Path, output: Path, *options: object) -> int:
    arguments = ['--model', model, '--bag', bag, '--output', output, '--backend', 'onnxruntime']
    return main([str(argument) for argument in (*arguments, *options)])


def boxes_of(message: Any) -> list[tuple[float, ...]]:
    """Return left, top, right, bottom of the detections of a Detection2DArray."""
    rows = []
    for detection in message.detections:
        center, size = detection.bbox.center.position, detection.bbox
        half_w, half_h = size.size_x / 2, size.size_y / 2
        edges = (center.x - half_w, center.y - half_h, center.x + half_w, center.y + half_h)
        rows.append(tuple(round(edge, 3) for edge in edges))
    return rows


@pytest.mark.parametrize('storage', ['MCAP', 'SQLITE3'])
@pytest.mark.parametrize('batch_size', [0, 1, 5])
def test_every_image_gets_its_own_detections_once(
    model: Path, tmp_path: Path, storage: str, batch_size: int
) -> None:
    bag = bags.write_bag(tmp_path / 'bag', bags.lamp_messages(CELLS), storage)
    report = tmp_path / 'report.json'
    assert run(model, bag, tmp_path / 'out', '--batch-size', batch_size, '--json', report) == 0
    found = bags.read_bag(tmp_path / 'out')
    assert {(topic, name) for topic, name, _, _ in found} == {
        ('/front/detections', 'vision_msgs/msg/Detection2DArray')
    }
    assert [time_ns for _, _, time_ns, _ in found] == [
        (number + 1) * 100_000_000 for number in range(len(CELLS))
    ]
    for number, (cell, (_, _, _, message)) in enumerate(zip(CELLS, found, strict=True)):
        header = message.header
        assert (header.stamp.sec, header.stamp.nanosec) == (number, cell)
        assert header.frame_id == 'camera'
        assert boxes_of(message) == [bags.lamp_box(cell)]
        (detection,) = message.detections
        assert detection.header == header
        (result,) = detection.results
        assert (result.hypothesis.class_id, result.hypothesis.score) == ('lamp', 1.0)
    facts = json.loads(report.read_text())
    assert facts['read'] == facts['written'] == facts['declared'] == len(CELLS)
    assert facts['malformed'] == 0
    assert list(tmp_path.glob('*.partial')) == []
    suffix = {'MCAP': '.mcap', 'SQLITE3': '.db3'}[storage]
    assert sorted(path.suffix for path in (tmp_path / 'out').iterdir()) == sorted(
        [suffix, '.yaml']
    )


@pytest.mark.parametrize('batch_size', [0, 3, 10])
def test_tiles_find_what_is_too_small_for_the_whole_image(
    batch_size: int, model: Path, tmp_path: Path
) -> None:
    # The network shows these images at half their size, where the squares have 4x4 pixels.
    corners = [(88, 16), (8, 80), (40, 24), (112, 112), (80, 40)]
    messages = []
    for number, (left, top) in enumerate(corners):
        picture = np.zeros((128, 128, 3), np.uint8)
        picture[top : top + 8, left : left + 8] = 255
        raw = bags.raw(picture, bags.header(number))
        messages.append((FRONT, bags.RAW, (number + 1) * 100_000_000, raw))
    bag = bags.write_bag(tmp_path / 'bag', messages)
    options = ['--score-threshold', 0.5, '--batch-size', batch_size, '--tile-overlap', 0]
    assert run(model, bag, tmp_path / 'out', *options, '--tiling', '2x2') == 0
    found = [boxes_of(message) for _, _, _, message in bags.read_bag(tmp_path / 'out')]
    assert found == [[(x, y, x + 8, y + 8)] for x, y in corners]
    assert run(model, bag, tmp_path / 'none', *options) == 0
    assert [boxes_of(m) for _, _, _, m in bags.read_bag(tmp_path / 'none')] == [[]] * len(corners)


def test_malformed_images_are_counted_and_do_not_affect_the_others(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    messages = bags.lamp_messages(CELLS)
    broken = bags.raw(bags.lamp_picture(1), bags.header(99))
    broken.step = 5
    messages[0] = (FRONT, bags.RAW, messages[0][2], broken)
    messages[4] = (FRONT, bags.RAW, messages[4][2], b'\x00\x01\x00\x00no message')
    bag = bags.write_bag(tmp_path / 'bag', messages)
    report = tmp_path / 'report.json'
    assert run(model, bag, tmp_path / 'out', '--batch-size', 4, '--json', report) == 1
    found = [message for _, _, _, message in bags.read_bag(tmp_path / 'out')]
    good = [cell for number, cell in enumerate(CELLS) if number not in (0, 4)]
    assert [boxes_of(message) for message in found] == [[bags.lamp_box(cell)] for cell in good]
    facts = json.loads(report.read_text())
    assert (facts['read'], facts['written'], facts['malformed']) == (12, 10, 2)
    assert facts['topics'][0]['malformed'] == 2
    errors = capsys.readouterr().err
    assert f'malformed image of {FRONT} at 100000000 ns: step is 5' in errors
    assert f'malformed image of {FRONT} at 500000000 ns: 14 bytes are not a ' in errors


@pytest.mark.parametrize('count', [1, 30])
def test_a_bag_of_malformed_images_only(model: Path, tmp_path: Path, count: int) -> None:
    messages = [(FRONT, bags.RAW, n + 1, b'\x00\x01\x00\x00none') for n in range(count)]
    bag = bags.write_bag(tmp_path / 'bag', messages)
    report = tmp_path / 'report.json'
    assert run(model, bag, tmp_path / 'out', '--json', report) == 1
    assert json.loads(report.read_text())['malformed'] == count
    assert bags.read_bag(tmp_path / 'out') == []


def test_many_malformed_images_in_a_row_stop_nothing(model: Path, tmp_path: Path) -> None:
    good = bags.lamp_messages([7, 8])
    bad = [(FRONT, bags.RAW, 200_000_000 + n, b'\x00\x01\x00\x00none') for n in range(300)]
    bag = bags.write_bag(tmp_path / 'bag', [good[0], *bad, good[1]])
    report = tmp_path / 'report.json'
    assert run(model, bag, tmp_path / 'out', '--batch-size', 2, '--json', report) == 1
    facts = json.loads(report.read_text())
    assert (facts['read'], facts['written'], facts['malformed']) == (302, 2, 300)


def test_cameras_and_kinds_of_images_are_mixed_in_the_order_of_the_bag(
    model: Path, tmp_path: Path
) -> None:
    rear = '/rear/image_raw/compressed'
    messages = bags.lamp_messages([1, 2, 3])
    for number, cell in enumerate([40, 41, 42]):
        message = bags.compressed(bags.lamp_picture(cell), bags.header(number, cell, 'rear'))
        messages.append((rear, bags.COMPRESSED, (number + 1) * 100_000_000 + 1, message))
    # The stamps of a camera may go backwards: only the order of the bag counts.
    messages.append((FRONT, bags.RAW, 10**9, bags.raw(bags.lamp_picture(50), bags.header(0, 50))))
    bag = bags.write_bag(tmp_path / 'bag', messages)
    assert run(model, bag, tmp_path / 'out', '--topics', FRONT, rear, '--batch-size', 3) == 0
    found = bags.read_bag(tmp_path / 'out')
    assert [(topic, message.header.stamp.nanosec) for topic, _, _, message in found] == [
        ('/front/detections', 1), ('/rear/detections', 40),
        ('/front/detections', 2), ('/rear/detections', 41),
        ('/front/detections', 3), ('/rear/detections', 42),
        ('/front/detections', 50),
    ]  # fmt: skip
    for _, _, _, message in found:
        assert boxes_of(message) == [bags.lamp_box(message.header.stamp.nanosec)]
    assert {message.header.frame_id for topic, _, _, message in found if 'rear' in topic} == {
        'rear'
    }


def test_several_image_topics_have_to_be_chosen_from(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    messages = [*bags.lamp_messages([1]), *bags.lamp_messages([2], '/rear/image_raw')]
    bag = bags.write_bag(tmp_path / 'bag', messages)
    assert run(model, bag, tmp_path / 'out') == 1
    errors = capsys.readouterr().err
    assert 'choose with --topics: /front/image_raw (' in errors
    assert '/rear/image_raw (' in errors
    assert list(tmp_path.glob('out*')) == []


def test_cameras_of_one_namespace_get_topics_of_their_own(model: Path, tmp_path: Path) -> None:
    messages = [*bags.lamp_messages([1], '/left'), *bags.lamp_messages([2], '/right')]
    bag = bags.write_bag(tmp_path / 'bag', messages)
    assert run(model, bag, tmp_path / 'out', '--topics', '/left', '/right') == 0
    found = {topic: boxes_of(m) for topic, _, _, m in bags.read_bag(tmp_path / 'out')}
    assert found == {
        '/left/detections': [bags.lamp_box(1)],
        '/right/detections': [bags.lamp_box(2)],
    }


def imu(count: int) -> list[bags.Recorded]:
    return [
        ('/imu', bags.TIME, 50_000_000 + n * 10_000_000, bags.make(bags.TIME, sec=n, nanosec=0))
        for n in range(count)
    ]


@pytest.mark.parametrize(
    ('copied', 'topics'),
    [([], {'/imu', FRONT}), (['/imu'], {'/imu'}), (None, set())],
    ids=['all', 'named', 'none'],
)
@pytest.mark.parametrize('storage', ['MCAP', 'SQLITE3'])
def test_other_topics_are_copied_unchanged(
    model: Path, tmp_path: Path, copied: list[str] | None, topics: set[str], storage: str
) -> None:
    messages = [*bags.lamp_messages(CELLS), *imu(120)]
    bag = bags.write_bag(tmp_path / 'bag', messages, storage)
    options = () if copied is None else ('--copy', *copied)
    assert run(model, bag, tmp_path / 'out', *options) == 0
    before = [row for row in bags.read_bag(bag) if row[0] in topics]
    rows = bags.read_bag(tmp_path / 'out')
    after = [row for row in rows if row[0] in topics]
    assert [row[:3] for row in after] == [row[:3] for row in before]
    assert repr(after) == repr(before)
    assert len(rows) == len(after) + len(CELLS)


def test_a_topic_that_is_copied_and_written_is_refused(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = ('/front/detections', bags.TIME, 1, bags.make(bags.TIME, sec=1, nanosec=0))
    bag = bags.write_bag(tmp_path / 'bag', [old, *bags.lamp_messages([1])])
    assert run(model, bag, tmp_path / 'out', '--copy') == 1
    assert '/front/detections would be copied and written' in capsys.readouterr().err
    assert run(model, bag, tmp_path / 'out', '--copy', '/nothing') == 1
    assert '--copy names /nothing, which' in capsys.readouterr().err
    assert run(model, bag, tmp_path / 'out', '--copy', FRONT) == 0


@pytest.mark.parametrize('suffix', ['.mcap', '.db3'])
def test_a_bag_can_be_one_file(model: Path, tmp_path: Path, suffix: str) -> None:
    bag = bags.write_bag(tmp_path / 'bag', bags.lamp_messages([4, 5]))
    assert run(model, bag, tmp_path / f'out{suffix}') == 0
    found = bags.read_bag(tmp_path / f'out{suffix}')
    assert [boxes_of(m) for _, _, _, m in found] == [[bags.lamp_box(4)], [bags.lamp_box(5)]]


def test_coco_annotations_can_be_read_by_a_coco_tool(model: Path, tmp_path: Path) -> None:
    coco = pytest.importorskip('faster_coco_eval', reason='pip install faster-coco-eval')
    bag = bags.write_bag(tmp_path / 'bag', bags.lamp_messages(CELLS))
    assert run(model, bag, tmp_path / 'out.json') == 0
    data = coco.COCO(str(tmp_path / 'out.json'))
    assert [c['name'] for c in data.loadCats(data.getCatIds())] == ['lamp', 'box']
    images = data.loadImgs(sorted(data.getImgIds()))
    assert [image['stamp'] for image in images] == [
        {'sec': number, 'nanosec': cell} for number, cell in enumerate(CELLS)
    ]
    assert {(image['width'], image['height'], image['topic']) for image in images} == {
        (64, 64, FRONT)
    }
    assert len({image['file_name'] for image in images}) == len(CELLS)
    for image, cell in zip(images, CELLS, strict=True):
        (row,) = data.loadAnns(data.getAnnIds(imgIds=[image['id']]))
        left, top, _, _ = bags.lamp_box(cell)
        assert row['bbox'] == pytest.approx([left, top, 8, 8], abs=1e-3)
        assert (row['category_id'], row['score'], row['area']) == (0, 1.0, pytest.approx(64))


@pytest.mark.parametrize('suffix', ['.mp4', '.avi', '.mkv'])
def test_a_video_has_one_frame_per_image_with_the_boxes_drawn(
    model: Path, tmp_path: Path, suffix: str
) -> None:
    messages: list[bags.Recorded] = [
        # One has another size: it is scaled to that of the first.
        (FRONT, bags.RAW, n * 10**8, bags.raw(lamp(c, 480 if n == 5 else 240), bags.header(n)))
        for n, c in enumerate(CELLS)
    ]
    messages[3] = (FRONT, bags.RAW, messages[3][2], b'\x00\x01\x00\x00none')
    bag = bags.write_bag(tmp_path / 'bag', messages)
    output = tmp_path / f'out{suffix}'
    assert run(model, bag, output) == 1
    video = cv2.VideoCapture(str(output))
    assert video.get(cv2.CAP_PROP_FPS) == pytest.approx(10, abs=0.1)
    frames = []
    while (read := video.read())[0]:
        frames.append(read[1])
    cells = [cell for number, cell in enumerate(CELLS) if number != 3]
    assert len(frames) == len(cells)
    for frame, cell in zip(frames, cells, strict=True):
        assert frame.shape == (240, 240, 3)
        # The codec loses a little, but no other picture is nearer.
        candidates = {
            (other, drawn): shown(other, 480 if other == CELLS[5] else 240, drawn=drawn)
            for other in CELLS
            for drawn in (True, False)
        }
        distances = {
            key: np.abs(frame.astype(float) - picture).mean()
            for key, picture in candidates.items()
        }
        assert min(distances, key=distances.__getitem__) == (cell, True)


def lamp(cell: int, size: int = 240) -> np.ndarray:
    """Return the picture of a lamp, enlarged."""
    return cv2.resize(bags.lamp_picture(cell), (size, size), interpolation=cv2.INTER_NEAREST)


def shown(cell: int, size: int, *, drawn: bool) -> np.ndarray:
    """Return the picture of a lamp with its detection, or without, at the size of the video."""
    picture = lamp(cell, size)
    if drawn:
        found = Detections(
            boxes_xyxy=np.array([bags.lamp_box(cell)], np.float32) * size / 64,
            scores=np.ones(1, np.float32),
            class_ids=np.zeros(1, np.int32),
        )
        picture = draw_detections(picture, found, ['lamp'])
    return cv2.resize(picture, (240, 240), interpolation=cv2.INTER_AREA)


def test_a_video_of_two_cameras_is_refused(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    messages = [*bags.lamp_messages([1]), *bags.lamp_messages([2], '/rear/image_raw')]
    bag = bags.write_bag(tmp_path / 'bag', messages)
    assert run(model, bag, tmp_path / 'o.mp4', '--topics', FRONT, '/rear/image_raw') == 1
    assert 'a video shows one camera' in capsys.readouterr().err


def test_one_topic_may_hold_images_of_two_types(model: Path, tmp_path: Path) -> None:
    packed = bags.compressed(bags.lamp_picture(9), bags.header(1))
    messages = [*bags.lamp_messages([8]), (FRONT, bags.COMPRESSED, 10**12, packed)]
    bag = bags.write_bag(tmp_path / 'bag', messages)
    assert run(model, bag, tmp_path / 'out') == 0
    found = [(topic, boxes_of(m)) for topic, _, _, m in bags.read_bag(tmp_path / 'out')]
    assert found == [('/front/detections', [bags.lamp_box(cell)]) for cell in (8, 9)]


def test_images_of_one_time_in_the_bag_are_all_processed(model: Path, tmp_path: Path) -> None:
    messages = bags.lamp_messages(CELLS, step_ns=0)
    bag = bags.write_bag(tmp_path / 'bag', messages)
    for name in ('out', 'out.mp4', 'out.json'):
        assert run(model, bag, tmp_path / name) == 0
    found = [boxes_of(message) for _, _, _, message in bags.read_bag(tmp_path / 'out')]
    assert sorted(found) == sorted([bags.lamp_box(cell)] for cell in CELLS)


class Terminal(io.StringIO):
    """Standard error that is a terminal, or is none."""

    def __init__(self, *, is_terminal: bool) -> None:
        super().__init__()
        self._is_terminal = is_terminal

    def isatty(self) -> bool:
        return self._is_terminal


@pytest.mark.parametrize('is_terminal', [False, True])
def test_the_progress_bar_is_for_terminals_only(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_terminal: bool
) -> None:
    bag = bags.write_bag(tmp_path / 'bag', bags.lamp_messages(CELLS))
    errors = Terminal(is_terminal=is_terminal)
    monkeypatch.setattr(sys, 'stderr', errors)
    assert run(model, bag, tmp_path / 'out', '--batch-size', 2) == 0
    assert ('\r[' in errors.getvalue()) is is_terminal
    assert ('12 of 12 images' in errors.getvalue()) is is_terminal


def test_class_ids_and_thresholds_are_those_of_the_node(model: Path, tmp_path: Path) -> None:
    dim = bags.raw(bags.lamp_picture(3) // 2, bags.header(0))
    messages = [*bags.lamp_messages([6]), (FRONT, bags.RAW, 9**12, dim)]
    bag = bags.write_bag(tmp_path / 'bag', messages)
    options = ('--class-id-format', 'index', '--score-threshold', 0.9)
    assert run(model, bag, tmp_path / 'out', *options) == 0
    (_, _, _, bright), (_, _, _, empty) = bags.read_bag(tmp_path / 'out')
    assert bright.detections[0].results[0].hypothesis.class_id == '0'
    assert len(empty.detections) == 0


def test_detections_match_the_ground_truth_of_the_scenes(tmp_path: Path) -> None:
    pictures = ROOT / 'demo' / 'pictures'
    truth = json.loads((pictures / 'ground_truth.json').read_text())
    names = {row['id']: row['name'] for row in truth['categories']}
    shown = [row for row in truth['images'] if '1280x720' in row['file_name']][:6]
    messages = [
        (FRONT, bags.COMPRESSED, n + 1, bags.make(
            bags.COMPRESSED, header=bags.header(n), format='jpeg',
            data=np.fromfile(pictures / row['file_name'], np.uint8),
        ))
        for n, row in enumerate(shown)
    ]  # fmt: skip
    bag = bags.write_bag(tmp_path / 'bag', messages)
    model = ROOT / 'demo' / 'models' / 'demo_end2end.onnx'
    assert run(model, bag, tmp_path / 'out', '--score-threshold', 0.5) == 0
    correct = wrong = 0
    for row, (_, _, _, message) in zip(shown, bags.read_bag(tmp_path / 'out'), strict=True):
        objects = [a for a in truth['annotations'] if a['image_id'] == row['id']]
        for detection, box in zip(message.detections, boxes_of(message), strict=True):
            name = detection.results[0].hypothesis.class_id
            hit = any(
                names[a['category_id']] == name and overlap(box, a['bbox']) > 0.5 for a in objects
            )
            correct, wrong = correct + hit, wrong + (not hit)
    assert correct >= len(shown)
    assert wrong <= correct / 4


def overlap(box_xyxy: tuple[float, ...], box_xywh: list[float]) -> float:
    """Return the intersection over union of a box and one of COCO's."""
    left, top, width, height = box_xywh
    right, bottom = min(box_xyxy[2], left + width), min(box_xyxy[3], top + height)
    common = max(0.0, right - max(box_xyxy[0], left)) * max(0.0, bottom - max(box_xyxy[1], top))
    area = (box_xyxy[2] - box_xyxy[0]) * (box_xyxy[3] - box_xyxy[1])
    return common / (area + width * height - common)
