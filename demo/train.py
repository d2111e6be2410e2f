#!/usr/bin/env python3
# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Train the demo detector on drawn scenes and write a checkpoint."""

import argparse
from collections.abc import Iterator
import copy
import json
import math
from pathlib import Path
import time
from typing import Any

from scenes import CLASS_NAMES
from splits import TRAIN_SEEDS
import torch
from torch import nn, Tensor
from trainer.augment import augment
from trainer.data import Batches, Rendered, rendered_scenes, SceneStore
from trainer.loss import detection_loss, Targets
from trainer.network import DemoDetector, grid_points

__all__ = ['main', 'train']

INPUT_SIZE = (320, 512)
"""Height and width of the network's input in pixels."""
_SEED = 20260101
_BLOCKS = 8
_POINTS_AN_OBJECT = 10


class _Average:
    """An exponential moving average of a network's weights and statistics."""

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.network = copy.deepcopy(network).eval().requires_grad_(False)
        self._decay, self._updates = decay, 0
        self._mine, self._source = (
            [t for t in n.state_dict().values() if t.is_floating_point()]
            for n in (self.network, network)
        )

    @torch.no_grad()
    def update(self) -> None:
        self._updates += 1
        decay = self._decay * (1 - math.exp(-self._updates / 500))
        torch._foreach_lerp_(self._mine, self._source, 1 - decay)


def _rate(step: int, steps: int, warmup: int) -> float:
    """Return the share of the full learning rate at a step: linear warm-up, then cosine."""
    if step < warmup:
        return (step + 1) / warmup
    done = (step - warmup) / max(1, steps - warmup)
    return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * done))


def _groups(network: nn.Module, decay: float) -> list[dict[str, Any]]:
    weights = [p for p in network.parameters() if p.ndim > 1]
    others = [p for p in network.parameters() if p.ndim <= 1]
    return [{'params': weights, 'weight_decay': decay}, {'params': others, 'weight_decay': 0.0}]


def _mildness(step: int, steps: int) -> tuple[float, float]:
    """Return strength and mosaic share: strong at first, nearly plain pictures at the end."""
    done = step / steps
    return (1.0, 0.35) if done < 0.6 else (0.8, 0.12) if done < 0.8 else (0.35, 0.0)


def _losses(
    output: tuple[Any, Any], points: Tensor, strides: Tensor, targets: Targets
) -> tuple[Tensor, Tensor]:
    many, many_terms = detection_loss(output[0], points, strides, targets, _POINTS_AN_OBJECT)
    one, one_terms = detection_loss(output[1], points, strides, targets, 1)
    return many + one, torch.cat([many_terms, one_terms])


def _named(terms: Tensor) -> dict[str, float]:
    """Return the six loss terms by name."""
    names = ('many_class', 'many_box', 'many_side', 'one_class', 'one_box', 'one_side')
    return dict(zip(names, (round(v, 4) for v in terms.tolist()), strict=True))


def _save(
    path: Path,
    average: _Average,
    options: argparse.Namespace,
    step: int,
    history: list[dict[str, float]],
    seconds: float,
) -> None:
    info = {
        'scenes': options.scenes,
        'steps': options.steps,
        'step': step,
        'batch': options.batch,
        'learning_rate': options.rate,
        'seed': _SEED,
        'epochs': round(step * options.batch / options.scenes, 1),
        'train_seconds': round(seconds, 1),
        'torch': str(torch.__version__),
        'cuda': torch.version.cuda,
        'first_seed': TRAIN_SEEDS.start,
        'input_size': list(INPUT_SIZE),
        'history': history,
    }
    if torch.cuda.is_available():
        info['gpu'] = 'one ' + torch.cuda.get_device_name()
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix('.partial')
    torch.save({'state': average.network.state_dict(), 'info': info}, partial)
    partial.replace(path)
    path.with_suffix('.json').write_text(json.dumps(info, indent=1) + '\n')


def _fill(store: SceneStore, scenes: Iterator[Rendered], done: float) -> None:
    """
    Add the scenes that are due, waiting for them if need be.

    Scenes come in blocks over the first half of training, so that rendering and training overlap
    and yet every run of training sees the same scenes at the same step.
    """
    capacity = len(store.images)
    block = math.ceil(capacity / _BLOCKS)
    due = min(capacity, block * math.ceil(2 * done * _BLOCKS))
    if store.count < due:
        waited = time.monotonic()
        store.take(scenes, due - store.count)
        print(f'{store.count} scenes; waited {time.monotonic() - waited:.1f} s', flush=True)


def train(options: argparse.Namespace) -> None:
    """Train by `options` and keep the newest checkpoint in `options.out`."""
    device = torch.device('cuda' if torch.cuda.is_available() else 'cpu')
    began = time.monotonic()
    seeds = TRAIN_SEEDS[: options.scenes]
    scenes = rendered_scenes(seeds, options.workers)
    torch.manual_seed(_SEED)
    rng = torch.Generator(device).manual_seed(_SEED)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    torch.backends.cudnn.benchmark = True
    network = DemoDetector(len(CLASS_NAMES)).to(device, memory_format=torch.channels_last)
    average = _Average(network, 0.9995)
    forward = torch.compile(network) if options.compile else network
    optimizer = torch.optim.AdamW(_groups(network, 0.02), lr=options.rate)
    points, strides = grid_points(*INPUT_SIZE, device)
    store = SceneStore(len(seeds), device)
    batches = Batches(store, options.batch, rng)
    history: list[dict[str, float]] = []
    for step in range(options.steps):
        _fill(store, scenes, (step + 1) / options.steps)
        for group in optimizer.param_groups:
            group['lr'] = options.rate * _rate(step, options.steps, 300)
        images, targets = augment(
            *batches.next(), INPUT_SIZE, *_mildness(step, options.steps), rng
        )
        images = images.contiguous(memory_format=torch.channels_last)
        with torch.autocast(device.type, torch.bfloat16):
            output = forward(images)
        loss, terms = _losses(output, points, strides, targets)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 10.0)
        optimizer.step()
        average.update()
        if step % options.report == 0 or step == options.steps - 1:
            seconds = time.monotonic() - began
            history.append({'step': step, 'seconds': round(seconds, 1), **_named(terms)})
            print(history[-1], flush=True)
            _save(options.out, average, options, step + 1, history, seconds)


def main() -> None:
    """Read the command line and train."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--out', type=Path, required=True, help='checkpoint to write (.pt)')
    parser.add_argument('--scenes', type=int, default=11000)
    parser.add_argument('--steps', type=int, default=4400)
    parser.add_argument('--batch', type=int, default=128)
    parser.add_argument('--rate', type=float, default=2e-3, help='learning rate')
    parser.add_argument('--workers', type=int, default=14, help='processes that render')
    parser.add_argument('--report', type=int, default=200, help='steps between two reports')
    parser.add_argument('--compile', action='store_true', help='use torch.compile')
    train(parser.parse_args())


if __name__ == '__main__':
    main()
