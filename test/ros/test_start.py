# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Test that the executable can be interrupted while its modules are imported."""

from __future__ import annotations

import signal
import subprocess
import sys

PROGRAM = """
import os, signal, sys, weakref

class Importing:
    def find_spec(self, name, *_):
        if name == 'trt_detector.ros.main':
            # Python ignores an exception in this callback.
            kept = Importing()
            reference = weakref.ref(kept, lambda _: os.kill(os.getpid(), signal.SIGINT))
            del kept
            sys.exit('the signal was lost')

from trt_detector.ros import run_node
sys.meta_path.insert(0, Importing())
run_node()
"""


def test_signal_during_the_imports_ends_the_process() -> None:
    result = subprocess.run(
        [sys.executable, '-c', PROGRAM], capture_output=True, text=True, timeout=60, check=False
    )
    assert (result.returncode, result.stderr) == (-signal.SIGINT, '')
