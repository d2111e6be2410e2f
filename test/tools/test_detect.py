# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""The detect tool: pictures in, JSON out."""

from __future__ import annotations

import argparse
import json
import logging
from pathlib import Path
import subprocess
import sys

import cv2
import numpy as np
import onnxruntime
import pytest
from support.models import lamp_detector
import trt_detector
from trt_detector.decode import SanityCheck
from trt_detector.tools.detect import main
from trt_detector.tools.options import add_parameter_options, given_parameters


@pytest.fixture(name='model')
def _model(tmp_path: Path) -> Path:
    return lamp_detector(tmp_path / 'lamp.onnx')


@pytest.fixture(name='pictures')
def _pictures(tmp_path: Path) -> Path:
    """Return a folder with three pictures and something that is none."""
    folder = tmp_path / 'pictures'
    folder.mkdir()
    for name, size, x in (
        ('b.png', (64, 64), 8),
        ('a.JPG', (640, 320), 160),
        ('c.bmp', (64, 64), 0),
    ):
        picture = np.zeros((size[1], size[0], 3), np.uint8)
        edge = size[0] // 8
        cv2.rectangle(picture, (x, 0), (x + edge - 1, edge - 1), (255, 255, 255), cv2.FILLED)
        cv2.imwrite(str(folder / name), picture)
    (folder / 'notes.txt').write_text('no picture')
    return folder


TOOLS = Path(trt_detector.__file__).parent / 'tools'


def _run(model: Path, out: Path, *arguments: object) -> int:
    return main(
        ['--model', str(model), '--backend', 'onnxruntime', '--json', str(out)]
        + [str(argument) for argument in arguments]
    )


def test_a_folder_gives_one_entry_per_picture_in_order(model: Path, pictures: Path) -> None:
    out = pictures.parent / 'new' / 'out.json'
    assert _run(model, out, '--images', pictures) == 0
    entries = json.loads(out.read_text())
    assert [(e['file'], e['width'], e['height']) for e in entries] == [
        ('a.JPG', 640, 320), ('b.png', 64, 64), ('c.bmp', 64, 64),
    ]  # fmt: skip
    assert entries[1]['detections'] == [
        {'class_id': 0, 'class_name': 'lamp', 'score': 1.0, 'bbox_xyxy': [8.0, 0.0, 16.0, 8.0]}
    ]
    assert entries[0]['detections'][0]['bbox_xyxy'] == pytest.approx([160, 0, 240, 80], abs=1e-3)


def test_options_reach_the_detector(model: Path, pictures: Path, tmp_path: Path) -> None:
    out = tmp_path / 'out.json'
    files = [pictures / 'c.bmp', pictures / 'b.png']
    assert _run(model, out, '--images', *files, '--classes', 'box', '--batch-size', 2) == 0
    entries = json.loads(out.read_text())
    assert [Path(e['file']).name for e in entries] == ['b.png', 'c.bmp']
    assert [e['detections'] for e in entries] == [[], []]


