# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Test the end of the thread that receives images."""

from __future__ import annotations

from collections.abc import Callable
import threading
from typing import Any

import pytest
import rclpy
from rclpy.exceptions import InvalidHandle
from rclpy.node import Node
from rclpy.parameter import Parameter
from support.ros_graph import next_domain, ros_context, StubFactory, WAIT_S, wait_until
from trt_detector.ros.image_receiver import ImageReceiver
from trt_detector.ros.node import DetectorNode
from trt_detector.ros.sharing.shared_subscriptions import SharedSubscriptions


def shut_down_as_a_signal_does(context: Any) -> None:
    """Shut a context down as the signal handlers of rclpy do, without destroying its nodes."""
    with context.handle:
        context.handle.shutdown()


@pytest.mark.parametrize('shut_down', [rclpy.Context.shutdown, shut_down_as_a_signal_does])
@pytest.mark.parametrize('is_shared', [False, True])
def test_active_node_is_destroyed_with_its_context_or_afterwards(
    shut_down: Callable[[Any], None], is_shared: bool
) -> None:
    # No fixture ends this context: that would wait for the same lock if the test fails.
    context = rclpy.Context()
    # The other tests of the process configure the log.
    context.init([], domain_id=next_domain(), initialize_logging=False)
    shared = SharedSubscriptions(context) if is_shared else None
    node = DetectorNode(
        create=StubFactory(),
        context=context,
        receiver=shared,
        parameter_overrides=[Parameter('model_path', value='stub.onnx')],
        use_global_arguments=False,
    )
    node.trigger_configure()
    node.trigger_activate()
    (images,) = [thread for thread in threading.enumerate() if thread.name == 'images']
    shutting_down = threading.Thread(target=shut_down, args=(context,), daemon=True)
    shutting_down.start()
    shutting_down.join(WAIT_S)
    assert not shutting_down.is_alive()
    node.destroy_node()
    if shared is not None:
        shared.close()
    wait_until(lambda: not images.is_alive(), 'the end of the thread')


def test_a_subscription_that_is_destroyed_with_its_context_ends_the_thread_without_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(_stop: Any) -> None:
        raise InvalidHandle('destruction was requested')

    logged: list[str] = []
    with ros_context() as context:
        node = Node('receiving', context=context, use_global_arguments=False)
        logger = node.get_logger()
        monkeypatch.setattr(logger, 'error', lambda text, **_: logged.append(text))
        monkeypatch.setattr(node, 'get_logger', lambda: logger)
        receiver = ImageReceiver(node)
        monkeypatch.setattr(receiver._executor, 'spin_until_future_complete', refuse)
        receiver.start([])
        assert receiver._thread is not None
        receiver._thread.join(WAIT_S)
        assert not receiver._thread.is_alive()
        receiver.close()
        node.destroy_node()
    assert not logged
