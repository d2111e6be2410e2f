# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Dashboard as a user sees it: a real node, a real server, a real browser."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
import http.client
import signal
from typing import Any
from urllib.parse import urlsplit

import pytest
from support.browser import chromium, dashboard_process, sync_api
from support.ros_graph import (
    CLASS_NAMES,
    node_process,
    ros_context,
    RunningNode,
    StubFactory,
    wait_until,
)
from trt_detector.errors import EngineError

pytestmark = pytest.mark.slow

PICTURES = '/detector/debug_image/compressed'
expect = sync_api.expect
# The machine that runs the tests may be busy.
expect.set_options(timeout=20_000)


@pytest.fixture(scope='module')
def factory() -> StubFactory:
    """Make the stand-in detectors of the node."""
    return StubFactory()


@pytest.fixture(scope='module')
def node(factory: StubFactory) -> Iterator[RunningNode]:
    """Run a node with a stand-in detector and a camera."""
    values = {'model_path': 'stub.onnx', 'diagnostics_period': 0.2}
    with ros_context() as context:
        running = RunningNode(context, factory, values)
        try:
            with running.images(period_s=0.05):
                yield running
        finally:
            running.close()


@pytest.fixture(scope='module')
def url(node: RunningNode, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run the dashboard in the domain of the node; provide its URL."""
    domain = node.node.context.get_domain_id()
    with dashboard_process(tmp_path_factory.mktemp('dashboard'), domain) as url:
        yield url


@pytest.fixture(scope='module')
def browser() -> Iterator[Any]:
    """Start a browser."""
    with chromium() as started:
        yield started


@contextmanager
def open_page(browser: Any, url: str) -> Iterator[Any]:
    """Open the page in a tab of its own; nothing in it may fail."""
    context = browser.new_context()
    page = context.new_page()
    errors: list[str] = []
    page.on('pageerror', lambda error: errors.append(str(error)))
    try:
        page.goto(url)
        yield page
    finally:
        context.close()
    assert errors == []


@pytest.fixture
def page(browser: Any, url: str, node: RunningNode) -> Iterator[Any]:
    """Open the page of the active node."""
    if node.get_state() == 'unconfigured':
        assert node.configure()
    if node.get_state() == 'inactive':
        assert node.activate()
    with open_page(browser, url) as page:
        yield page


def subscribers(node: RunningNode) -> int:
    """Count the subscribers of the debug images."""
    return int(node.client.count_subscribers(PICTURES))


def parameter(page: Any, name: str) -> Any:
    """Find the row of a parameter."""
    return page.locator(f'[data-parameter={name}]')


def test_pictures_arrive_while_a_page_is_open_and_nothing_comes_from_elsewhere(
    browser: Any, url: str, node: RunningNode, page: Any
) -> None:
    requested: list[str] = []
    page.on('request', lambda request: requested.append(request.url))
    page.reload()
    image = page.locator('img.live')
    expect(image).to_be_visible()
    assert image.evaluate('image => [image.naturalWidth, image.naturalHeight]') == [64, 48]
    first = image.get_attribute('src')
    wait_until(lambda: image.get_attribute('src') != first, 'another picture')
    own = urlsplit(url).netloc
    assert {urlsplit(u).netloc for u in requested if not u.startswith('blob:')} == {own}
    assert subscribers(node) == 1
    page.close()
    wait_until(lambda: subscribers(node) == 0, 'end of the subscription')


def test_a_hidden_picture_is_not_subscribed_to(node: RunningNode, page: Any) -> None:
    expect(page.locator('img.live')).to_be_visible()
    page.locator('.picture').evaluate('element => element.style.display = "none"')
    wait_until(lambda: subscribers(node) == 0, 'end of the subscription')
    page.locator('.picture').evaluate('element => element.style.display = ""')
    wait_until(lambda: subscribers(node) == 1, 'a subscription')


def test_figures_charts_stages_and_log_are_shown(page: Any) -> None:
    expect(page.locator('.pill')).to_have_text('active')
    expect(page.locator('.part-subtitle')).to_contain_text('stub.onnx')
    expect(page.locator('.tile', has_text='Images').locator('.value')).not_to_contain_text('0.0')
    # The stand-in detector says that inference takes 2 ms.
    expect(page.locator('.stage', has_text='infer').locator('.value').first).to_have_text('2.0')
    wait_until(
        lambda: 'L' in (page.locator('.part-latency path').first.get_attribute('d') or ''),
        'a line in the chart of the latency',
    )
    expect(page.locator('.part-diagnostics')).to_contain_text('camera /image_raw')
    expect(page.locator('figcaption')).to_contain_text('/image_raw')


def test_a_slider_changes_a_parameter(node: RunningNode, page: Any) -> None:
    # A change that arrives shows that the page is connected.
    assert node.set_parameter('score_threshold', 0.2).successful
    row = parameter(page, 'score_threshold')
    expect(row.locator('.value')).to_have_text('0.2')
    thumb = row.locator('[tabindex="0"]')
    thumb.focus()
    for text in ('0.21', '0.22', '0.23', '0.24', '0.25'):
        # A hundredth per step.
        thumb.press('ArrowRight')
        expect(row.locator('.value')).to_have_text(text)
    wait_until(
        lambda: node.node.get_parameter('score_threshold').value == pytest.approx(0.25),
        'the new value in the node',
    )


def test_a_change_by_another_program_moves_the_slider(node: RunningNode, page: Any) -> None:
    assert node.set_parameter('iou_threshold', 0.77).successful
    row = parameter(page, 'iou_threshold')
    expect(row.locator('.value')).to_have_text('0.77')
    expect(row.get_by_role('slider')).to_have_attribute('aria-valuenow', '77')
    assert node.set_parameter('iou_threshold', 0.45).successful


def test_a_refused_value_is_explained(node: RunningNode, page: Any) -> None:
    field = parameter(page, 'classes').get_by_role('textbox')
    field.fill('unicorn, chien é')
    field.press('Enter')
    expect(page.locator('.q-notification')).to_contain_text('unicorn')
    assert not node.node.get_parameter('classes').value
    field.press('Tab')
    expect(field).to_have_value('')


def test_the_buttons_drive_the_lifecycle(node: RunningNode, page: Any) -> None:
    for label, state in (
        ('Deactivate', 'inactive'),
        ('Clean up', 'unconfigured'),
        ('Configure', 'inactive'),
        ('Activate', 'active'),
    ):
        button = page.get_by_role('button', name=label, exact=True)
        expect(button).to_be_enabled()
        button.click()
        expect(page.locator('.pill')).to_have_text(state)
        assert node.get_state() == state
        expect(button).to_be_disabled()
        if state != 'active':
            expect(page.locator('.picture')).to_contain_text(f'while the node is {state}')


def test_a_failed_transition_is_explained(
    node: RunningNode, factory: StubFactory, page: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise EngineError('<b>the model</b> is damaged')

    monkeypatch.setattr(factory, 'prepare', fail)
    assert node.deactivate()
    assert node.cleanup()
    page.get_by_role('button', name='Configure', exact=True).click()
    sentence = 'cannot configure: <b>the model</b> is damaged'
    expect(page.locator('.q-notification')).to_contain_text(f'configure failed: {sentence}')
    expect(page.locator('.banner.error')).to_contain_text(sentence)


def test_a_dead_node_is_shown_and_found_again(browser: Any, url: str, node: RunningNode) -> None:
    domain = node.node.context.get_domain_id()
    arguments = ['--ros-args', '-r', '__ns:=/second']
    with open_page(browser, f'{url}?node=/second/detector') as page:
        configure = page.get_by_role('button', name='Configure', exact=True)
        expect(page.locator('.nothing h1')).to_have_text('/second/detector is not there')
        with node_process(*arguments, domain=domain) as process:
            expect(page.locator('.pill')).to_have_text('unconfigured')
            expect(configure).to_be_enabled()
            # Killed, it says nothing and stays in the ROS graph for a while.
            process.send_signal(signal.SIGKILL)
            expect(page.locator('.pill')).to_have_text('not responding')
            expect(page.locator('.banner')).to_contain_text('/second/detector does not respond')
            expect(configure).to_be_disabled()
        with node_process(*arguments, domain=domain):
            expect(page.locator('.pill')).to_have_text('unconfigured')
            # Its services are reached: without a model it refuses.
            configure.click()
            expect(page.locator('.q-notification')).to_contain_text('model_path')
        page.get_by_role('button', name='/detector', exact=True).click()
        expect(page.locator('.chosen')).to_have_text('/detector')


EIGHT = [f'/robot_{number}/front_left_surround_view_camera/image_raw' for number in range(8)]
NAMES = ['Größe é', '交通锥', 'мяч']
ONE_CAMERA = {
    'image_topics': ['/image_raw'], 'class_names': list(CLASS_NAMES), 'model_path': 'stub.onnx',
}  # fmt: skip


@contextmanager
def reconfigured(node: RunningNode, **values: Any) -> Iterator[None]:
    """Run the node with other parameters until the end of the block."""
    for these in (values, ONE_CAMERA):
        assert node.deactivate()
        assert node.cleanup()
        for name, value in these.items():
            result = node.set_parameter(name, value)
            assert result.successful, result.reason
        assert node.configure()
        assert node.activate()
        if these is values:
            yield


def test_eight_cameras_and_names_of_other_scripts_are_shown_on_a_phone(
    node: RunningNode, page: Any
) -> None:
    page.set_viewport_size({'width': 375, 'height': 812})
    values = {'image_topics': EIGHT, 'class_names': NAMES, 'model_path': 'größe/模型 é.onnx'}
    with reconfigured(node, **values), node.images(*EIGHT):
        captions = page.locator('figcaption .topic')
        expect(captions).to_have_text(EIGHT)
        expect(page.locator('.part-subtitle')).to_contain_text('模型 é.onnx')
        image = page.locator('img[data-picture]').last
        image.scroll_into_view_if_needed()
        expect(page.locator('img.live').last).to_be_visible()
        assert node.set_parameter('classes', NAMES[1:]).successful
        field = parameter(page, 'classes').get_by_role('textbox')
        expect(field).to_have_value('交通锥, мяч')
        field.fill('Größe é')
        field.press('Enter')
        wait_until(
            lambda: node.node.get_parameter('classes').value == ['Größe é'],
            'the class in the node',
        )
        page.get_by_text('More', exact=True).click()
        control = parameter(page, 'on_hang').locator('.q-field')
        expect(control).to_be_visible()
        # Nothing is wider than the window, and no name is cut.
        assert page.evaluate('document.documentElement.scrollWidth') == 375
        is_cut = 'all => all.map(one => one.scrollWidth > one.clientWidth)'
        assert not any(captions.evaluate_all(is_cut))
        row = parameter(page, 'on_hang').bounding_box()
        assert control.bounding_box()['width'] == pytest.approx(row['width'], abs=1)
        assert row['width'] > 250
        field.fill('')
        field.press('Enter')
        wait_until(lambda: not node.node.get_parameter('classes').value, 'all classes')


@pytest.mark.parametrize('width', [375, 1440])
def test_the_page_fits_the_window(browser: Any, url: str, page: Any, width: int) -> None:
    page.set_viewport_size({'width': width, 'height': 844})
    expect(parameter(page, 'score_threshold')).to_be_visible()
    assert page.evaluate('document.documentElement.scrollWidth') == width


def test_the_theme_follows_the_system_until_one_is_chosen(browser: Any, url: str) -> None:
    context = browser.new_context(color_scheme='dark')
    page = context.new_page()
    page.goto(url)
    back = 'getComputedStyle(document.body).backgroundColor'
    button = page.get_by_role('button', name='Theme')
    expect(button).to_have_attribute('data-theme', 'auto')
    dark = page.evaluate(back)
    button.click()
    expect(button).to_have_attribute('data-theme', 'light')
    assert page.evaluate(back) != dark
    page.reload()
    expect(button).to_have_attribute('data-theme', 'light')
    assert page.evaluate(back) != dark
    context.close()


def ask(url: str, **headers: str) -> int:
    """Return the status of a request for the WebSocket of the page."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or '', parts.port or 0, timeout=10)
    connection.putrequest('GET', '/_nicegui_ws/socket.io/?EIO=4&transport=websocket', True)
    for name, value in headers.items():
        connection.putheader(name, value)
    for name, value in (
        ('Connection', 'Upgrade'), ('Upgrade', 'websocket'), ('Sec-WebSocket-Version', '13'),
        ('Sec-WebSocket-Key', 'dGhlIHNhbXBsZSBub25jZQ=='),
    ):  # fmt: skip
        connection.putheader(name, value)
    connection.endheaders()
    status = connection.getresponse().status
    connection.close()
    return status


def test_only_the_own_page_may_connect(url: str) -> None:
    own = urlsplit(url).netloc
    port = own.rpartition(':')[2]
    assert ask(url, Host=own, Origin=f'http://{own}') == 101
    assert ask(url, Host=own, Origin='http://evil.example') == 403
    assert ask(url, Host=own, Origin='null') == 403
    assert ask(url, Host=own) == 403
    # A foreign name that points here.
    foreign = f'evil.example:{port}'
    assert ask(url, Host=foreign, Origin=f'http://{foreign}') == 403


def test_only_debug_images_of_detectors_are_served(url: str, page: Any) -> None:
    status = page.evaluate('async () => (await fetch("frame?topic=/other/compressed")).status')
    assert status == 404


def test_a_port_in_use_is_named(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    from trt_detector.dashboard.server import open_socket
    from trt_detector.errors import DetectorError

    port = urlsplit(url).port or 0
    with pytest.raises(DetectorError, match=f'port {port}: .*in use; choose another one'):
        open_socket('127.0.0.1', port)
