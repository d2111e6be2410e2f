# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Start and outcome of the inferences of a session."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
import time

from ...errors import DeviceLostError
from ...pipeline import Detector

__all__ = ['InferenceWatch']

# Both have to be exceeded: at 30 images per second ten failures may be a short lack of memory.
MAX_FAILURES = 10
MAX_FAILING_S = 2.0


class InferenceWatch:
    """
    Record of the inferences of a session.

    The inference thread writes it; any thread may read :meth:`get_running_s`,
    :meth:`describe_failure` and :attr:`device_lost`.
    """

    def __init__(self) -> None:
        self._started_s: float | None = None
        self._failures = 0
        self._failing_since_s = 0.0
        self._last_error = ''
        self.device_lost = False

    @contextmanager
    def running(self, detector: Detector, count: int) -> Iterator[None]:
        """
        Time a call of the detector, unless it is the first of its kind.

        The first run at an input size and number of images may compile kernels for minutes.

        :param count: number of images in the batch.
        """
        self._started_s = time.monotonic() if detector.has_run(count) else None
        try:
            yield
        finally:
            self._started_s = None

    def get_running_s(self) -> float:
        """Get the time since the call in progress began; 0 if there is none."""
        started_s = self._started_s
        return 0.0 if started_s is None else time.monotonic() - started_s

    def note_success(self) -> None:
        """Forget the failures before."""
        self._failures = 0

    def note_failure(self, error: Exception) -> None:
        """Count an inference that failed."""
        if not self._failures:
            self._failing_since_s = time.monotonic()
        self._last_error = f'{type(error).__name__}: {error}'
        self._failures += 1
        self.device_lost |= isinstance(error, DeviceLostError)

    def describe_failure(self) -> str:
        """
        Describe why inference is to be given up; '' if it is not.

        That is after a sticky error of the device, or if the last ten inferences and all of the
        last two seconds have failed. Images that cannot be read do not count.
        """
        failures = self._failures
        if self.device_lost:
            return self._last_error
        failing_s = time.monotonic() - self._failing_since_s
        if failures < MAX_FAILURES or failing_s < MAX_FAILING_S:
            return ''
        return f'the last {failures} inferences failed: {self._last_error}'
