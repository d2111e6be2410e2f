# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""
Program that runs nodes in child processes, each held in a transition for a while.

It imports everything once and then forks a child per line of standard input, which takes a
fraction of a start. A child is the process of a node up to the end of the interpreter. Lines:
"run STATE DOMAIN FILE" answers with the process id, "wait PID" with the exit code.
"""

from __future__ import annotations

from collections.abc import Callable
import os
from pathlib import Path
import sys
import time
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from sensor_msgs.msg import Image as ImageMessage
from trt_detector.errors import EngineError
import trt_detector.ros.main as main_module
from trt_detector.ros.node import DetectorNode
from trt_detector.ros.recovery import inference_watch, supervisor
from trt_detector.ros.session import DetectionSession

from support.ros_graph import image_message, StubFactory

#: Time that a transition takes; shorter than any limit of the node.
HELD_S = 0.3
#: Lifecycle state, the method of the session that it waits in, and the transitions before.
HELD_STATES = {
    'activating': ('start', ['configure', 'activate']),
    'deactivating': ('stop', ['configure', 'activate', 'deactivate']),
    'cleaningup': ('close', ['configure', 'cleanup']),
    'errorprocessing': ('close', ['configure', 'activate', 'fail']),
}
#: States that the supervisor brings the node into.
RECOVERY_STATES = ('pause of the recovery', 'configuring of the recovery')


class HeldNode(DetectorNode):
    """
    Node with a stand-in detector and a camera, which goes to a state by itself.

    :param state: of HELD_STATES or RECOVERY_STATES; anything else only detects.
    """

    def __init__(self, name: str, state: str) -> None:
        self._state = state
        self._builds = 0
        super().__init__(name, create=StubFactory(self._prepare, self._behave))
        images = self.create_publisher(ImageMessage, 'image_raw', 1)
        self.create_timer(0.05, lambda: images.publish(image_message()))
        self._drive_timer = self.create_timer(0.01, self._drive)

    def _drive(self) -> None:
        """Make the transitions up to the state."""
        self._drive_timer.cancel()
        method, transitions = HELD_STATES.get(self._state, ('', ['configure', 'activate']))
        if method:
            hold(method, self._state, self.get_state_label)
        for transition in transitions:
            if transition == 'fail':
                self.fail('every inference fails')
            else:
                getattr(self, f'trigger_{transition}')()

    def _prepare(self, _progress: Any, cancel: Any) -> None:
        """Wait in the build of the second session, until it is cancelled."""
        self._builds += 1
        if self._builds == 2:
            print(f'holding configuring of the recovery in {self.get_state_label()}', flush=True)
            cancel.wait(60)

    def _behave(self, _images: Any) -> None:
        """Fail, if the node is to recover."""
        if self._state in RECOVERY_STATES:
            raise EngineError('a failed inference')
        print('detected', flush=True)


def hold(method: str, state: str, get_label: Callable[[], str]) -> None:
    """Let the next call of a session's method in a state take HELD_S."""
    original = getattr(DetectionSession, method)

    def wait(session: DetectionSession) -> None:
        label = get_label()
        if label == state:
            setattr(DetectionSession, method, original)
            print(f'holding {state} in {label}', flush=True)
            time.sleep(HELD_S)
        original(session)

    setattr(DetectionSession, method, wait)


def run_child(state: str, domain: str, file: str) -> None:
    """Become the process of a node; its output goes to a file."""
    target = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(target, 1)
    os.dup2(target, 2)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.environ['ROS_DOMAIN_ID'] = domain
    inference_watch.MAX_FAILURES, inference_watch.MAX_FAILING_S = 1, 0.0
    supervisor._FIRST_DELAY_S = 60.0 if state.startswith('pause') else 0.01
    main_module.DetectorNode = lambda name: HeldNode(name, state)  # type: ignore[assignment,misc]
    arguments = ['-p', 'model_path:=stub.onnx', '-p', 'recover:=true']
    sys.exit(main_module.main(['--ros-args', *arguments]))


def main() -> None:
    """Serve the lines of standard input."""
    print('ready', flush=True)
    while words := sys.stdin.readline().rstrip('\n').split('\t'):
        if words == ['']:
            return
        if words[0] == 'wait':
            print(os.waitstatus_to_exitcode(os.waitpid(int(words[1]), 0)[1]), flush=True)
            continue
        process = os.fork()
        if not process:
            run_child(*words[1:])
        print(process, flush=True)


if __name__ == '__main__':
    main()
