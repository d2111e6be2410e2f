# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""The tool calibrate, from every kind of input to the file."""

from __future__ import annotations

from collections.abc import Iterator
import json
from pathlib import Path
import subprocess
import sys
import threading
from typing import Any

import cv2
import numpy as np
import onnx
import pytest
from support.quantized import yolov8_like
from trt_detector.image.image import Image
from trt_detector.onnxruntime_engine import OnnxRuntimeEngine
from trt_detector.quantize import read_calibration_cache
from trt_detector.quantize.activations import ActivationCounter
from trt_detector.tools import calibrate, detect

ROOT = Path(__file__).resolve().parents[2]
MODEL = ROOT / 'demo' / 'models' / 'demo_end2end.onnx'
# PNG: what is recorded from them is what is in them.
PICTURES = sorted((ROOT / 'demo' / 'pictures').glob('*.png'))


def run(output: Path, *options: object, model: Path = MODEL) -> int:
    """Run the tool; min-max unless another method is given, since it is the fastest."""
    arguments = ['--model', model, '--output', output, '--gate-frames', 0, *options]
    if '--method' not in options:
        arguments += ['--method', 'minmax']
    return calibrate.main([str(argument) for argument in arguments])


def read_report(output: Path) -> dict[str, Any]:
    facts: dict[str, Any] = json.loads(output.with_name(output.name + '.json').read_text())
    return facts


