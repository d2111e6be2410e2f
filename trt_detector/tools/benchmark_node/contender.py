# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Nodes that are measured side by side: their commands and topics."""

from __future__ import annotations

from dataclasses import dataclass, field
import json
from pathlib import Path
import shlex
import shutil
from typing import Any

from ...errors import ConfigError
from .child_process import python_command

__all__ = [
    'Bare', 'Camera', 'Case', 'check_command', 'Command', 'Contender', 'DetectorNodes',
    'list_cameras', 'OtherNode',
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Case:
    """
    Load that is put on a node.

    :param size_wh: width and height of the images in pixels.
    :param rate_hz: images per second of each camera.
    :param cameras: number of cameras.
    """

    size_wh: tuple[int, int]
    rate_hz: float
    cameras: int

    def to_json(self) -> dict[str, Any]:
        """Return the values for the report."""
        size = '{}x{}'.format(*self.size_wh)
        return {'size': size, 'rate_hz': self.rate_hz, 'cameras': self.cameras}

    def __str__(self) -> str:
        width, height = self.size_wh
        return f'{width}x{height}, {self.rate_hz:g} Hz, cameras: {self.cameras}'


@dataclass(frozen=True, slots=True)
class Camera:
    """
    Topics of one camera.

    :param name: namespace of the topics.
    """

    name: str

    @property
    def image_topic(self) -> str:
        """Topic of its images, without the suffix of the transport."""
        return f'/{self.name}/image_raw'


def list_cameras(number: int) -> tuple[Camera, ...]:
    """Name a number of cameras."""
    return tuple(Camera(f'camera_{index}') for index in range(number))


@dataclass(frozen=True, slots=True)
class Command:
    """
    Processes of a contender.

    :param commands: one per process.
    :param topics: topic of the detections of each camera; empty if there are none.
    :param subscribed: other topics that get a subscriber.
    :param pages: URLs that are read once per second.
    """

    commands: tuple[tuple[str, ...], ...]
    topics: tuple[str, ...]
    subscribed: tuple[str, ...] = ()
    pages: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DetectorNodes:
    """
    Detector nodes of this package.

    :param name: for the report.
    :param parameters: of each node.
    :param nodes: number of nodes, each in a process of its own; they share the cameras.
    :param readers: topics of the nodes as ~/NAME, which get a subscriber, and URLs of pages that
        are read.
    """

    name: str
    parameters: dict[str, Any]
    nodes: int = 1
    readers: tuple[str, ...] = ()

    def prepare(self, case: Case, folder: Path) -> Command:
        """Write the parameter files and return the commands."""
        cameras = list_cameras(case.cameras)
        commands, topics = [], dict.fromkeys(cameras, '')
        subscribed: list[str] = []
        private = [each.removeprefix('~') for each in self.readers if each.startswith('~/')]
        for number in range(self.nodes):
            own = cameras[number :: self.nodes]
            name = 'detector' if self.nodes == 1 else f'detector_{number}'
            values = self.parameters | {'image_topics': [each.image_topic for each in own]}
            file = folder / f'{name}.yaml'
            # JSON is YAML.
            text = json.dumps({'/**': {'ros__parameters': values}})
            file.write_text(text, encoding='utf-8')
            arguments = ('--ros-args', '-r', f'__node:={name}', '--params-file', file)
            commands.append(tuple(python_command('ros.main', *arguments)))
            for camera in own:
                space = name if len(own) == 1 else camera.name
                topics[camera] = f'/{space}/detections'
                subscribed += [f'/{space}{each}' for each in private]
        pages = [each for each in self.readers if not each.startswith('~/')]
        return Command(tuple(commands), tuple(topics.values()), tuple(subscribed), tuple(pages))


@dataclass(frozen=True, slots=True)
class OtherNode:
    """
    Command of the user.

    :param name: for the report.
    :param command: with {image} for the image topic, {images} for all as a list and {camera} for
        the name of the camera; with {image} or {camera} it is started once per camera.
    :param topic: topic of its messages; {camera} is the name of the camera.
    :param parameters: none.
    """

    name: str
    command: str
    topic: str
    parameters: dict[str, Any] = field(default_factory=dict)

    def prepare(self, case: Case, folder: Path) -> Command:  # noqa: ARG002 as the others
        """Fill in the topics."""
        cameras = list_cameras(case.cameras)
        images = json.dumps([camera.image_topic for camera in cameras], separators=(',', ':'))
        words = shlex.split(self.command)
        commands = dict.fromkeys(
            tuple(_fill(word, camera, images) for word in words) for camera in cameras
        )
        topics = tuple(_fill(self.topic, camera, images) for camera in cameras)
        return Command(tuple(commands), topics)


@dataclass(frozen=True, slots=True)
class Bare:
    """
    Network of the detector in a loop, without ROS.

    :param name: for the report.
    :param parameters: of the detector.
    :param picture: image that may choose the input size.
    :param paced: at the rate of the cameras, not back to back.
    """

    name: str
    parameters: dict[str, Any]
    picture: Path
    paced: bool

    def prepare(self, case: Case, folder: Path) -> Command:
        """Write the settings and return the command."""
        topics = [camera.image_topic for camera in list_cameras(case.cameras)]
        settings = {
            'parameters': self.parameters | {'image_topics': topics},
            'picture': str(self.picture),
            'rate_hz': case.rate_hz * case.cameras if self.paced else 0.0,
        }
        file = folder / 'bare.json'
        file.write_text(json.dumps(settings), encoding='utf-8')
        command = python_command('tools.benchmark_node.bare', file, self.result(folder))
        return Command((tuple(command),), ())

    def result(self, folder: Path) -> Path:
        """Return the file of the result."""
        return folder / 'bare_result.json'


Contender = DetectorNodes | OtherNode | Bare


def check_command(command: str) -> None:
    """
    Refuse a command that cannot be started.

    :raises ConfigError: with the reason.
    """
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise ConfigError(f'--against {command!r}: {error}') from error
    if not words or shutil.which(words[0]) is None:
        program = words[0] if words else ''
        raise ConfigError(
            f'--against {command!r}: there is no program {program!r}; the command runs without a '
            'shell, use bash -c or env for more'
        )


def _fill(text: str, camera: Camera, images: str) -> str:
    """Replace the names of the camera and its topic, and the list of all topics."""
    for name, value in (
        ('{images}', images), ('{image}', camera.image_topic), ('{camera}', camera.name),
    ):  # fmt: skip
        text = text.replace(name, value)
    return text
