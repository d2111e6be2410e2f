# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Reader of a web page, for what a node makes only while somebody reads it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, ExitStack
import threading
import time
from urllib.error import URLError
from urllib.request import build_opener, ProxyHandler

__all__ = ['read_pages']

_PERIOD_S = 1.0
_TIMEOUT_S = 5.0


@contextmanager
def read_pages(urls: Sequence[str]) -> Iterator[dict[str, list[int]]]:
    """
    Read each page once per second, in a thread per page.

    :return: the times in ns at which a page was complete, by its URL.
    """
    arrivals: dict[str, list[int]] = {url: [] for url in urls}
    stop = threading.Event()
    with ExitStack() as stack:
        for url, times in arrivals.items():
            thread = threading.Thread(target=_read, args=(url, times, stop))
            thread.start()
            stack.callback(thread.join)
        stack.callback(stop.set)
        yield arrivals


def _read(url: str, times: list[int], stop: threading.Event) -> None:
    """Thread main loop."""
    # The page is one of this machine.
    opener = build_opener(ProxyHandler({}))
    while not stop.wait(_PERIOD_S):
        try:
            with opener.open(url, timeout=_TIMEOUT_S) as page:
                page.read()
        except (URLError, OSError):  # counted: the time is missing
            continue
        times.append(time.time_ns())
