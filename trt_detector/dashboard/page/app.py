# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Web application of the dashboard."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
import time

import fastapi
from nicegui import ui
from starlette.concurrency import run_in_threadpool

from ..frames import Frame, shrink_jpeg
from .origin_check import OriginCheck
from .page import DashboardPage
from .source import Source

__all__ = ['create_app']

_FOLDER = Path(__file__).parent
_TITLE = 'trt_detector'


def create_app(source: Source, names: Iterable[str]) -> OriginCheck:
    """
    Create the application; once per process, because NiceGUI keeps the pages of the process.

    :param source: watches the nodes.
    :param names: host names under which this machine is opened, beside IP addresses.
    """
    app = fastapi.FastAPI(title=_TITLE, docs_url=None, redoc_url=None, openapi_url=None)
    style = (_FOLDER / 'dashboard.css').read_text(encoding='utf-8')
    script = (_FOLDER / 'dashboard.js').read_text(encoding='utf-8')

    async def frame(topic: str, after: int = 0) -> fastapi.Response:
        if not source.has_picture(topic):
            return fastapi.Response(status_code=404)
        found = source.frames.ask(topic, after, time.monotonic())
        if found is None:
            return fastapi.Response(status_code=204)
        jpeg = await run_in_threadpool(shrink_jpeg, found.jpeg)
        if jpeg is not found.jpeg:
            source.frames.replace(topic, found, Frame(found.number, jpeg))
        headers = {'X-Number': str(found.number), 'Cache-Control': 'no-store'}
        return fastapi.Response(jpeg, media_type='image/jpeg', headers=headers)

    def page(node: str = '') -> None:
        ui.add_head_html(f'<style>{style}</style><script>{script}</script>')
        DashboardPage(source, node).build()

    app.add_api_route('/frame', frame)
    ui.page('/')(page)
    ui.run_with(
        app,
        title=_TITLE,
        favicon=_FOLDER / 'icon.svg',
        dark=None,
        tailwind=False,
        show_welcome_message=False,
    )
    return OriginCheck(app, names)
