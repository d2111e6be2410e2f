# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Dashboard in a process of its own, and a real browser to look at it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
import json
import os
from pathlib import Path
import shutil
import signal
import subprocess
import sys
import time
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
START_S = 60.0

pytest.importorskip(
    'nicegui', reason='NiceGUI is missing: pip install -r bringup/requirements/dashboard.txt'
)
sync_api = pytest.importorskip(
    'playwright.sync_api', reason='Playwright is missing: pip install playwright'
)


@contextmanager
def dashboard_process(folder: Path, domain: int) -> Iterator[str]:
    """Run the dashboard; provide its URL."""
    report = folder / 'dashboard.json'
    process = subprocess.Popen(
        [sys.executable, '-m', 'trt_detector', 'dashboard', '--port', '0', '--json', str(report)],
        cwd=ROOT,
        env={**os.environ, 'ROS_DOMAIN_ID': str(domain)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        deadline_s = time.monotonic() + START_S
        while not report.is_file():
            if process.poll() is not None or time.monotonic() > deadline_s:
                process.kill()
                pytest.fail(f'the dashboard did not start: {process.communicate()[0]}')
            time.sleep(0.05)
        yield str(json.loads(report.read_text(encoding='utf-8'))['url'])
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        output = process.communicate(timeout=30)[0]
        print(output)
    assert process.returncode == 0
    assert 'Traceback' not in output


@contextmanager
def chromium() -> Iterator[Any]:
    """Start a browser without a window."""
    program = next(filter(None, map(shutil.which, ('chromium', 'google-chrome'))), None)
    if program is None:
        pytest.skip('Chromium is missing: sudo apt install chromium')
    with sync_api.sync_playwright() as driver:
        # Root, as in a container, has no sandbox.
        browser = driver.chromium.launch(executable_path=program, args=['--no-sandbox'])
        try:
            yield browser
        finally:
            browser.close()
