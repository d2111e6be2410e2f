# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Settings that all measurements have in common, and waiting that a signal interrupts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
import threading
import time

from .child_process import BenchmarkError, ChildProcess
from .listener import Listener

__all__ = ['Setup']


@dataclass(frozen=True, slots=True)
class Setup:
    """
    Settings that all measurements have in common.

    :param listener: running.
    :param stop: set to interrupt.
    :param folder: for logs and settings.
    :param pictures: file per size of the images.
    :param seconds: duration of a measurement.
    :param warm_up_s: time before it, with images.
    :param start_timeout_s: maximum time until a node publishes, with the build of an engine.
    :param camera_options: options of play_images.
    :param cores: cores of the nodes and of the bare model; empty for all.
    """

    listener: Listener
    stop: threading.Event
    folder: Path
    pictures: dict[tuple[int, int], Path]
    seconds: float
    warm_up_s: float
    start_timeout_s: float
    camera_options: tuple[str, ...]
    cores: tuple[int, ...] = ()

    @property
    def is_compressed(self) -> bool:
        """Tell whether the images are compressed."""
        return '--compressed' in self.camera_options

    @property
    def is_reliable(self) -> bool:
        """Tell whether the cameras publish reliable."""
        return '--reliable' in self.camera_options

    def sleep(self, seconds: float) -> None:
        """
        Wait.

        :raises KeyboardInterrupt: when the event is set.
        """
        if self.stop.wait(seconds):
            raise KeyboardInterrupt

    def wait_for(
        self,
        condition: Callable[[], bool],
        timeout_s: float,
        describe: Callable[[], str],
        processes: Sequence[ChildProcess],
    ) -> None:
        """
        Wait for a condition.

        :param describe: returns what is missing, for the error.
        :raises BenchmarkError: if it is not met in time, a process ends, or a detector fails.
        """
        deadline_s = time.monotonic() + timeout_s
        while not condition():
            for process in processes:
                process.check()
            if failure := self.listener.find_failure():
                raise BenchmarkError(f'{failure}; {processes[0].describe_log()}')
            if time.monotonic() > deadline_s:
                log = processes[0].describe_log()
                raise BenchmarkError(f'{describe()} within {timeout_s:g} s; {log}')
            self.sleep(0.05)
