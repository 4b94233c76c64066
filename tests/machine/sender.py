# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A modality that sends images all along, keeps what was acknowledged, and waits where nobody answers."""

from __future__ import annotations

import itertools
import threading
import time

from clinic import SECONDARY_CAPTURE, Clinic, digest, image
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import AE

SIZE = 128 << 10
"""Bytes of pixels of an image."""
PAUSE = 1.0
"""Seconds between two images."""


class Sender:
    """Sends from its own thread, from `start` to `stop`."""

    def __init__(self, clinic: Clinic, seed: int) -> None:
        """Take the clinic; the images are others than those of another seed."""
        self.clinic, self.seed = clinic, seed
        self.acknowledged: dict[str, str] = {}
        self.times: list[float] = []
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.work, daemon=True)

    def start(self) -> None:
        """Begin to send."""
        self.thread.start()

    def stop(self) -> None:
        """End sending; nothing happens when it never began."""
        self.over.set()
        if self.thread.is_alive():
            self.thread.join(120)

    def work(self) -> None:
        """Send image after image; one that was not acknowledged is sent again."""
        entity = AE("MODALITY")
        entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = 15
        entity.add_requested_context(SECONDARY_CAPTURE, ExplicitVRLittleEndian)
        numbers = itertools.count()
        number = next(numbers)
        while not self.over.is_set():
            association = entity.associate("127.0.0.1", self.clinic.dicom, ae_title="LUMIERE")
            while association.is_established and not self.over.is_set():
                sent = image(self.seed, number, SIZE)
                try:
                    status = association.send_c_store(sent)
                except (RuntimeError, ValueError):  # the association ended meanwhile
                    break
                if "Status" not in status or status.Status != 0:
                    break
                self.acknowledged[sent.SOPInstanceUID] = digest(sent)
                self.times.append(time.monotonic())
                number = next(numbers)
                self.over.wait(PAUSE)
            if association.is_established:
                association.release()
            self.over.wait(PAUSE)

    def longest_silence(self, since: float, until: float) -> float:
        """Return the longest time, in seconds, without an acknowledgement between two moments of time.monotonic."""
        marks = [since, *(each for each in self.times if since < each < until), until]
        return max(after - before for before, after in itertools.pairwise(marks))
