"""An ATA-6 hard disk: the commands between the task file and the image behind it.

Source: ATA/ATAPI-6 (T13 1410D), section 6.2 (addressing), 8 (commands), 9 (protocols).
"""
from collections.abc import Callable

from pyemu.machine.block.backend import Backend
from pyemu.machine.block.base import SECTOR, Data
from pyemu.machine.block.request import Flush, Read, Write
from pyemu.machine.ide_device import (
    ABRT,
    COUNT,
    DEVICE,
    DRQ,
    FEATURES,
    IDNF,
    LBA_HIGH,
    LBA_LOW,
    LBA_MID,
    READY,
    UNC,
    IdeDevice,
)
from pyemu.machine.ide_identify import (
    DMA_MODES,
    MOST_MULTIPLE,
    ULTRA,
    Geometry,
    default_geometry,
    identify,
)
from pyemu.trace.hooks import trace_ide_dma_cb, trace_ide_sector_read, trace_ide_sector_write

LBA = 1 << 6  # DEVICE: an LBA, not a cylinder, head and sector
HEAD = 0xF  # DEVICE: the head, or bits 24-27 of the LBA

# SET FEATURES
ENABLE_WRITE_CACHE = 0x02
SET_TRANSFER_MODE = 0x03
DISABLE_WRITE_CACHE = 0x82

# What CHECK POWER MODE answers, and one in which the device answers nothing.
STANDBY, IDLE, ACTIVE = 0x00, 0x80, 0xFF
SLEEPING = -1


