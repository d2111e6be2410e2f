# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""State of the GPU, from NVML and from the files of the Linux kernel."""

from __future__ import annotations

from pathlib import Path
import subprocess
import sys
import threading
import time
from typing import Any

from doubles.machine import GPU, machine
from doubles.nvml_double import DISCRETE, make_nvml
import pytest
from trt_detector.factory import watch_device
from trt_detector.gpu import device_monitor
from trt_detector.gpu.device_info import get_gpu_memory_bytes, get_used_gpu_memory_bytes
from trt_detector.gpu.device_monitor import DeviceMonitor, read_device_state
from trt_detector.values.device_state import DeviceState
from trt_detector.values.engine_info import EngineInfo

ORIN = {'name': 'Orin', 'cc': (8, 7), 'sm_count': 16, 'memory': 62 << 30, 'integrated': 1}
MEMINFO = 'MemTotal: 65000000 kB\nMemAvailable: 50000000 kB\nNvMapMemUsed: 1200000 kB\n'
ORIN_FILES = {
    'proc/meminfo': MEMINFO,
    'sys/class/thermal/thermal_zone0/type': 'cpu-thermal\n',
    'sys/class/thermal/thermal_zone0/temp': '71000\n',
    'sys/class/thermal/thermal_zone1/type': 'gpu-thermal\n',
    'sys/class/thermal/thermal_zone1/temp': '58250\n',
    'sys/class/devfreq/15340000.vic/cur_freq': '115200000\n',
    'sys/class/devfreq/17000000.gpu/cur_freq': '918000000\n',
    'sys/class/devfreq/17000000.gpu/max_freq': '1300500000\n',
    'sys/class/devfreq/17000000.gpu/device/load': '734\n',
}


