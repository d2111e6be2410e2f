# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Count the images that a camera published but the node did not receive."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
import threading
import time
from typing import Any

import numpy as np

__all__ = ['LossCounter']

_STAMPS = 64
_MINIMUM_STAMPS = 8
# A low percentile: the shortest spacing is that of the camera, however many images are missing.
_PERIOD_PERCENTILE = 10
# Spacings up to this multiple of it are one period.
_JITTER = 1.5
# Events count once no image has arrived for this time.
_SILENCE_S = 0.5


class LossCounter:
    """
    Lost images of one camera; thread-safe.

    The best source that the middleware offers is used:

    - sequence numbers of each publisher, which are exact between the first and the last received
      image (rclpy of Kilted and later with Fast DDS);
    - message_lost events of the middleware, as long as no image arrives;
    - gaps between header stamps, an estimate, if the images carry no sequence numbers.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last_numbers: dict[bytes, int] = {}
        self._has_numbers = False
        self._by_numbers = 0
        self._by_events = 0
        self._events_in_silence = 0
        self._received_s = 0.0
        self._by_stamps = 0
        self._last_stamp_ns = 0
        self._spacings_ns: deque[int] = deque(maxlen=_STAMPS)
        self._lost_at_last = 0
        self._lost_at_last_but_one = 0

    def add_image(self, info: Mapping[str, Any], stamp_ns: int) -> None:
        """
        Add a received image.

        :param info: message info of rclpy.
        :param stamp_ns: header stamp; any value is accepted.
        """
        number = info.get('publication_sequence_number')
        # Without the publisher, the numbers of several publishers cannot be told apart.
        source = info.get('publisher_gid')
        with self._lock:
            if number is None or source is None:
                self._add_stamp(stamp_ns)
            else:
                self._add_number(number, bytes(source['data']))
            self._lost_at_last_but_one = self._lost_at_last
            self._lost_at_last = self._count()

    def add_event(self, lost: int) -> None:
        """
        Add the count of a message_lost event.

        Fast DDS can report one image several times, so where sequence numbers count, events count
        only as long as no image arrives.
        """
        with self._lock:
            if not self._has_numbers:
                self._by_events += max(lost, 0)
            elif time.monotonic() - self._received_s > _SILENCE_S:
                self._events_in_silence += max(lost, 0)

    def restart(self) -> None:
        """Begin a new subscription: what was published in between is not lost."""
        with self._lock:
            self._by_events += self._events_in_silence
            self._events_in_silence = 0
            self._last_numbers.clear()
            self._last_stamp_ns = 0
            self._lost_at_last = self._lost_at_last_but_one = self._count()

    @property
    def lost(self) -> int:
        """Number of lost images."""
        with self._lock:
            return self._count()

    @property
    def lost_recently(self) -> int:
        """Number of images lost just before or after the last received one."""
        with self._lock:
            return self._count() - self._lost_at_last_but_one

    @property
    def method(self) -> str:
        """Source of the number: 'sequence numbers', 'events' or 'header stamps'."""
        with self._lock:
            if self._has_numbers:
                return 'sequence numbers'
            return 'events' if self._by_events else 'header stamps'

    def _count(self) -> int:
        """Count the lost images by the best source."""
        if self._has_numbers or self._by_events:
            return self._by_numbers + self._by_events + self._events_in_silence
        return self._by_stamps

    def _add_number(self, number: int, publisher: bytes) -> None:
        """Count how many images of a publisher are missing before this one."""
        self._has_numbers = True
        self._received_s = time.monotonic()
        last = self._last_numbers.get(publisher)
        if last is None:
            self._by_events += self._events_in_silence
        elif number > last:
            # It includes those that events reported in the meantime.
            self._by_numbers += number - last - 1
        self._events_in_silence = 0
        self._last_numbers[publisher] = number

    def _add_stamp(self, stamp_ns: int) -> None:
        """Estimate how many images are missing before this one."""
        spacing_ns, self._last_stamp_ns = stamp_ns - self._last_stamp_ns, stamp_ns
        if spacing_ns <= 0 or spacing_ns == stamp_ns:
            return
        self._spacings_ns.append(spacing_ns)
        if len(self._spacings_ns) >= _MINIMUM_STAMPS:
            spacings_ns = np.array(self._spacings_ns, np.float64)
            shortest_ns = np.percentile(spacings_ns, _PERIOD_PERCENTILE)
            period_ns = spacings_ns[spacings_ns < _JITTER * shortest_ns].mean()
            self._by_stamps += max(round(spacing_ns / period_ns) - 1, 0)