@pytest.mark.skipif(
    'CUDAExecutionProvider' in onnxruntime.get_available_providers(),
    reason='ONNX Runtime has a CUDA provider: pip install onnxruntime in its place',
)
def test_provider_that_is_missing_is_refused(
    model: Path, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ('--images', pictures, '--onnxruntime-provider', 'cuda')
    assert _run(model, tmp_path / 'out.json', *options) == 1
    assert 'CUDA' in capsys.readouterr().err


def test_tiles_find_what_is_too_small_for_the_whole_picture(model: Path, tmp_path: Path) -> None:
    # The network shows the picture at half its size, where the square has 4x4 pixels.
    picture = np.zeros((128, 128, 3), np.uint8)
    picture[16:24, 88:96] = 255
    path, out = tmp_path / 'large.png', tmp_path / 'out.json'
    cv2.imwrite(str(path), picture)
    for tiling, expected in (('none', []), ('2x2', [[88, 16, 96, 24]])):
        options = ['--score-threshold', 0.5, '--tiling', tiling, '--tile-overlap', 0]
        assert _run(model, out, '--images', path, *options) == 0
        (entry,) = json.loads(out.read_text())
        assert [row['bbox_xyxy'] for row in entry['detections']] == expected


def test_without_a_file_all_detections_are_printed(
    model: Path, pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ['--model', str(model), '--backend', 'onnxruntime', '--images', str(pictures)]
    assert main(arguments) == 0
    lines = capsys.readouterr().out.splitlines()
    assert 'b.png: lamp 1.000 at 8.0 0.0 16.0 8.0' in lines
    assert lines[-1].startswith('3 pictures, 3 detections, 0 unreadable or refused (onnxruntime ')
    assert main([*arguments, '--json', '-']) == 0
    entries = json.loads(capsys.readouterr().out)
    assert [entry['file'] for entry in entries] == ['a.JPG', 'b.png', 'c.bmp']


def test_the_settings_and_warnings_are_printed_at_start(
    model: Path, pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ['--model', str(model), '--backend', 'onnxruntime', '--images', str(pictures)]
    assert main([*arguments, '--precision', 'fp16']) == 0
    lines = capsys.readouterr().err.splitlines()
    (settings,) = [line for line in lines if line.startswith(f'detect: {model.name}: head ')]
    assert all(part in settings for part in ('preprocessing ', 'input ', 'classes ('))
    (warning,) = [line for line in lines if "precision is 'fp16'" in line]
    assert warning.startswith('detect: ')


def test_a_warning_during_detection_is_printed_once(
    model: Path,
    pictures: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    original = SanityCheck.take_probe

    def take_probe(check: SanityCheck) -> bool:
        check._warn('late', 'these scores may be wrong')
        return original(check)

    monkeypatch.setattr(SanityCheck, 'take_probe', take_probe)
    # As outside of pytest, where Python itself prints warnings that nothing handles.
    monkeypatch.setattr(logging.getLogger(), 'handlers', [])
    assert main(['--model', str(model), '--images', str(pictures)]) == 0
    lines = capsys.readouterr().err.splitlines()
    found = [line for line in lines if 'these scores may be wrong' in line]
    assert found == ['detect: these scores may be wrong']


def test_pictures_are_drawn(model: Path, pictures: Path, tmp_path: Path) -> None:
    drawn = tmp_path / 'drawn'
    assert _run(model, tmp_path / 'o.json', '--images', pictures, '--save-pictures', drawn) == 0
    assert sorted(path.name for path in drawn.iterdir()) == ['a.JPG', 'b.png', 'c.bmp']
    before = cv2.imread(str(pictures / 'b.png'))
    after = cv2.imread(str(drawn / 'b.png'))
    assert after.shape == before.shape
    assert (after != before).any()


def test_a_damaged_picture_does_not_affect_the_others(
    model: Path, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = (pictures / 'a.JPG').read_bytes()
    (pictures / 'a.JPG').write_bytes(data[: len(data) // 2])
    out = tmp_path / 'out.json'
    assert _run(model, out, '--images', pictures) == 1
    assert [entry['file'] for entry in json.loads(out.read_text())] == ['b.png', 'c.bmp']
    assert 'a.JPG' in capsys.readouterr().err


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (('--images', 'nowhere'), 'nowhere does not exist; name a folder or picture files'),
        (('--images', '.', '--score-threshold', '2'), 'score_threshold is 2.0; expected 0 to 1'),
        (('--images', '.', '--classes', 'car'), "classes holds 'car'"),
    ],
)
def test_bad_input_is_reported_in_one_line(
    model: Path,
    pictures: Path,
    tmp_path: Path,
    arguments: tuple[str, ...],
    message: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(pictures)
    assert _run(model, tmp_path / 'out.json', *arguments) == 1
    assert message in capsys.readouterr().err
    assert not (tmp_path / 'out.json').exists()


def test_a_folder_without_pictures_is_reported(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / 'empty').mkdir()
    assert _run(model, tmp_path / 'out.json', '--images', tmp_path / 'empty') == 1
    assert 'holds no picture (.bmp .jpeg' in capsys.readouterr().err


def test_it_runs_as_a_module(model: Path, pictures: Path, tmp_path: Path) -> None:
    command = [
        sys.executable, '-m', 'trt_detector', 'detect', '--model', model, '--images', pictures,
        '--json', tmp_path / 'out.json',
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert '3 pictures, 3 detections, 0 unreadable or refused' in done.stdout


@pytest.mark.parametrize(('arguments', 'code'), [(['--help'], 0), ([], 0), (['detec'], 2)])
def test_the_module_lists_its_tools(arguments: list[str], code: int) -> None:
    done = subprocess.run(
        [sys.executable, '-m', 'trt_detector', *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code
    assert ('did you mean' in done.stderr) is (code == 2)
    listed = done.stderr if code else done.stdout
    tools = {path.stem for path in TOOLS.glob('*.py') if 'def main(' in path.read_text()}
    tools |= {path.parent.name for path in TOOLS.glob('*/main.py')}
    assert {line.split()[0] for line in listed.splitlines() if line.startswith('  ')} == tools


def test_a_switch_has_an_option_for_each_side() -> None:
    parser = argparse.ArgumentParser()
    add_parameter_options(parser, ('cuda_graph', 'device_id'))
    names = ('cuda_graph', 'device_id')
    for words, expected in (
        ([], {}),
        (['--cuda-graph'], {'cuda_graph': True}),
        (['--no-cuda-graph', '--device-id', '1'], {'cuda_graph': False, 'device_id': 1}),
    ):
        assert given_parameters(parser.parse_args(words), names) == expected


@pytest.mark.parametrize('crop', [[], ['--crop-to-regions']])
def test_regions_select_and_are_drawn(
    crop: list[str], model: Path, pictures: Path, tmp_path: Path
) -> None:
    # The lamp of a.JPG is at 160 of 640 pixels, those of the others at 8 and 0 of 64.
    out, drawn = tmp_path / 'out.json', tmp_path / 'drawn'
    assert _run(model, out, '--images', pictures) == 0
    everything = {entry['file']: entry['detections'] for entry in json.loads(out.read_text())}
    region = 'include 0.26,0 0.5,0 0.5,0.5 0.26,0.5'
    arguments = ('--images', pictures, '--save-pictures', drawn, '--regions', region)
    assert _run(model, out, *arguments, *crop) == 0
    found = {entry['file']: entry['detections'] for entry in json.loads(out.read_text())}
    assert [name for name in found if found[name]] == ['a.JPG']
    if not crop:
        assert found['a.JPG'] == everything['a.JPG']
    left, _, right, _ = found['a.JPG'][0]['bbox_xyxy']
    assert 160 <= left < right <= 240, 'in pixels of the whole picture'
    blue, green, red = cv2.imread(str(drawn / 'b.png'))[20, round(0.5 * 63)].tolist()
    assert green > max(blue, red), 'the right edge of the region'


def test_sizes_and_new_names_select_in_pictures(
    model: Path, pictures: Path, tmp_path: Path
) -> None:
    out = tmp_path / 'out.json'
    arguments = ('--images', pictures, '--min-size', '40', '--class-map', 'lamp:light')
    assert _run(model, out, *arguments) == 0
    found = {entry['file']: entry['detections'] for entry in json.loads(out.read_text())}
    assert [name for name in found if found[name]] == ['a.JPG']
    assert found['a.JPG'][0]['class_name'] == 'light'


def test_a_region_of_a_camera_is_refused_for_pictures(
    model: Path, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    region = '/left/image: include 0,0 1,0 1,1'
    assert _run(model, tmp_path / 'o.json', '--images', pictures, '--regions', region) == 1
    assert 'these images are of no camera: leave it out' in capsys.readouterr().err
