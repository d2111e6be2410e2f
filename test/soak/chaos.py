# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Rounds of faults that the soak test inflicts on the node."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
import random
import shutil
import signal
import time
from typing import Any

from .accounting import check_sums, check_window, is_settled
from .observer import Observer
from .processes import CameraProcess, CameraSetup, NodeProcess

__all__ = ['CAMERAS', 'Chaos']

CAMERAS = (
    CameraSetup('/cam0/image_raw', 'best_effort', 4.0),
    CameraSetup('/cam1/image_raw', 'reliable', 4.0),
    CameraSetup('/cam2/image_raw/compressed', 'reliable', 4.0),
)
_SETTLE_ATTEMPTS = 20
_RESUME_ATTEMPTS = 60
_LIVE_PARAMETERS: tuple[tuple[str, tuple[Any, ...]], ...] = (
    ('score_threshold', (0.05, 0.25, 0.9)),
    ('iou_threshold', (0.3, 0.45, 0.9)),
    ('max_detections', (1, 20, 300)),
    ('class_agnostic_nms', (True, False)),
    ('publish_debug_image', (True, False)),
    ('image_timeout', (0.5, 2.0)),
)
_WRONG_PARAMETERS = (('score_threshold', 7.0), ('max_detections', 0), ('classes', ['no such']))


