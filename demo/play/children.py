# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Processes of the demo: a camera and the detector node."""

from __future__ import annotations

from collections.abc import Sequence
import json
from pathlib import Path
import signal
import subprocess
import sys
from typing import Any

from trt_detector.errors import DetectorError

__all__ = [
    'ChildProcess',
    'DemoError',
    'NAMESPACE',
    'start_camera',
    'start_dashboard',
    'start_node',
]

NAMESPACE = '/demo'
_STOP_TIMEOUT_S = 15.0


class DemoError(DetectorError):
    """Error that ends the demo; the message names the cause."""


class ChildProcess:
    """
    Python module in a process of its own, stopped when the context ends.

    :param module: name of the module.
    :param arguments: its command line.
    """

    def __init__(self, module: str, arguments: Sequence[str]) -> None:
        self._module = module
        # In a session of its own: Ctrl-C reaches only this process, which stops the others.
        self._process = subprocess.Popen(
            [sys.executable, '-m', module, *arguments],
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )

    def __enter__(self) -> ChildProcess:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """Return the process id."""
        return self._process.pid

    def is_running(self) -> bool:
        return self._process.poll() is None

    def check(self) -> None:
        """
        Raise an error if the process has ended.

        :raises DemoError: with its exit code.
        """
        code = self._process.poll()
        if code is not None:
            raise DemoError(f'{self._module} ended with code {code}; its last lines say why')

    def stop(self) -> None:
        """Send SIGINT, and SIGKILL if the process is still there after a timeout."""
        if self.is_running():
            self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def start_camera(pictures: Path, log: Path, rate_hz: float, frames: int | None) -> ChildProcess:
    """
    Start a camera process that publishes image files.

    :param pictures: folder with the image files.
    :param log: JSON lines file that gets stamp and file name of each image.
    :param rate_hz: images per second.
    :param frames: number of images to publish; None publishes until it is stopped.
    """
    amount = ['--loop'] if frames is None else ['--count', str(frames)]
    arguments = ['--images', str(pictures), '--rate', str(rate_hz), '--log', str(log), *amount]
    arguments += [
        '--wait-for-subscriber',
        '60',
        '--reliable',
        '--ros-args',
        '-r',
        f'__ns:={NAMESPACE}',
    ]
    return ChildProcess('trt_detector', ['play_images', *arguments])


def start_dashboard() -> ChildProcess:
    """Start the dashboard; it prints its address."""
    return ChildProcess('trt_detector.tools.dashboard', [])


def start_node(folder: Path, parameters: dict[str, Any], config: Path | None) -> ChildProcess:
    """
    Start the detector node, unconfigured.

    :param folder: folder for the parameter files.
    :param parameters: parameters of the node; the user's file takes precedence.
    :param config: parameter file of the user, None if there is none.
    """
    files = [_write_parameters(folder / 'parameters.yaml', parameters)]
    if config is not None:
        files.append(config)
    # The demo drives this node itself, with this camera.
    forced = {'autostart': False, 'image_topics': ['image_raw'], 'image_transport': 'raw'}
    files.append(_write_parameters(folder / 'forced.yaml', forced))
    arguments = ['--ros-args', '-r', f'__ns:={NAMESPACE}', '-r', '__node:=detector']
    for file in files:
        arguments += ['--params-file', str(file)]
    return ChildProcess('trt_detector.ros.main', arguments)


def _write_parameters(path: Path, parameters: dict[str, Any]) -> Path:
    """Write a parameter file; JSON is YAML."""
    path.write_text(json.dumps({'/**': {'ros__parameters': parameters}}), encoding='utf-8')
    return path