@pytest.fixture(scope='module')
def from_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the cache of the PNG pictures."""
    output = tmp_path_factory.mktemp('calibration') / 'folder.calib'
    assert run(output, '--images', *PICTURES) == 0
    return output


@pytest.fixture
def small_model(tmp_path: Path) -> Path:
    path = tmp_path / 'small.onnx'
    onnx.save(yolov8_like(), path)
    return path


def test_the_settings_are_printed_at_start(
    small_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path / 'x.calib', '--images', PICTURES[0], model=small_model) == 0
    lines = capsys.readouterr().err.splitlines()
    (settings,) = [line for line in lines if line.startswith('calibrate: small.onnx: head ')]
    assert all(part in settings for part in ('preprocessing ', 'input ', 'classes ('))


def test_two_runs_give_the_same_bytes(from_folder: Path, tmp_path: Path) -> None:
    again = tmp_path / 'again.calib'
    assert run(again, '--images', *PICTURES) == 0
    assert again.read_bytes() == from_folder.read_bytes()
    assert read_report(again) == read_report(from_folder)


def test_the_file_is_a_calibration_cache_and_the_report_describes_it(from_folder: Path) -> None:
    cache = read_calibration_cache(from_folder)
    assert cache.to_bytes() == from_folder.read_bytes()
    assert cache.header == 'TRT-100300-MinMaxCalibration'
    # A white pixel is 1.0 at the network's input.
    assert cache.scales['images'] == pytest.approx(1 / 127)
    facts = read_report(from_folder)
    assert facts['cache_sha256'] == cache.sha256
    assert facts['frames'] == len(PICTURES)
    assert facts['method'] == 'minmax'
    assert len(facts['model_sha256']) == len(facts['sample_sha256']) == 64


def test_other_pictures_give_another_cache(from_folder: Path, tmp_path: Path) -> None:
    other = tmp_path / 'other.calib'
    assert run(other, '--images', *PICTURES[:2]) == 0
    assert other.read_bytes() != from_folder.read_bytes()
    assert read_report(other)['sample_sha256'] != read_report(from_folder)['sample_sha256']


def test_inputs_are_those_of_inference(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    counted, inferred = [], []
    add, infer = ActivationCounter.add, OnnxRuntimeEngine.run
    monkeypatch.setattr(
        ActivationCounter,
        'add',
        lambda self, b, n=None: counted.append(b.copy()) or add(self, b, n),
    )
    options = ('--images', PICTURES[0], '--pad-value', 7, '--color-order', 'bgr')
    assert run(tmp_path / 'x.calib', *options) == 0
    monkeypatch.setattr(
        OnnxRuntimeEngine, 'run', lambda self, b: inferred.append(b.copy()) or infer(self, b)
    )
    monkeypatch.setattr(detect, '_NAMES', (*detect._NAMES, 'pad_value', 'color_order'))
    arguments = ['--model', MODEL, '--json', tmp_path / 'x.json', '--backend', 'onnxruntime']
    assert detect.main([str(a) for a in (*arguments, *options)]) == 0
    (ours,) = counted
    assert np.array_equal(ours, inferred[-1])
    assert ours.min() >= 0
    assert np.isclose(ours, 7 / 255).mean() > 0.1


@pytest.mark.parametrize('storage', ['SQLITE3', 'MCAP'])
@pytest.mark.parametrize('compressed', [False, True], ids=['raw', 'compressed'])
def test_a_bag_gives_the_cache_of_its_pictures(
    storage: str, compressed: bool, from_folder: Path, tmp_path: Path
) -> None:
    write_bag(tmp_path / 'bag', storage, compressed=compressed)
    output = tmp_path / 'bag.calib'
    assert run(output, '--bag', tmp_path / 'bag', '--bag-topics', '/front') == 0
    assert output.read_bytes() == from_folder.read_bytes()


def test_a_bag_without_the_topic_names_those_it_has(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_bag(tmp_path / 'bag', 'SQLITE3', compressed=False)
    assert run(tmp_path / 'x.calib', '--bag', tmp_path / 'bag', '--bag-topics', '/rear') == 1
    assert 'no images on /rear; its image topics: /front' in capsys.readouterr().err


def write_bag(folder: Path, storage: str, *, compressed: bool) -> None:
    """Record the PNG pictures, and a topic that has no images."""
    rosbag2 = pytest.importorskip('rosbags.rosbag2', reason='pip install rosbags')
    typesys = pytest.importorskip('rosbags.typesys', reason='pip install rosbags')
    store = typesys.get_typestore(typesys.Stores.ROS2_HUMBLE)
    types = store.types
    stamp = types['builtin_interfaces/msg/Time'](sec=1, nanosec=2)
    header = types['std_msgs/msg/Header'](stamp=stamp, frame_id='camera')
    name = 'sensor_msgs/msg/CompressedImage' if compressed else 'sensor_msgs/msg/Image'
    plugin = rosbag2.StoragePlugin[storage]
    with rosbag2.Writer(folder, version=9, storage_plugin=plugin) as writer:
        other = writer.add_connection('/clock', 'builtin_interfaces/msg/Time', typestore=store)
        camera = writer.add_connection('/front', name, typestore=store)
        for number, path in enumerate(PICTURES):
            writer.write(other, number, store.serialize_cdr(stamp, other.msgtype))
            if compressed:
                # Red and blue are swapped in the file, as the format says.
                swapped = cv2.cvtColor(Image.from_file(path).to_bgr(), cv2.COLOR_BGR2RGB)
                data = cv2.imencode('.png', swapped)[1]
                message = types[name](header=header, format='rgb8; png compressed rgb8', data=data)
            else:
                pixels = Image.from_file(path).to_bgr()
                message = types[name](
                    header=header, height=pixels.shape[0], width=pixels.shape[1],
                    encoding='bgr8', is_bigendian=0, step=pixels.shape[1] * 3,
                    data=pixels.reshape(-1),
                )  # fmt: skip
            writer.write(camera, number, store.serialize_cdr(message, name))


def write_video(path: Path, count: int) -> None:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*'MJPG'), 10, (64, 48))
    if not writer.isOpened():
        pytest.skip('OpenCV has no encoder for MJPG here: pip install opencv-python-headless')
    random = np.random.default_rng(1)
    for _ in range(count):
        coarse = random.integers(0, 256, (6, 8, 3), np.uint8)
        writer.write(np.kron(coarse, np.ones((8, 8, 1), np.uint8)))
    writer.release()


def test_a_video_is_sampled_evenly(small_model: Path, tmp_path: Path) -> None:
    write_video(tmp_path / 'film.avi', 40)
    output = tmp_path / 'video.calib'
    options = ('--video', tmp_path / 'film.avi', '--frames', 10)
    assert run(output, *options, model=small_model) == 0
    facts = read_report(output)
    assert facts['frames'] == 10
    assert facts['coverage']['available'] == 40
    assert facts['coverage']['read'] == 10
    assert facts['coverage']['tenths'] == 10


def test_frames_to_check_with_are_kept_and_not_calibrated_with(
    small_model: Path, tmp_path: Path
) -> None:
    write_video(tmp_path / 'film.avi', 40)
    output = tmp_path / 'video.calib'
    options = ('--video', tmp_path / 'film.avi', '--frames', 12, '--gate-frames', 4)
    assert run(output, *options, model=small_model) == 0
    kept = sorted((tmp_path / 'video.calib.frames').iterdir())
    assert len(kept) == read_report(output)['gate_frames'] == 4
    assert Image.from_file(kept[0]).width == 64
    assert read_report(output)['frames'] == 12
    # A second run leaves no frame of the first.
    assert run(output, *options, '--gate-frames', 2, model=small_model) == 0
    assert len(list((tmp_path / 'video.calib.frames').iterdir())) == 2


@pytest.mark.parametrize('kind', ['Image', 'CompressedImage'])
def test_a_live_topic(
    kind: str, small_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    support = pytest.importorskip('support.ros_graph', reason='ROS 2: source bringup/env.sh')
    domain = support.next_domain()
    monkeypatch.setenv('ROS_DOMAIN_ID', str(domain))
    # The name of compressed images need not end in /compressed.
    with publishing(domain, '/camera', kind):
        output = tmp_path / 'live.calib'
        options = ('--topic', '/camera', '--frames', 6, '--every', 2, '--timeout', 20)
        assert run(output, *options, model=small_model) == 0
    assert read_report(output)['frames'] == 6


@pytest.mark.parametrize(
    ('topic', 'kind', 'expected'),
    [
        ('/nothing', 'Image', 'no publisher of /nothing; image topics here: /camera'),
        ('/camera', 'silent', 'no image in 1.0 s with reliability best effort from /publisher '),
        ('/camera', 'String', 'type is std_msgs/msg/String; expected sensor_msgs/msg/Image or '),
    ],
)
def test_a_topic_without_images_is_told_with_the_reason(
    topic: str, kind: str, expected: str,
    small_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    support = pytest.importorskip('support.ros_graph', reason='ROS 2: source bringup/env.sh')
    domain = support.next_domain()
    monkeypatch.setenv('ROS_DOMAIN_ID', str(domain))
    with publishing(domain, '/camera', kind):
        options = ('--topic', topic, '--timeout', '1')
        assert run(tmp_path / 'x.calib', *options, model=small_model) == 1
    assert expected in capsys.readouterr().err
    assert not (tmp_path / 'x.calib').exists()


def publishing(domain: int, topic: str, kind: str) -> Any:
    """
    Publish pictures that differ, best effort, until the context ends.

    :param kind: Image or CompressedImage; silent is an Image publisher that sends nothing, and
        String one of texts.
    """
    import contextlib

    import rclpy
    from rclpy.qos import qos_profile_sensor_data
    from sensor_msgs.msg import CompressedImage
    from sensor_msgs.msg import Image as ImageMessage
    from std_msgs.msg import String

    @contextlib.contextmanager
    def context() -> Iterator[None]:
        ros = rclpy.Context()
        rclpy.init(context=ros, domain_id=domain)
        node = rclpy.create_node('publisher', context=ros)
        message_type = {'CompressedImage': CompressedImage, 'String': String}.get(
            kind, ImageMessage
        )
        publisher = node.create_publisher(message_type, topic, qos_profile_sensor_data)
        stop = threading.Event()

        def publish() -> None:
            random = np.random.default_rng(5)
            while not stop.wait(0.03) and kind in ('Image', 'CompressedImage'):
                coarse = random.integers(0, 256, (6, 8, 3), np.uint8)
                picture = np.kron(coarse, np.ones((8, 8, 1), np.uint8))
                if kind == 'CompressedImage':
                    data = cv2.imencode('.jpg', picture)[1].tobytes()
                    publisher.publish(CompressedImage(format='jpeg', data=data))
                    continue
                message = ImageMessage(height=48, width=64, encoding='rgb8', step=192)
                message.data = picture.tobytes()
                publisher.publish(message)

        thread = threading.Thread(target=publish)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()
            node.destroy_node()
            rclpy.shutdown(context=ros)

    return context()


def peak_bytes(model: Path, folder: Path, frames: int) -> int:
    """Calibrate in a process of its own and return its peak memory."""
    program = (
        'import resource, sys\n'
        'from trt_detector.tools import calibrate\n'
        'assert calibrate.main(sys.argv[1:]) == 0\n'
        'print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)\n'
    )
    options = ['--model', model, '--output', folder / 'm.calib', '--images', folder]
    options += ['--frames', frames, '--method', 'minmax', '--gate-frames', 0]
    done = subprocess.run(
        [sys.executable, '-c', program, *map(str, options)],
        capture_output=True, text=True, check=True, cwd=ROOT,
    )  # fmt: skip
    return int(done.stdout.splitlines()[-1])


def test_memory_does_not_grow_with_the_pictures(tmp_path: Path) -> None:
    model = tmp_path / 'm.onnx'
    onnx.save(yolov8_like(size=320), model)
    pictures = tmp_path / 'pictures'
    pictures.mkdir()
    random = np.random.default_rng(2)
    for number in range(150):
        coarse = random.integers(0, 256, (6, 8, 3), np.uint8)
        picture = np.kron(coarse, np.ones((16, 16, 1), np.uint8))
        cv2.imwrite(str(pictures / f'{number:03}.png'), picture)
    # One picture has 12 MB of activations: kept, those of 140 more would be 1.7 GB.
    assert peak_bytes(model, pictures, 150) < 1.5 * peak_bytes(model, pictures, 10)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (('--images', 'nowhere'), 'nowhere does not exist'),
        (('--video', 'nowhere.mp4'), 'nowhere.mp4 is not a file'),
        (('--bag', 'nowhere'), 'nowhere cannot be read'),
        (('--images', PICTURES[0], '--tensorrt-version', 'ten'), "TensorRT version is 'ten'"),
        (('--images', PICTURES[0], '--percentile', '101'), 'percentile is 101.0'),
    ],
)
def test_wrong_requests_are_reported(
    options: tuple[object, ...], message: str, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    assert run(tmp_path / 'x.calib', *options, '--method', 'entropy') == 1
    assert message in capsys.readouterr().err
    assert not (tmp_path / 'x.calib').exists()


def test_a_damaged_picture_is_reported_and_skipped(
    small_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    damaged = tmp_path / 'damaged.png'
    damaged.write_bytes(PICTURES[0].read_bytes()[:500])
    output = tmp_path / 'x.calib'
    assert run(output, '--images', damaged, PICTURES[1], model=small_model) == 0
    assert read_report(output)['coverage']['unreadable'] == 1
    assert 'damaged.png' in capsys.readouterr().err
