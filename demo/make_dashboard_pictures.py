#!/usr/bin/env python3
# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""
Take docs/images/dashboard_*.webp: the dashboard of the demo, light, dark and on a phone.

Needs the environment of bringup/env.sh with NiceGUI and Playwright (bringup/prepare.sh --with
dashboard --with test), and Chromium.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager, ExitStack
import json
import os
from pathlib import Path
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import cv2
import numpy as np
from playwright.sync_api import Browser, sync_playwright

_ROOT = Path(__file__).resolve().parents[1]
# Name, theme, and size of the window in CSS pixels.
_SHOTS = (
    ('light', 'light', (1440, 900)),
    ('dark', 'dark', (1440, 900)),
    ('phone', 'light', (375, 812)),
)
_PHONE_WIDTH = 375
_START_S = 60.0
_QUALITY = 60


@contextmanager
def start(module: str, *arguments: str) -> Iterator[None]:
    """Run a module in a process of its own, and end it with SIGINT."""
    path = os.pathsep.join(filter(None, (str(_ROOT / 'demo'), os.environ.get('PYTHONPATH'))))
    process = subprocess.Popen(
        [sys.executable, '-m', module, *arguments],
        cwd=_ROOT,
        env={**os.environ, 'PYTHONPATH': path},
        stdout=subprocess.DEVNULL,
    )
    try:
        yield
    finally:
        process.send_signal(signal.SIGINT)
        process.wait()


def read_url(report: Path) -> str:
    """Wait for the file that the dashboard writes, and read its URL."""
    deadline_s = time.monotonic() + _START_S
    while not report.is_file():
        if time.monotonic() > deadline_s:
            raise SystemExit(f'the dashboard did not start within {_START_S:g} s')
        time.sleep(0.1)
    url: str = json.loads(report.read_text(encoding='utf-8'))['url']
    return url


def take(browser: Browser, url: str, theme: str, size_wh: tuple[int, int]) -> bytes:
    """Open the page, wait for its first picture, and take it; return PNG."""
    width, height = size_wh
    context = browser.new_context(
        viewport={'width': width, 'height': height},
        color_scheme='dark' if theme == 'dark' else 'light',
        device_scale_factor=2 if width <= _PHONE_WIDTH else 1,
    )
    page = context.new_page()
    page.goto(url)
    page.locator('img.live').first.wait_for(timeout=1000 * _START_S)
    page.wait_for_timeout(2000)
    # All of a wide page, and what a phone shows first.
    png = page.screenshot(full_page=width > _PHONE_WIDTH)
    context.close()
    return png


def main() -> None:
    """Run the demo and take the pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--output', type=Path, default=_ROOT / 'docs' / 'images', metavar='DIR')
    parser.add_argument(
        '--after', type=float, default=60.0, metavar='S',
        help='seconds after which the charts are full enough (%(default)s)',
    )  # fmt: skip
    options = parser.parse_args()
    program = next(filter(None, map(shutil.which, ('chromium', 'google-chrome'))), None)
    if program is None:
        raise SystemExit('Chromium is missing: sudo apt install chromium')
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        config = folder / 'parameters.yaml'
        config.write_text('/**: {ros__parameters: {score_threshold: 0.25}}\n', encoding='utf-8')
        report = folder / 'dashboard.json'
        dashboard = ('--port', '0', '--json', str(report))
        stack.enter_context(start('trt_detector.tools.dashboard', *dashboard))
        url = read_url(report)
        seconds = str(options.after + 600)
        stack.enter_context(start('play', '--seconds', seconds, '--config', str(config)))
        driver = stack.enter_context(sync_playwright())
        # Root, as in a container, has no sandbox.
        browser = driver.chromium.launch(executable_path=program, args=['--no-sandbox'])
        time.sleep(options.after)
        for name, theme, size_wh in _SHOTS:
            png = take(browser, url, theme, size_wh)
            image = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)
            path = options.output / f'dashboard_{name}.webp'
            cv2.imwrite(str(path), image, [cv2.IMWRITE_WEBP_QUALITY, _QUALITY])
            print(f'{path}: {image.shape[1]}x{image.shape[0]}, {path.stat().st_size} bytes')
        browser.close()


if __name__ == '__main__':
    main()