class AtaDisk(IdeDevice):
    """A disk whose sectors are in an image.

    geometry: what it shows after power-on; None for the usual one of its size.
    """

    backend: Backend
    STATE = (*IdeDevice.STATE, "sector", "count", "extended", "block", "writing", "geometry",
             "multiple", "write_cache")

    def __init__(self, backend: Backend, serial: str = "QM00001",
                 model: str = "PYEMU HARDDISK", firmware: str = "2.5+",
                 geometry: Geometry | None = None):
        super().__init__(backend)
        self.total = backend.size // SECTOR
        self.serial = serial
        self.model = model
        self.firmware = firmware
        self.default_geometry = geometry or default_geometry(self.total)
        self.reset()

    def reset(self) -> None:
        self.geometry = self.default_geometry
        self.multiple = MOST_MULTIPLE
        self.dma_mode = (ULTRA, max(DMA_MODES[ULTRA]))
        self.write_cache = self.backend.write_cache
        self.soft_reset()

    def soft_reset(self) -> None:
        super().soft_reset()
        self.power = ACTIVE
        self.sector = self.count = 0  # next sector, sectors left
        self.extended = self.writing = False
        self.block = 1  # sectors in a data block

    def execute(self, command: int) -> None:
        if self.power == SLEEPING:
            return
        self.status = READY
        self.error = 0
        self.COMMANDS.get(command, AtaDisk.abort)(self)

    # What is asked of the image; `done` continues the command

    def _fetch(self, count: int, done: Callable[[bytes], None]) -> None:
        """Read `count` sectors at `sector`."""
        self.ask(Read(self.sector * SECTOR, count * SECTOR, lambda data, error:
                       self._fail_here(UNC) if error else done(data)))

    def _store(self, data: Data, done: Callable[[int], None]) -> None:
        """Write `data` at `sector`; through the cache if the host has switched that off."""
        count = len(data) // SECTOR
        self.ask(Write(self.sector * SECTOR, data, lambda _, error:
                        self._fail_here(ABRT) if error else done(count),
                        through=not self.write_cache))

    # Addresses

    def _begin(self, extended: bool) -> bool:
        """Take address and count from the task file. False if there is no such place."""
        task, before = self.task, self.previous
        self.extended = extended
        self.power = ACTIVE
        self.count = task[COUNT] or 1 << 8
        low = task[LBA_LOW] | task[LBA_MID] << 8 | task[LBA_HIGH] << 16
        if extended:
            self.count = before[COUNT] << 8 | task[COUNT] or 1 << 16
            self.sector = (low | before[LBA_LOW] << 24 | before[LBA_MID] << 32
                           | before[LBA_HIGH] << 40)
        elif task[DEVICE] & LBA:
            self.sector = low | (task[DEVICE] & HEAD) << 24
        else:
            _, heads, sectors = self.geometry
            head = task[DEVICE] & HEAD
            if not 1 <= task[LBA_LOW] <= sectors or head >= heads:
                self.fail(IDNF)
                return False
            self.sector = ((low >> 8) * heads + head) * sectors + task[LBA_LOW] - 1
        return True

    def _exists(self, count: int) -> bool:
        """Whether the next `count` sectors do; if not the command has failed."""
        if self.sector + count <= self.total:
            return True
        self.sector = max(self.sector, self.total)
        self.backend.invalid("wr" if self.writing else "rd")
        self._fail_here(IDNF)
        return False

    def _advance(self, count: int) -> None:
        """So many sectors are done: the task file shows the next one, and how many are left."""
        self.sector += count
        self.count -= count
        self.task[COUNT] = self.count & 0xFF
        self.previous[COUNT] = self.count >> 8
        self._show(self.sector)

    def _show(self, sector: int) -> None:
        task, before = self.task, self.previous
        if not self.extended and not task[DEVICE] & LBA:
            _, heads, sectors = self.geometry
            track, number = divmod(sector, sectors)
            cylinder, head = divmod(track, heads)
            sector = number + 1 | (cylinder & 0xFFFF) << 8 | head << 24
        if self.extended:
            before[LBA_LOW:DEVICE] = (sector >> 24).to_bytes(6, "little")[:3]
        else:
            task[DEVICE] = task[DEVICE] & ~HEAD | sector >> 24 & HEAD
        task[LBA_LOW:DEVICE] = (sector & 0xFFFFFF).to_bytes(3, "little")

    def _fail_here(self, error: int) -> None:
        """Fail at `sector`. If the bus master was at it, it stops first."""
        if self.dma_length:
            self.channel.dma.end()
        self._show(self.sector)
        self.fail(error)

    # PIO: the host reads or writes data blocks

    def _read_pio(self, block: int, extended: bool = False) -> None:
        self.block = block
        self.writing = False
        if not block:
            self.abort()
        elif self._begin(extended):
            self._next_read()

    def _next_read(self) -> None:
        count = min(self.block, self.count)
        if not count:
            self.idle()
        elif self._exists(count):
            if trace_ide_sector_read:
                trace_ide_sector_read(self.sector, count)
            self._fetch(count, self._read_done)

    def _read_done(self, data: bytes) -> None:
        self._advance(len(data) // SECTOR)
        self.send(data, "_next_read")

    def _write_pio(self, block: int, extended: bool = False) -> None:
        self.block = block
        self.writing = True
        if not block:
            self.abort()
        elif self._begin(extended):
            self._next_write(first=True)

    def _next_write(self, first: bool = False) -> None:
        count = min(self.block, self.count)
        if not count:
            self.complete()
        elif self._exists(count):
            self.receive(count * SECTOR, "_write_block", interrupt=not first)

    def _write_block(self) -> None:
        if trace_ide_sector_write:
            trace_ide_sector_write(self.sector, len(self.buffer) // SECTOR)
        self._store(self.buffer, self._write_done)

    def _write_done(self, count: int) -> None:
        self._advance(count)
        self._next_write()

    # DMA: the command waits, with DRQ, until the bus master is started

    def _start_dma(self, writing: bool, extended: bool = False) -> None:
        self.writing = writing
        if not self.channel.dma:
            self.abort()
        elif self._begin(extended) and self._exists(self.count):
            self.status = READY | DRQ
            self.dma_length = self.count * SECTOR
            self.channel.dma.request()

    def run_dma(self) -> None:
        if trace_ide_dma_cb:
            trace_ide_dma_cb(self, self.sector, self.count,
                             "DMA WRITE" if self.writing else "DMA READ")
        if self.writing:
            self._store(self.channel.dma.from_memory(), self._dma_done)
        else:
            self._fetch(self.count, self._dma_read_done)

    def _dma_read_done(self, data: bytes) -> None:
        self.channel.dma.to_memory(data)
        self._dma_done(len(data) // SECTOR)

    def _dma_done(self, count: int) -> None:
        self._advance(count)
        self.channel.dma.end()
        self.complete()

    # Commands without sectors

    def _identify(self) -> None:
        self.send(identify(self.total, self.serial, self.firmware, self.model,
                           self.default_geometry, self.geometry, self.multiple, self.dma_mode,
                           self.write_cache), "idle")

    def _verify(self, extended: bool = False) -> None:
        self.writing = False
        if self._begin(extended) and self._exists(self.count):
            self._fetch(self.count, lambda data: self.complete())

    def _seek(self) -> None:
        if self._begin(False) and self._exists(1):
            self.complete()

    def _native_max(self, extended: bool = False) -> None:
        self.extended = extended
        self._show(self.total - 1 if extended else min(self.total - 1, (1 << 28) - 1))
        self.complete()

    def _flush(self) -> None:
        self.ask(Flush(lambda _, error: self.abort() if error else self.complete()))

    def _set_multiple(self) -> None:
        count = self.task[COUNT]
        if count > MOST_MULTIPLE or count & count - 1:
            self.abort()
        else:
            self.multiple = count
            self.complete()

    def _set_geometry(self) -> None:
        """INITIALIZE DEVICE PARAMETERS: a logical translation for CHS addresses."""
        heads, sectors = (self.task[DEVICE] & HEAD) + 1, self.task[COUNT]
        if not sectors:
            self.abort()
            return
        cylinders = min(self.default_geometry.total // (heads * sectors), 0xFFFF)
        self.geometry = Geometry(cylinders, heads, sectors)
        self.complete()

    def _set_features(self) -> None:
        feature = self.task[FEATURES]
        if feature == ENABLE_WRITE_CACHE:
            self.write_cache = True
            self.complete()
        elif feature == DISABLE_WRITE_CACHE:
            self.write_cache = False
            self._flush()
        elif feature == SET_TRANSFER_MODE:
            self.set_transfer_mode()
        else:
            self.abort()

    COMMANDS: dict[int, Callable[["AtaDisk"], None]] = {
        0x20: lambda disk: disk._read_pio(1),  # READ SECTOR(S)
        0x21: lambda disk: disk._read_pio(1),  # the same without retries
        0x24: lambda disk: disk._read_pio(1, extended=True),
        0x25: lambda disk: disk._start_dma(writing=False, extended=True),
        0x27: lambda disk: disk._native_max(extended=True),
        0x29: lambda disk: disk._read_pio(disk.multiple, extended=True),
        0x30: lambda disk: disk._write_pio(1),  # WRITE SECTOR(S)
        0x31: lambda disk: disk._write_pio(1),
        0x34: lambda disk: disk._write_pio(1, extended=True),
        0x35: lambda disk: disk._start_dma(writing=True, extended=True),
        0x39: lambda disk: disk._write_pio(disk.multiple, extended=True),
        0x40: _verify,  # READ VERIFY SECTOR(S)
        0x41: _verify,
        0x42: lambda disk: disk._verify(extended=True),
        0x70: _seek,
        0x91: _set_geometry,
        0xC4: lambda disk: disk._read_pio(disk.multiple),  # READ MULTIPLE
        0xC5: lambda disk: disk._write_pio(disk.multiple),  # WRITE MULTIPLE
        0xC6: _set_multiple,
        0xC8: lambda disk: disk._start_dma(writing=False),  # READ DMA
        0xC9: lambda disk: disk._start_dma(writing=False),
        0xCA: lambda disk: disk._start_dma(writing=True),  # WRITE DMA
        0xCB: lambda disk: disk._start_dma(writing=True),
        0xE5: IdeDevice.check_power,
        0x98: IdeDevice.check_power,
        0xE7: _flush,  # FLUSH CACHE
        0xEA: _flush,  # FLUSH CACHE EXT
        0xEC: _identify,
        0xEF: _set_features,
        0xF8: _native_max,
        **dict.fromkeys(range(0x10, 0x20), IdeDevice.complete),  # RECALIBRATE
        **dict.fromkeys((0xE0, 0xE2, 0x94, 0x96), lambda disk: disk.enter(STANDBY)),
        **dict.fromkeys((0xE1, 0xE3, 0x95, 0x97), lambda disk: disk.enter(IDLE)),
        **dict.fromkeys((0xE6, 0x99), lambda disk: disk.enter(SLEEPING)),
    }
