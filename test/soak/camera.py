# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""
Camera process of the soak test.

    python3 -m soak.camera TOPIC RELIABILITY RATE SEED

Commands are single letters on stdin, each answered by a line of JSON with the counts on stdout:
s streams, p pauses, m streams mixed images, n plain ones, o sends one plain image. It ends with
stdin.
"""

from __future__ import annotations

import json
import os
import select
import sys
import time
from typing import Any

import rclpy
from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CompressedImage, Image
from trt_detector.process.tuning import tune_process

from .images import ImageSource

__all__ = ['main']

_MALFORMED_SHARE = 0.2


class Camera:
    """
    Publisher of one image topic.

    :param topic: ends in /compressed for compressed images.
    :param reliability: 'reliable' or 'best_effort'.
    :param rate_hz: images per second.
    :param seed: of the images.
    """

    def __init__(self, topic: str, reliability: str, rate_hz: float, seed: str) -> None:
        compressed = topic.endswith('/compressed')
        self._source = ImageSource(compressed=compressed, seed=seed)
        self._node = rclpy.create_node('camera', namespace=topic.split('/')[1])
        qos = QoSProfile(
            history=HistoryPolicy.KEEP_LAST,
            depth=10,
            reliability=ReliabilityPolicy[reliability.upper()],
        )
        kind: Any = CompressedImage if compressed else Image
        self._publisher = self._node.create_publisher(kind, topic, qos)
        self._period_s = 1 / rate_hz
        self._next_s = time.monotonic()
        self._streams = self._mixed = False
        self.sent = self.malformed = 0

    def run(self) -> None:
        """Obey the commands until stdin ends."""
        while True:
            wait_s = max(0.0, self._next_s - time.monotonic()) if self._streams else None
            if select.select([0], [], [], wait_s)[0]:
                command = os.read(0, 1).decode()
                if not command:
                    return
                self._obey(command)
                print(json.dumps({'sent': self.sent, 'malformed': self.malformed}), flush=True)
            elif self._streams:
                self._next_s = max(self._next_s + self._period_s, time.monotonic())
                self._send(mixed=self._mixed)

    def _obey(self, command: str) -> None:
        """Execute a command."""
        if command == 'o':
            self._send(mixed=False)
        elif command in 'mn':
            self._mixed = command == 'm'
        else:
            self._streams = command == 's'
            self._next_s = time.monotonic()

    def _send(self, *, mixed: bool) -> None:
        """Publish an image."""
        malformed = False
        if mixed:
            message, malformed = self._source.make_mixed(_MALFORMED_SHARE)
        else:
            message = self._source.make_plain()
        message.header.stamp = self._node.get_clock().now().to_msg()
        self.sent += 1
        self.malformed += malformed
        self._publisher.publish(message)


def main() -> None:
    """Run a camera."""
    topic, reliability, rate, seed = sys.argv[1:]
    tune_process()
    rclpy.init(args=[])
    Camera(topic, reliability, float(rate), seed).run()
    rclpy.shutdown()


if __name__ == '__main__':
    main()
