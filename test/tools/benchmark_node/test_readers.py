# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Reading of a page while a node is measured."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
import threading
import time

import pytest
from trt_detector.tools.benchmark_node import readers
from trt_detector.tools.benchmark_node.child_process import BenchmarkError, Memory
from trt_detector.tools.benchmark_node.figures import Window
from trt_detector.tools.benchmark_node.measure import _count_read
from trt_detector.tools.benchmark_node.readers import read_pages


class _Page(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'figures')

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@contextmanager
def page() -> Iterator[str]:
    """Serve a page; provide its URL."""
    with HTTPServer(('127.0.0.1', 0), _Page) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f'http://127.0.0.1:{server.server_port}/metrics'
        finally:
            server.shutdown()
            thread.join()


def test_page_is_read_again_and_again_and_a_missing_one_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(readers, '_PERIOD_S', 0.01)
    missing = 'http://127.0.0.1:1/metrics'
    with page() as url, read_pages([url, missing]) as arrivals:
        deadline_s = time.monotonic() + 10
        while len(arrivals[url]) < 3 and time.monotonic() < deadline_s:
            time.sleep(0.01)
    assert len(arrivals[url]) >= 3
    assert arrivals[url] == sorted(arrivals[url])
    assert arrivals[missing] == []


def test_reads_of_the_measurement_are_counted_and_none_is_an_error() -> None:
    window = Window(100, 200, 0.0, 0.0, 0.0, Memory(1.0, 1.0, 1.0))
    assert _count_read(window, {}) == {}
    assert _count_read(window, {'/a': [99, 100, 150, 200]}) == {'read': {'/a': 2}}
    with pytest.raises(BenchmarkError, match='nothing arrived from /b.*check that'):
        _count_read(window, {'/a': [150], '/b': [99, 200]})