class Chaos:
    """
    Faults and checks of one run.

    :param node: process of the node.
    :param observer: client of the node.
    :param model: copy of the model that may be damaged.
    :param seed: of faults and images.
    :param note: called with the kind of each event and what it did.
    """

    def __init__(
        self,
        node: NodeProcess,
        observer: Observer,
        model: Path,
        seed: int,
        note: Callable[[str, str], None],
    ) -> None:
        self._node = node
        self._observer = observer
        self._model = model
        self._seed = seed
        self._note = note
        self._random = random.Random(seed)
        self._incarnations = [0] * len(CAMERAS)
        self._cameras = [self._start_camera(number) for number in range(len(CAMERAS))]
        self._arrays_before = list(observer.arrays)
        self._disruptions: list[Callable[[], None]] = []
        self.faults: list[str] = []
        self.windows = 0
        self.totals = dict.fromkeys(
            ('sent', 'received', 'lost', 'published', 'dropped', 'malformed'), 0
        )

    def close(self) -> None:
        """End the cameras."""
        for camera in self._cameras:
            camera.kill()

    def start(self) -> None:
        """Configure and activate the node."""
        self._transition('configure')
        self._arrays_before = list(self._observer.arrays)
        self._transition('activate')

    def stream_plain(self, seconds: float) -> None:
        """Stream images of one kind without faults, for the reference readings."""
        for name, values in _LIVE_PARAMETERS:
            self._set(name, values[1])
        self._set('publish_debug_image', value=True)
        self._command('n')
        self._run_window(seconds, lambda: time.sleep(0.2))

    def run_round(self, seconds: float) -> None:
        """Stream mixed images with faults that lose none, then inflict one that does."""
        self._command('m')
        self._run_window(seconds, self._disturb)
        if not self._disruptions:
            # Each once, in a new order.
            self._disruptions = [
                self._kill_camera,
                self._kill_all_cameras,
                self._deactivate,
                self._configure_again,
                self._damage_model,
            ]
            self._random.shuffle(self._disruptions)
        self._command('s')
        self._disruptions.pop()()

    def _run_window(self, seconds: float, act: Callable[[], None]) -> None:
        """Stream for some time, and check that no image is unaccounted for."""
        self._await_all_cameras()
        before = self._pause()
        sent_before = self._command('p')
        self._command('s')
        end_s = time.monotonic() + seconds
        while time.monotonic() < end_s and self._node.is_alive():
            act()
        after = self._pause()
        sent_after = self._command('p')
        for number, setup in enumerate(CAMERAS):
            sent = {
                name: sent_after[number][name] - sent_before[number][name]
                for name in ('sent', 'malformed')
            }
            self.faults += check_window(setup.topic, before[number], after[number], sent)
            self.totals['sent'] += sent['sent']
            for name in ('received', 'lost', 'published', 'dropped', 'malformed'):
                self.totals[name] += after[number][name] - before[number][name]
        self.windows += 1

    def _await_all_cameras(self) -> None:
        """Wait until the node receives images of every camera."""
        start = self._observer.read_counts()
        missing = set(range(len(CAMERAS)))
        for _ in range(_RESUME_ATTEMPTS):
            for number in missing:
                self._cameras[number].command('o')
            counts = self._observer.read_counts()
            missing = {n for n in missing if counts[n]['received'] == start[n]['received']}
            if not missing:
                return
        topics = ', '.join(CAMERAS[number].topic for number in sorted(missing))
        raise TimeoutError(f'no image of {topics} arrives any more')

    def _pause(self) -> list[dict[str, int]]:
        """
        Pause the cameras and read the counts once no image is on its way.

        Single images are sent until one arrives, so that all before it are received or lost.
        """
        self._command('p')
        settled: dict[int, dict[str, int]] = {}
        last = self._observer.read_counts()
        for _ in range(_SETTLE_ATTEMPTS):
            missing = [n for n in range(len(CAMERAS)) if n not in settled]
            for number in missing:
                self._cameras[number].command('o')
            counts = self._observer.read_counts()
            for number in missing:
                arrived = counts[number]['received'] == last[number]['received'] + 1
                if arrived and is_settled(counts[number]):
                    settled[number] = counts[number]
            last = counts
            if len(settled) == len(CAMERAS):
                break
        for number, setup in enumerate(CAMERAS):
            if number not in settled:
                self.faults.append(f'{setup.topic}: the counts do not settle: {last[number]}')
        self._check_at_rest()
        return last

    def _disturb(self) -> None:
        """Inflict a fault that loses no image."""
        time.sleep(self._random.uniform(0.5, 2.0))
        action = self._random.choice(
            [self._set_parameter, self._set_wrong_parameter, self._freeze, self._watch_debug]
        )
        action()

    def _set_parameter(self) -> None:
        """Change a live parameter."""
        name, values = self._random.choice(_LIVE_PARAMETERS)
        value = self._random.choice(values)
        self._note('set parameter', f'{name} = {value}')
        self._set(name, value)

    def _set(self, name: str, value: Any) -> None:
        """Set a parameter that the node has to accept."""
        if not self._observer.set_parameter(name, value):
            self.faults.append(f'parameter {name} = {value} was refused')

    def _set_wrong_parameter(self) -> None:
        """Try to set a parameter to a value that the node has to refuse."""
        name, value = self._random.choice(_WRONG_PARAMETERS)
        self._note('wrong parameter', f'{name} = {value}')
        if self._observer.set_parameter(name, value):
            self.faults.append(f'parameter {name} = {value} was accepted')

    def _freeze(self) -> None:
        """Stop the process of the node for a moment."""
        seconds = self._random.uniform(0.2, 3.0)
        self._note('SIGSTOP', f'{seconds:.1f} s')
        self._node.send_signal(signal.SIGSTOP)
        time.sleep(seconds)
        self._node.send_signal(signal.SIGCONT)

    def _watch_debug(self) -> None:
        """Subscribe to a debug image, or end that."""
        self._note('debug image', str(self._observer.toggle_debug_subscriber()))

    def _kill_camera(self) -> None:
        """Kill a camera and start it again."""
        self._restart_cameras([self._random.randrange(len(CAMERAS))])

    def _kill_all_cameras(self) -> None:
        """Kill all cameras and start them again."""
        self._restart_cameras(list(range(len(CAMERAS))))

    def _restart_cameras(self, numbers: list[int]) -> None:
        """Kill cameras while they send, and start them again after a moment."""
        self._note('kill camera', ', '.join(CAMERAS[number].topic for number in numbers))
        for number in numbers:
            self._cameras[number].kill()
        time.sleep(self._random.uniform(0.0, 3.0))
        for number in numbers:
            self._cameras[number] = self._start_camera(number)

    def _deactivate(self) -> None:
        """Deactivate and activate while the cameras send."""
        self._note('deactivate', '')
        self._transition('deactivate')
        self._check_at_rest()
        self._transition('activate')

    def _configure_again(self) -> None:
        """Go through all states while the cameras send."""
        self._note('cleanup', '')
        self._go_down()
        self.start()

    def _damage_model(self) -> None:
        """Damage the model between cleanup and configure, which must fail; then restore it."""
        self._go_down()
        good = self._model.with_suffix('.good')
        shutil.copyfile(self._model, good)
        name, damage = self._random.choice(list(_DAMAGES.items()))
        self._note('damage model', name)
        self._model.write_bytes(damage(good.read_bytes(), self._random))
        if self._observer.change_state('configure'):
            self.faults.append(f'a model that is {name} was accepted')
            self._transition('cleanup')
        else:
            reason = self._observer.await_failure()
            if 'cannot configure' not in reason or self._model.name not in reason:
                self.faults.append(
                    f'a model that is {name} was refused without a reason: {reason}'
                )
        good.replace(self._model)
        self.start()

    def _go_down(self) -> None:
        """Deactivate, check the counts and clean up."""
        self._transition('deactivate')
        self._check_at_rest()
        self._transition('cleanup')

    def _check_at_rest(self) -> None:
        """Check the counts while no image arrives."""
        counts = self._observer.read_counts()
        for number, setup in enumerate(CAMERAS):
            arrays = self._observer.arrays[number] - self._arrays_before[number]
            self.faults += check_sums(setup.topic, counts[number], arrays)

    def _transition(self, label: str) -> None:
        """Request a transition that has to succeed."""
        if not self._observer.change_state(label):
            raise RuntimeError(f'the node cannot {label}; node.log says why')

    def _command(self, letter: str) -> list[dict[str, int]]:
        """Send a command to every camera; return their counts."""
        return [camera.command(letter) for camera in self._cameras]

    def _start_camera(self, number: int) -> CameraProcess:
        """Start a camera; each one sends other images."""
        self._incarnations[number] += 1
        seed = f'{self._seed}/{number}/{self._incarnations[number]}'
        return CameraProcess(CAMERAS[number], seed)


_DAMAGES: dict[str, Callable[[bytes, random.Random], bytes]] = {
    'empty': lambda _data, _random: b'',
    'truncated': lambda data, random_: data[: random_.randrange(1000, len(data) - 1000)],
    'random bytes': lambda data, random_: random_.randbytes(len(data)),
    'a text': lambda _data, _random: b'no model\n',
    'zeros': lambda data, _random: bytes(len(data)),
}
