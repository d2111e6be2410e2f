# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Parts of the page: texts of nodes are escaped, missing values are shown as such."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any

import pytest
from trt_detector.dashboard.page import fragments
from trt_detector.dashboard.views import (
    CameraView,
    LogLine,
    NodeView,
    Sample,
    StageView,
    Status,
)

ATTACK = '</p><script>alert("1")</script>\'"&é漢'
HOSTILE = NodeView(
    name=ATTACK,
    condition='alive',
    silent_s=0.0,
    state=ATTACK,
    statuses=(
        Status('detector', 'warn', ATTACK, {'model': ATTACK, 'device': ATTACK, ATTACK: ATTACK}),
        Status(ATTACK, 'error', ATTACK, {'a': ATTACK}),
    ),
    cameras=(CameraView(ATTACK, '', 'warn', ATTACK, 1.0, 1.0, 0.5, 0),),
    stages=(StageView(ATTACK, 1.0, 2.0),),
    log=(LogLine(0.0, 'error', ATTACK),),
)


class Collector(HTMLParser):
    """Collects tags, attributes and text of HTML."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: list[str] = []
        self.text = ''

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.add(tag)
        self.attributes += [value or '' for _, value in attrs]

    def handle_data(self, data: str) -> None:
        self.text += data


def parse(html: str) -> Collector:
    """Parse HTML as a browser does."""
    collector = Collector()
    collector.feed(html)
    collector.close()
    return collector


@pytest.mark.parametrize(
    'html',
    [
        fragments.write_state(HOSTILE),
        fragments.write_subtitle(HOSTILE),
        fragments.write_banner(HOSTILE),
        fragments.write_camera(HOSTILE.cameras[0]),
        fragments.write_stages(HOSTILE),
        fragments.write_diagnostics(HOSTILE),
        fragments.write_log(HOSTILE.log),
        fragments.write_figures(HOSTILE),
        fragments.write_nothing(0, ATTACK),
    ],
)
def test_texts_of_nodes_are_shown_as_they_are_and_never_as_html(html: str) -> None:
    found = parse(html)
    assert 'script' not in found.tags
    # The subtitle shows the file name of the model only.
    assert ATTACK in found.text or ATTACK.rpartition('/')[2] in found.text


def view(**fields: Any) -> NodeView:
    """Create the view of an active node."""
    values = {'name': '/n', 'condition': 'alive', 'silent_s': 0.0, 'state': 'active', **fields}
    return NodeView(**values)


def test_a_dead_node_is_called_so() -> None:
    dead = view(condition='dead', silent_s=7.2)
    assert 'not responding' in fragments.write_state(dead)
    assert '/n does not respond' in fragments.write_banner(dead)
    assert '7 s ago' in fragments.write_banner(dead)


def test_a_fine_node_has_no_banner() -> None:
    status = Status('detector', 'ok', 'active', {'state': 'active'})
    assert fragments.write_banner(view(statuses=(status,))) == ''


def test_figures_add_up_over_cameras() -> None:
    cameras = (
        CameraView('/a', '', 'ok', '', 10.0, 8.0, 0.2, 1),
        CameraView('/b', '', 'ok', '', 30.0, 30.0, 0.0, 2),
    )
    sample = Sample(0.0, 12.34, 45.6, 40.0, 38.0, 2.0)
    text = parse(fragments.write_figures(view(cameras=cameras, samples=(sample,)))).text
    assert '38.0per s40.0 per s received' in text
    # 2 of 40 images.
    assert 'Dropped5%3 lost in transit' in text
    assert '12.3msp99 45.6 ms' in text


def test_temperature_and_memory_of_the_gpu_are_shown() -> None:
    values = {
        'temperature C': '61', 'GPU load %': '97', 'power W': '14.6',
        'memory used MiB': '1536', 'memory total MiB': '7680',
    }  # fmt: skip
    text = parse(
        fragments.write_figures(view(statuses=(Status('device', 'ok', '', values),)))
    ).text
    assert 'Temperature61°C97 % load, 15 W' in text
    assert 'Memory1.5GiBof 7.5 GiB' in text
    without = parse(fragments.write_figures(view())).text
    assert 'Temperature' not in without


def test_the_progress_of_a_build_is_a_bar() -> None:
    status = Status('detector', 'ok', 'building: tactics 40% (12 s)', {'build percent': '40'})
    html = fragments.write_banner(view(state='configuring', statuses=(status,)))
    assert 'tactics 40%' in html
    assert 'width:40%' in parse(html).attributes


def test_the_newest_line_of_the_log_comes_first() -> None:
    lines = [LogLine(float(n), 'info', f'line {n}.') for n in range(3)]
    text = fragments.write_log(lines)
    assert text.index('line 2.') < text.index('line 1.') < text.index('line 0.')