def write_files(root: Path, files: dict[str, str]) -> Path:
    """Write a tree of sysfs and procfs files and return its root."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding='ascii')
    return root


def read(nvml: Any, root: Path, gpu: dict[str, Any] | None = None) -> DeviceState:
    """Read the only GPU of a machine."""
    with machine(None, gpus=[GPU if gpu is None else gpu]):
        sys.modules['pynvml'] = nvml
        return read_device_state(root=root)


def test_all_values_of_a_discrete_gpu(tmp_path: Path) -> None:
    state = read(make_nvml(), write_files(tmp_path, ORIN_FILES))
    assert state.as_json() == {
        'name': 'NVIDIA Double', 'compute_capability': (9, 0), 'memory_used_bytes': 3 << 30,
        'memory_total_bytes': 24 << 30, 'shared_memory': False, 'temperature_c': 61.0,
        'gpu_percent': 87.0, 'memory_percent': 40.0, 'clock_mhz': 1755.0,
        'max_clock_mhz': 1980.0, 'memory_clock_mhz': 2619.0, 'power_w': 412.5,
        'power_limit_w': 700.0, 'clock_limits': ('power limit',), 'slowdowns': (),
    }  # fmt: skip
    assert state.describe() == {
        'name': 'NVIDIA Double', 'compute capability': '9.0', 'memory used MiB': '3072',
        'memory total MiB': '24576', 'memory shared with the CPU': 'no', 'temperature C': '61',
        'GPU load %': '87', 'memory load %': '40', 'clock MHz': '1755',
        'highest clock MHz': '1980', 'memory clock MHz': '2619', 'power W': '412.5',
        'power limit W': '700.0', 'clocks limited by': 'power limit',
    }  # fmt: skip


@pytest.mark.parametrize(
    ('function', 'fields'),
    [
        ('nvmlDeviceGetMemoryInfo', {'memory_used_bytes'}),
        ('nvmlDeviceGetUtilizationRates', {'gpu_percent', 'memory_percent'}),
        ('nvmlDeviceGetClockInfo', {'clock_mhz', 'memory_clock_mhz'}),
        ('nvmlDeviceGetMaxClockInfo', {'max_clock_mhz'}),
        ('nvmlDeviceGetPowerUsage', {'power_w'}),
        ('nvmlDeviceGetEnforcedPowerLimit', {'power_limit_w'}),
        ('nvmlDeviceGetTemperatureV', set()),
        ('nvmlDeviceGetCurrentClocksEventReasons', set()),
    ],
)
@pytest.mark.parametrize('where', ['gpu', 'pynvml', 'driver'])
def test_only_unsupported_values_are_missing(
    function: str, fields: set[str], where: str, tmp_path: Path
) -> None:
    answers = {name: value for name, value in DISCRETE.items() if name != function}
    missing = frozenset({function})
    older = {'pynvml': {'lacks': missing}, 'driver': {'driver_lacks': missing}}
    known = read(make_nvml(answers, **older.get(where, {})), tmp_path).as_json()
    assert set(read(make_nvml(), tmp_path).as_json()) - set(known) == fields
    assert known['temperature_c'] == 61.0
    assert known['clock_limits'] == ('power limit',)


def test_temperature_and_clock_reasons_may_both_be_missing(tmp_path: Path) -> None:
    kinds = ('Temperature', 'Clocks')
    answers = {k: v for k, v in DISCRETE.items() if not any(kind in k for kind in kinds)}
    state = read(make_nvml(answers), tmp_path)
    assert (state.temperature_c, state.clock_limits, state.slowdowns) == (None, None, ())


@pytest.mark.parametrize(
    ('bits', 'reasons', 'harmful'),
    [
        (0x0, (), ()),
        (0x1, ('idle',), ()),
        (0x20, ('too hot (slowed down by the driver)',), True),
        (0x48, ('too hot (slowed down by the hardware)',), True),
        (0x88, ('power brake (asserted by the power supply)',), True),
        (0x8, ('slowed down by the hardware (too hot, or a power brake)',), True),
        (0x204, ('power limit', 'reason 0x200'), ()),
    ],
)
def test_clock_event_reasons_are_named(
    bits: int, reasons: tuple[str, ...], harmful: Any, tmp_path: Path
) -> None:
    answers = {**DISCRETE, 'nvmlDeviceGetCurrentClocksEventReasons': bits}
    state = read(make_nvml(answers), tmp_path)
    assert state.clock_limits == reasons
    assert state.slowdowns == (reasons if harmful is True else harmful)


def test_jetson_without_nvml_is_read_from_the_kernel(tmp_path: Path) -> None:
    state = read(None, write_files(tmp_path, ORIN_FILES), ORIN)
    assert state.as_json() == {
        'name': 'Orin', 'compute_capability': (8, 7), 'memory_used_bytes': 15_000_000 * 1024,
        'memory_total_bytes': 65_000_000 * 1024, 'shared_memory': True,
        'gpu_memory_used_bytes': 1_200_000 * 1024, 'temperature_c': 58.25, 'gpu_percent': 73.4,
        'clock_mhz': 918.0, 'max_clock_mhz': 1300.5, 'slowdowns': (),
    }  # fmt: skip


def test_jetson_with_part_of_nvml(tmp_path: Path) -> None:
    """As Thor: neither memory nor clocks, no NvMapMemUsed, a devfreq folder for each unit."""
    part = {name: DISCRETE[name] for name in ('nvmlDeviceGetName', 'nvmlDeviceGetTemperature')}
    part['nvmlDeviceGetUtilizationRates'] = DISCRETE['nvmlDeviceGetUtilizationRates']
    root = write_files(
        tmp_path,
        {
            'proc/meminfo': '\n'.join(MEMINFO.splitlines()[:2]),
            'sys/class/devfreq/gpu-nvd-0/cur_freq': '900000000',
            'sys/class/devfreq/gpu-gpc-0/cur_freq': '1575000000',
        },
    )
    state = read(make_nvml(part), root, {**ORIN, 'bus': '0000:00:00.0'})
    assert (state.name, state.temperature_c, state.gpu_percent) == ('NVIDIA Double', 61.0, 87.0)
    assert (state.clock_mhz, state.max_clock_mhz) == (1575.0, None)
    assert state.memory_used_bytes == 15_000_000 * 1024
    assert state.gpu_memory_used_bytes is None


def test_unreadable_files_are_skipped(tmp_path: Path) -> None:
    root = write_files(
        tmp_path, {**ORIN_FILES, 'sys/class/devfreq/17000000.gpu/device/load': 'gone'}
    )
    temperature = root / 'sys/class/thermal/thermal_zone1/temp'
    temperature.unlink()
    temperature.mkdir()  # not readable, as for a suspended GPU
    state = read(None, root, ORIN)
    assert (state.temperature_c, state.gpu_percent, state.clock_mhz) == (None, None, 918.0)


def test_gpu_is_identified_by_its_pci_bus_id(tmp_path: Path) -> None:
    assert read(make_nvml(bus='0000:02:00.0', gpus=2), tmp_path).temperature_c is None
    assert read(make_nvml(bus='0000:02:00.0', gpus=1), tmp_path).temperature_c == 61.0


def test_nvml_is_initialized_once_per_process_and_shut_down_at_exit(tmp_path: Path) -> None:
    nvml = make_nvml()
    with machine(None):
        sys.modules['pynvml'] = nvml
        for _ in range(3):
            read_device_state(root=tmp_path)
        assert (get_gpu_memory_bytes(), get_used_gpu_memory_bytes()) == (24 << 30, 3 << 30)
    assert (nvml.library.starts, nvml.library.stops) == (1, 0)
    program = (
        'import atexit, sys\n'
        'sys.path.append("test")\n'
        'from doubles.nvml_double import make_nvml\n'
        'nvml = sys.modules["pynvml"] = make_nvml()\n'
        'atexit.register(lambda: print(nvml.library.starts, nvml.library.stops))\n'
        'from trt_detector.gpu.device_monitor import DeviceMonitor, read_device_state\n'
        'watch = DeviceMonitor(0)\n'
        'read_device_state(0)\n'
        'watch.close()\n'
    )
    done = subprocess.run(
        [sys.executable, '-c', program], cwd=Path(__file__).parents[2], capture_output=True,
        text=True, check=False, timeout=60,
    )  # fmt: skip
    assert (done.stdout, done.stderr) == ('1 1\n', '')


def test_monitor_reads_periodically_until_closed(tmp_path: Path) -> None:
    answers = dict(DISCRETE)
    with machine(None):
        sys.modules['pynvml'] = make_nvml(answers)
        watch = DeviceMonitor(0, root=tmp_path, period_s=0.01)
        try:
            wait_for(lambda: watch.latest().temperature_c == 61.0)
            answers['nvmlDeviceGetTemperatureV'] = 90
            wait_for(lambda: watch.latest().temperature_c == 90.0)
        finally:
            watch.close()
            watch.close()
    assert 'device monitor' not in {thread.name for thread in threading.enumerate()}


def test_failed_reading_is_logged_and_the_last_state_is_kept(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: Any) -> DeviceState:
        raise RuntimeError('unforeseen')

    monkeypatch.setattr(device_monitor._Sensors, 'read', fail)
    with machine(None):
        watch = DeviceMonitor(0, root=tmp_path)
        wait_for(lambda: 'unforeseen' in caplog.text)
        watch.close()
    assert watch.latest() == DeviceState()
    assert 'the monitor of GPU 0 stopped' in caplog.text


def test_only_engines_on_a_gpu_are_monitored() -> None:
    assert watch_device(EngineInfo('onnxruntime', 'fp32', 'CPU', '1')) is None
    with machine(None):
        watch = watch_device(EngineInfo('tensorrt', 'fp16', 'Double 0', '10', device_id=0))
        assert watch is not None
        wait_for(lambda: watch.latest().name == 'Double 0')
        watch.close()


def wait_for(condition: Any) -> None:
    """Wait until a condition is met."""
    for _ in range(2000):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError('the condition was not met within 20 s')
