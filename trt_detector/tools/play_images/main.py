# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
# PYTHON_ARGCOMPLETE_OK
"""Publish picture files as a camera driver does."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
import itertools
import json
from pathlib import Path
import sys
import threading
import time
from typing import Any, TextIO

import cv2

from ...errors import ConfigError, DetectorError, ImageError
from ...image.files import picture_files
from ...image.image import Image
from ...process.stop_signals import SignalWatch
from ...process.tuning import tune_process
from ..command_line import add_json_option, make_parser, write_result
from ..ros_tool import parse_ros_arguments, start_ros
from .encode import encode_picture, ENCODINGS

__all__ = ['main']

_FORMATS = {'.jpeg': 'jpeg', '.jpg': 'jpeg', '.png': 'png'}


def main(argv: Sequence[str] | None = None) -> int:
    """
    Publish until all pictures are published, or SIGINT.

    :param argv: arguments without the program's name, ROS arguments among them; None takes the
        process's own.
    :return: 0, also after a signal; 1 if there is no picture or no subscriber.
    """
    notes = tune_process()
    parsed = parse_ros_arguments(_parser(), argv)
    if parsed is None:
        return 1
    arguments, options = parsed
    import rclpy

    stop = threading.Event()
    for note in notes:
        print(f'play_images: {note}', file=sys.stderr)
    with ExitStack() as stack:
        signals = SignalWatch(stop)
        stack.callback(signals.close)
        try:
            paths = picture_files(options.images)
            log = stack.enter_context(options.log.open('w')) if options.log else None
            start_ros(arguments)
            stack.callback(rclpy.try_shutdown)
            node = rclpy.create_node('play_images')
            stack.callback(node.destroy_node)
            publisher = _create_publisher(node, options)
        except (OSError, DetectorError) as error:
            print(f'play_images: {error}', file=sys.stderr)
            return 1
        code = _play(node, publisher, paths, options, stop, log)
        signals.ignore()
        return code


def _play(
    node: Any,
    publisher: Any,
    paths: Sequence[Path],
    options: argparse.Namespace,
    stop: threading.Event,
    log: TextIO | None,
) -> int:
    """Publish one picture after the other; return the exit code."""
    if not _wait_for_subscriber(publisher, options.wait_for_subscriber, stop):
        print(
            f'play_images: no subscriber on {publisher.topic_name} within '
            f'{options.wait_for_subscriber:g} s',
            file=sys.stderr,
        )
        return 1
    published = 0
    next_s = _next_time(0.0, options)
    for path, message in _messages(paths, options):
        # Reading a picture for the first time is part of the period.
        if stop.wait(max(0.0, next_s - time.monotonic())):
            break
        now = node.get_clock().now()
        message.header.stamp = now.to_msg()
        begun_s = time.monotonic()
        publisher.publish(message)
        published += 1
        if log is not None:
            publish_ms = round((time.monotonic() - begun_s) * 1e3, 3)
            values = {'stamp_ns': now.nanoseconds, 'file': str(path), 'publish_ms': publish_ms}
            log.write(json.dumps(values) + '\n')
            log.flush()
        next_s = _next_time(next_s, options)
    # Shutting down at once would discard the last message before a reader has copied it.
    stop.wait(0.5)
    if options.json != Path('-'):
        print(f'published {published} images on {publisher.topic_name}')
    report = {'published': published, 'topic': publisher.topic_name}
    code = write_result('play_images', options.json, report)
    return code if published or stop.is_set() else 1


def _next_time(last_s: float, options: argparse.Namespace) -> float:
    """
    Return the time to publish the next image, as time.monotonic().

    No burst follows a delay: a camera does not send one.
    """
    period_s = 1 / options.rate
    now_s = time.monotonic()
    if last_s + period_s > now_s:
        return float(last_s + period_s)
    return now_s + (-time.time() % period_s if options.synchronized else 0.0)


def _messages(paths: Sequence[Path], options: argparse.Namespace) -> Iterator[tuple[Path, Any]]:
    """Yield pictures and their messages; each file is read once."""
    made: dict[Path, Any] = {}
    total = options.count or (None if options.loop else len(paths))
    for path in itertools.islice(itertools.cycle(paths), total):
        if path not in made:
            try:
                made[path] = _make_message(path, options)
            except ImageError as error:
                print(f'play_images: {error}', file=sys.stderr)
                made[path] = None
                if len(made) == len(paths) and not any(made.values()):
                    return
        if made[path] is not None:
            yield path, made[path]


def _make_message(path: Path, options: argparse.Namespace) -> Any:
    """
    Return the message for one file.

    :raises ImageError: if it cannot be read.
    """
    import array

    from sensor_msgs.msg import CompressedImage
    from sensor_msgs.msg import Image as ImageMessage

    if options.compressed:
        data, kind = _compressed_bytes(path)
        message = CompressedImage(format=kind, data=array.array('B', data))
    else:
        picture = encode_picture(Image.from_file(path).to_bgr(), options.encoding)
        message = ImageMessage(
            width=picture.width,
            height=picture.height,
            encoding=picture.encoding,
            step=picture.step,
            data=array.array('B', picture.data),
        )
    message.header.frame_id = options.frame_id
    return message


def _compressed_bytes(path: Path) -> tuple[bytes, str]:
    """Return a JPEG or PNG file unchanged, any other as JPEG; and the name of the format."""
    kind = _FORMATS.get(path.suffix.lower())
    if kind is not None:
        return path.read_bytes(), kind
    encoded = cv2.imencode('.jpg', Image.from_file(path).to_bgr())[1]
    return encoded.tobytes(), 'jpeg'


def _create_publisher(node: Any, options: argparse.Namespace) -> Any:
    """
    Create the publisher, best effort as camera drivers are.

    :raises ConfigError: if the name of the topic is invalid.
    """
    from rclpy.exceptions import InvalidTopicNameException
    from rclpy.qos import QoSProfile, ReliabilityPolicy
    from sensor_msgs.msg import CompressedImage
    from sensor_msgs.msg import Image as ImageMessage

    reliable = ReliabilityPolicy.RELIABLE if options.reliable else ReliabilityPolicy.BEST_EFFORT
    topic = options.topic
    if options.compressed and not topic.endswith('/compressed'):
        topic += '/compressed'
    kind = CompressedImage if options.compressed else ImageMessage
    try:
        return node.create_publisher(kind, topic, QoSProfile(depth=1, reliability=reliable))
    except InvalidTopicNameException as error:
        raise ConfigError(f'--topic {topic!r} is not the name of a topic: {error}') from error


def _wait_for_subscriber(publisher: Any, timeout_s: float | None, stop: threading.Event) -> bool:
    """Return whether there is a subscriber in time; True at once without a timeout."""
    if timeout_s is None:
        return True
    deadline_s = time.monotonic() + timeout_s
    while publisher.get_subscription_count() == 0:
        if time.monotonic() > deadline_s:
            return False
        if stop.wait(0.05):
            return True
    # The subscriber discovers this publisher at about the same time or later.
    stop.wait(0.5)
    return True


def _parser() -> argparse.ArgumentParser:
    """Return the command line."""
    parser = make_parser(
        'play_images',
        f'{__doc__} It needs ROS 2; ROS arguments follow --ros-args.',
        examples=[
            '--images pictures/ --loop',
            '--images pictures/ --topic /camera/image_raw --rate 30 --encoding nv12',
        ],
        exit_codes={
            0: 'all pictures were published, or SIGINT',
            1: 'no picture, or no subscriber',
        },
        needs_ros=True,
    )
    parser.add_argument(
        '--images', required=True, nargs='+', type=Path, help='folders, or picture files'
    )
    parser.add_argument('--topic', default='image_raw', help='topic. Default: %(default)s.')
    parser.add_argument(
        '--rate', type=_positive, default=5.0, help='images per second. Default: 5.'
    )
    parser.add_argument(
        '--count', type=int, help='total number of images to publish, repeating the pictures'
    )
    parser.add_argument('--loop', action='store_true', help='repeat until stopped')
    parser.add_argument('--encoding', choices=ENCODINGS, default='bgr8', help='Default: bgr8.')
    parser.add_argument(
        '--compressed', action='store_true', help='publish CompressedImage on TOPIC/compressed'
    )
    parser.add_argument('--frame-id', default='camera', help='frame_id. Default: camera.')
    parser.add_argument('--reliable', action='store_true', help='reliable instead of best effort')
    parser.add_argument(
        '--wait-for-subscriber',
        type=_positive,
        metavar='S',
        help='wait up to S seconds for a subscriber',
    )
    parser.add_argument(
        '--synchronized',
        action='store_true',
        help='publish at whole multiples of the period, so that several cameras send together',
    )
    parser.add_argument(
        '--log',
        type=Path,
        metavar='FILE',
        help='write stamp, file and duration of publishing of each image as JSON lines',
    )
    add_json_option(parser)
    return parser


def _positive(text: str) -> float:
    """Return a number above zero."""
    value = float(text)
    if not value > 0:
        raise argparse.ArgumentTypeError(f'{text} is not above 0')
    return value


if __name__ == '__main__':
    sys.exit(main())
