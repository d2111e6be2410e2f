# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Test the ends of the process: hangs, sticky errors and SIGKILL."""

from __future__ import annotations

import signal
import subprocess

import pytest
from support.ros_graph import next_domain, node_process, output_at_end

# A camera in the process: its images are found without discovery.
NODE = """
import sys, threading, time
sys.path.insert(0, 'test')
from sensor_msgs.msg import Image
from support.ros_graph import image_message, StubFactory
from trt_detector.errors import DeviceLostError
from trt_detector.ros.lifecycle import executable
import trt_detector.ros.main as main_module
from trt_detector.ros.node import DetectorNode

calls = []

def behave(_images):
    calls.append(1)
    print('running', flush=True)
    {behavior}

class Node(DetectorNode):
    def __init__(self, name):
        super().__init__(name, create=StubFactory(behave=behave))
        self._images = self.create_publisher(Image, 'image_raw', 1)
        self.create_timer(0.05, lambda: self._images.publish(image_message()))

main_module.DetectorNode = Node
sys.exit(main_module.main(sys.argv[1:]))
"""
ARGUMENTS = ('--ros-args', '-p', 'model_path:=stub.onnx', '-p', 'autostart:=true')


def run_node(behavior: str, *arguments: str) -> tuple[int, str]:
    """Run the node to its end; return exit code and output."""
    code = NODE.replace('{behavior}', behavior)
    with node_process(*ARGUMENTS, *arguments, domain=next_domain(), code=code) as process:
        output = output_at_end(process)
        return process.returncode, output


def test_process_whose_inference_hangs_ends_with_3_if_it_shall() -> None:
    code, output = run_node(
        'threading.Event().wait()', '-p', 'inference_timeout:=0.5', '-p', 'on_hang:=exit'
    )
    assert code == 3, output
    assert 'an inference has not returned for' in output
    assert 'the process ends with code 3' in output


def test_process_ends_with_4_after_a_sticky_error() -> None:
    code, output = run_node("raise DeviceLostError('illegal memory access')")
    assert code == 4, output
    assert 'cannot detect: DeviceLostError: illegal memory access' in output
    assert 'the process ends with code 4' in output
    assert 'Traceback' not in output


def test_end_does_not_wait_for_an_orderly_one_that_hangs() -> None:
    behavior = (
        'executable._END_TIMEOUT_S = 0.5; '
        'DetectorNode.finalize = lambda self: time.sleep(60); '
        'threading.Event().wait()'
    )
    code, output = run_node(behavior, '-p', 'inference_timeout:=0.5', '-p', 'on_hang:=exit')
    assert code == 3, output
    assert 'stopping' in output


@pytest.mark.parametrize('state', ['unconfigured', 'configuring', 'active'])
def test_killed_node_starts_again(state: str) -> None:
    """Kill the node with SIGKILL in a state, then start it with the same arguments."""
    domain = next_domain()
    arguments = (*ARGUMENTS[:-1], f'autostart:={"false" if state == "unconfigured" else "true"}')
    behavior = "print('inference', flush=True)"
    slow = NODE.replace(
        'behave=behave', "prepare=lambda *_: print('configuring') or time.sleep(60)"
    )
    code = (slow if state == 'configuring' else NODE).replace('{behavior}', behavior)
    expected = {'configuring': 'configuring', 'active': 'inference', 'unconfigured': 'unconf'}
    with node_process(*arguments, domain=domain, code=code) as process:
        read_until(process, expected[state])
        process.send_signal(signal.SIGKILL)
        process.wait(10)
    assert process.returncode == -signal.SIGKILL
    with node_process(
        *ARGUMENTS, domain=domain, code=NODE.replace('{behavior}', behavior)
    ) as process:
        read_until(process, 'inference')
        process.send_signal(signal.SIGINT)
        output = output_at_end(process)
    assert process.returncode == 0, output
    assert 'Traceback' not in output


def read_until(process: subprocess.Popen[str], text: str) -> None:
    """Read the output of a process up to the line that holds a text."""
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if text in line:
            return
    pytest.fail(f'{text!r} was not written:\n{"".join(lines)}')
