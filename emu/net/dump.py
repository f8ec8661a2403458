"""A file in pcap's format with a copy of each frame that passes.

Source: draft-ietf-opsawg-pcap, sections 4 and 5.
"""
import errno
import os
import struct
import time
from io import FileIO

from pyemu.config import DumpConfig
from pyemu.report import complain

FILE_HEADER = struct.Struct("<IHHiIII")
RECORD_HEADER = struct.Struct("<IIII")
MAGIC, VERSION, ETHERNET = 0xA1B2_C3D4, (2, 4), 1
MICROSECONDS = 1_000_000


class Dump:
    """Opens the file at once: raises OSError. Used on the I/O thread only. A frame is in the file
    when it has passed, for those who watch.
    """

    def __init__(self, config: DumpConfig):
        self.config = config
        self._file: FileIO | None = FileIO(config.file, "wb")
        self._file.write(FILE_HEADER.pack(MAGIC, *VERSION, 0, 0, config.maxlen, ETHERNET))

    def from_guest(self, frame: bytes) -> None:
        if self.config.queue != "tx":
            self._record(frame)

    def to_guest(self, frame: bytes) -> None:
        if self.config.queue != "rx":
            self._record(frame)

    def close(self) -> None:
        if self._file is not None:
            file, self._file = self._file, None
            try:
                file.close()
            except OSError as error:
                self._lose(error)

    def _record(self, frame: bytes) -> None:
        if self._file is None:
            return
        seconds, micros = divmod(time.time_ns() // 1000, MICROSECONDS)
        kept = frame[:self.config.maxlen]
        try:
            record = RECORD_HEADER.pack(seconds, micros, len(kept), len(frame)) + kept
            if self._file.write(record) < len(record):  # the next one would not be found
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            self._file = None
            self._lose(error)

    def _lose(self, error: OSError) -> None:
        complain(f"{self.config.source}: {self.config.file}: {error.strerror}")
