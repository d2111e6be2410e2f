# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Read bags of ROS 2, mcap and sqlite3."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice, pairwise
from pathlib import Path
from statistics import median
from typing import Any

from ...errors import BagError, ImageError
from ...values.user_path import expand_user
from .definitions import IMAGE_TYPES, load_rosbags, make_typestore, VIDEO_TYPES
from .storage_files import find_storage_files, get_remedy

__all__ = ['BagMessage', 'BagReader', 'BagTopic', 'list_topics']

_RATE_SAMPLE = 100


@dataclass(frozen=True, slots=True)
class BagTopic:
    """
    Topic of a bag.

    :param name: of the topic.
    :param type: of its messages, e.g. 'sensor_msgs/msg/Image'.
    :param count: messages that the bag declares.
    """

    name: str
    type: str
    count: int


@dataclass(frozen=True, slots=True, eq=False)
class BagMessage:
    """
    Message of a bag, serialized.

    :param topic: its topic.
    :param type: its type.
    :param time_ns: the time that the bag was recorded with, in nanoseconds.
    :param data: CDR.
    """

    topic: str
    type: str
    time_ns: int
    data: bytes


class BagReader:
    """
    A bag: a folder with metadata.yaml, a folder of storage files without one, or a storage file.

    :param path: folder or file.
    :raises BagError: if it cannot be read, with the remedy.
    """

    def __init__(self, path: Path) -> None:
        self.path = expand_user(path)
        load_rosbags()
        from rosbags.rosbag2 import Reader

        self.files = find_storage_files(self.path)
        self._undo = ExitStack()
        self._readers: list[Any] = []
        try:
            for file in self._readable():
                reader = Reader(file)
                self._undo.enter_context(reader)
                self._readers.append(reader)
        except Exception as error:
            self._undo.close()
            raise BagError(
                f'--bag {self.path} cannot be read: {_describe(error)}{get_remedy(self.files)}'
            ) from error
        images = [c for c in self.connections if c.msgtype in IMAGE_TYPES | VIDEO_TYPES]
        self._typestore = make_typestore({c.msgtype: c.msgdef for c in images}.items())

    @property
    def connections(self) -> list[Any]:
        """Return the connections (rosbags.interfaces.Connection) of all storage files."""
        return [connection for reader in self._readers for connection in reader.connections]

    @property
    def storage(self) -> str:
        """Return the storage plugin: 'mcap' or 'sqlite3'."""
        return 'sqlite3' if any('.db3' in file.suffixes for file in self.files) else 'mcap'

    @property
    def duration_s(self) -> float:
        """Return the time from the first to the last message in seconds."""
        full = [reader for reader in self._readers if reader.message_count]
        if not full:
            return 0.0
        begin = min(reader.start_time for reader in full)
        return float(max(reader.end_time for reader in full) - begin) / 1e9

    @property
    def topics(self) -> tuple[BagTopic, ...]:
        """Return the topics, sorted by name; one with messages of two types is there twice."""
        counts: dict[tuple[str, str], int] = {}
        for connection in self.connections:
            key = (connection.topic, connection.msgtype)
            counts[key] = counts.get(key, 0) + connection.msgcount
        return tuple(BagTopic(*key, count) for key, count in sorted(counts.items()))

    def select_images(
        self, names: Collection[str], types: Collection[str] = IMAGE_TYPES
    ) -> tuple[BagTopic, ...]:
        """
        Select image topics.

        :param names: of the topics; empty selects all of them.
        :param types: of the messages.
        :raises BagError: if a topic has no images, or none is left; it lists those that have.
        """
        images = [topic for topic in self.topics if topic.type in types]
        missing = set(names) - {topic.name for topic in images}
        if missing or not images:
            wanted = ', '.join(sorted(missing)) or 'any topic'
            raise BagError(
                f'--bag {self.path}: no images on {wanted}; its image topics: '
                f'{list_topics(images)}'
            )
        return tuple(topic for topic in images if not names or topic.name in names)

    def read(self, topics: Collection[str]) -> Iterator[BagMessage]:
        """
        Yield the messages of some topics in the order of the bag.

        :raises BagError: if the bag is damaged.
        """
        number = 0
        for reader in self._readers:
            connections = [c for c in reader.connections if c.topic in topics]
            messages = iter(reader.messages(connections) if connections else ())
            while True:
                try:
                    connection, time_ns, data = next(messages)
                except StopIteration:
                    break
                except Exception as error:
                    raise BagError(
                        f'--bag {self.path} is damaged behind its message {number} of '
                        f'{", ".join(sorted(topics))}: {_describe(error)}'
                        f'{get_remedy(self.files)}'
                    ) from error
                number += 1
                yield BagMessage(connection.topic, connection.msgtype, time_ns, data)

    def deserialize(self, message: BagMessage) -> Any:
        """
        Deserialize a message of an image or video; any thread may call it.

        :raises ImageError: if its bytes are no such message.
        """
        try:
            return self._typestore.deserialize_cdr(message.data, message.type)
        except Exception as error:
            raise ImageError(
                f'{len(message.data)} bytes are not a {message.type}: '
                f'{type(error).__name__}: {error}'
            ) from error

    def find_rate_hz(self, topic: str) -> float:
        """Find the usual rate of a topic from its first messages; 0 if there are too few."""
        times_ns = [message.time_ns for message in islice(self.read([topic]), _RATE_SAMPLE)]
        steps_ns = [after - before for before, after in pairwise(times_ns)]
        step_ns = median(steps_ns) if steps_ns else 0
        return 1e9 / step_ns if step_ns > 0 else 0.0

    def close(self) -> None:
        """Close the files; calling it again does nothing."""
        self._undo.close()

    def _readable(self) -> Sequence[Path]:
        """List the paths that rosbags opens: the folder if it has metadata, else each file."""
        if self.path.is_dir() and (self.path / 'metadata.yaml').is_file():
            return [self.path]
        return self.files


def list_topics(topics: Sequence[BagTopic]) -> str:
    """List topics for a message."""
    return ', '.join(f'{t.name} ({t.type}, {t.count})' for t in topics) or 'none'


def _describe(error: Exception) -> str:
    """Describe an error of rosbags, some of which have no text."""
    return f'{type(error).__name__}: {error}'
