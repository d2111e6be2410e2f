# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Live pictures of the cameras of a node."""

from __future__ import annotations

from html import escape
from typing import Any

from nicegui import ui

from ..views import NodeView
from . import fragments

__all__ = ['Pictures']


class Pictures:
    """
    One figure per camera.

    The pictures themselves are fetched by the script of the page, as fast as the browser shows
    them and only while they are visible.
    """

    def __init__(self) -> None:
        self._box = ui.element('div').classes('pictures')
        self._shown: tuple[Any, ...] = ()
        self._captions: list[Any] = []

    def update(self, view: NodeView) -> None:
        """Show the cameras of a node."""
        cameras = view.cameras
        message = _explain(view)
        shown = (view.name, tuple((each.topic, each.picture) for each in cameras), message)
        if shown != self._shown:
            self._shown = shown
            self._build(view, message)
        for caption, camera in zip(self._captions, cameras, strict=True):
            content = fragments.write_camera(camera)
            if caption.content != content:
                caption.set_content(content)

    def _build(self, view: NodeView, message: str) -> None:
        """Create the figures anew."""
        self._box.clear()
        self._captions = []
        count = len(view.cameras)
        size = 'one' if count < 2 else 'many' if count > 2 else ''
        self._box.classes(remove='one many').classes(add=size)
        with self._box:
            for camera in view.cameras:
                with ui.element('figure').classes('card'):
                    topic = '' if message else camera.picture
                    ui.html(_write_picture(topic, camera.topic, message), sanitize=False)
                    self._captions.append(
                        ui.html('', sanitize=False, tag='figcaption').classes('caption')
                    )
            if not view.cameras:
                with ui.element('figure').classes('card'):
                    ui.html(_write_picture('', '', message), sanitize=False)


def _write_picture(topic: str, camera: str, message: str) -> str:
    """Write the place of a picture, with a text until one arrives."""
    picture = f'<img data-picture="{escape(topic)}" alt="{escape(camera)}">' if topic else ''
    text = escape(message or 'Waiting for the first picture')
    return f'<div class="picture" tabindex="0"><p>{text}</p>{picture}</div>'


def _explain(view: NodeView) -> str:
    """Explain why there are no pictures; '' if there are."""
    if view.condition == 'dead':
        return 'No pictures: the node does not respond'
    if view.state != 'active':
        return f'No pictures while the node is {view.state}' if view.state else 'Waiting'
    if view.parameters.get('publish_debug_image') is False:
        return 'No pictures: publish_debug_image is off'
    return ''
