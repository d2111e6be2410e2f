# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Write the results of a bag, beside the inference."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
import queue
import threading

from .cameras import RecordTracks
from .detecting import FinishedBatch
from .journal import Journal
from .output import Output
from .summary import Summary

__all__ = ['WriteStage']

_QUEUE_SIZE = 16


class WriteStage:
    """
    Thread that writes batches to the journal and the output.

    :param output: opened, written and finished in this thread.
    :param journal: gets the batches that it does not have yet.
    :param summary: counts the images.
    :param tracks: track the detections on their way to the output; the journal has them before.
    :param release: called for each image with pixels that is written.
    """

    def __init__(
        self,
        output: Output,
        journal: Journal,
        summary: Summary,
        tracks: RecordTracks,
        release: Callable[[], None],
    ) -> None:
        self._output = output
        self._journal = journal
        self._summary = summary
        self._tracks = tracks
        self._release = release
        self._queue: queue.Queue[tuple[FinishedBatch, bool] | None] = queue.Queue(_QUEUE_SIZE)
        self._error: BaseException | None = None
        self._result: Path | None = None
        self._complete = False
        self._thread = threading.Thread(target=self._run, name='write output', daemon=True)
        self._thread.start()

    def put(self, batch: FinishedBatch, *, replayed: bool = False) -> None:
        """
        Queue a batch.

        :param replayed: the journal has it already.
        :raises OSError: if an earlier one could not be written.
        """
        if self._error is not None:
            raise self._error
        self._queue.put((batch, replayed))

    def finish(self) -> Path:
        """
        Complete the output and return its file or folder.

        :raises OSError: if it cannot be written.
        """
        self._complete = True
        self.close()
        if self._error is not None or self._result is None:
            raise self._error or RuntimeError('the output has no result')
        return self._result

    def close(self) -> None:
        """Write what is queued and end the thread; calling it again does nothing."""
        if self._thread.is_alive():
            self._queue.put(None)
            self._thread.join()

    def _run(self) -> None:
        """Thread main loop; after an error the rest is only taken from the queue."""
        try:
            self._output.open()
        except BaseException as error:  # noqa: BLE001 raised again in the thread that queues
            self._error = error
        while (work := self._queue.get()) is not None:
            try:
                if self._error is None:
                    self._write(*work)
            except BaseException as error:  # noqa: BLE001 raised again in the thread that queues
                self._error = error
            for _, _, image in work[0].items:
                if image is not None:
                    self._release()
        try:
            if self._complete and self._error is None:
                self._result = self._output.finish()
            else:
                self._output.abort()
        except BaseException as error:  # noqa: BLE001 raised again in finish()
            self._error = self._error or error

    def _write(self, batch: FinishedBatch, replayed: bool) -> None:
        """Write one batch; the journal first, from which the output can be made again."""
        if not replayed and batch.entry.records:
            self._journal.append(batch.entry)
        for item, record, image in batch.items:
            if item.copied:
                self._output.copy(item.message)
            if record is None:
                continue
            record = self._tracks.update(record)
            if record.detections is not None:
                self._output.write(record, image)
            self._summary.add(record, replayed=replayed)
