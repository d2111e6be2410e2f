# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Streams, kernels and threads of all batch slots of an engine."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from .kernels.candidates import CandidateFilter
from .kernels.letterbox import LetterboxKernel
from .uploads.jpeg_decoder import JpegDecoder
from .uploads.shared_uploads import SharedUploads

__all__ = ['SharedStreams']


@dataclass(slots=True, eq=False)
class SharedStreams:
    """
    Streams, kernels and threads that the batch slots of an engine share.

    The engine's own stream runs only the network. Upload and download run in parallel with the
    network of another slot. Events order the three streams.

    :param kernel: kernel that fills the input.
    :param upload: stream of the image uploads and the kernel.
    :param download: stream of the candidate filter and the output downloads.
    :param copiers: threads that copy images to page-locked memory.
    :param shared: uploads of images that other detectors of the process use, too; joined.
    :param jpegs: decoder of JPEG images.
    :param candidates: filter for the candidates of a raw head, None to copy all outputs.
    :param users: number of open slots.
    """

    kernel: LetterboxKernel
    upload: Any
    download: Any
    copiers: ThreadPoolExecutor
    shared: SharedUploads
    jpegs: JpegDecoder
    candidates: CandidateFilter | None
    users: int = 0

    def leave(self) -> None:
        """Release one slot, and close the streams after the last one."""
        self.users -= 1
        if not self.users:
            self.close()

    def close(self) -> None:
        """
        Free kernels, streams and threads; calling it again does nothing.

        The context must be current.
        """
        if self.upload is None:
            return
        self.copiers.shutdown()
        self.kernel.close()
        if self.candidates is not None:
            self.candidates.close()
        self.shared.leave()
        self.upload = self.download = None
