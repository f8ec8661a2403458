"""gdb's end of the remote protocol, and a machine of stand-ins at the other."""
from types import SimpleNamespace

from pyemu.config import Config
from pyemu.gdbstub.packets import framed
from pyemu.gdbstub.stub import Stub
from pyemu.runstate import RunState
from unit.far_end import FarEnd

CODE_64 = 1 << 15  # of hflags
RAM = 0x10000


class FakeCpu:
    """All registers hold what is set; 64 KiB are mapped to themselves."""

    kernel_gs_base = cr0 = cr2 = cr3 = cr4 = cr8 = efer = mxcsr = 0
    rflags = 2
    hflags = CODE_64
    watch_hit = -1
    cs = ss = ds = es = (8, 0, 0, 0)
    fs = gs = (0, 0x1234, 0, 0)

    def __init__(self):
        for number, name in enumerate(("rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "rsp", "r8",
                                       "r9", "r10", "r11", "r12", "r13", "r14", "r15", "rip")):
            setattr(self, name, number * 0x1_0000_0001)
        self.xmm, self.st = [0] * 16, [0] * 8
        self.fpu = {"fctrl": 0x37f, "fstat": 0, "ftag": 0xffff}
        self.breakpoints, self.watchpoints = [], []
        self.get_xmm, self.get_st = self.xmm.__getitem__, self.st.__getitem__
        self.set_xmm, self.set_st = self.xmm.__setitem__, self.st.__setitem__
        self.get_fpu_word, self.set_fpu_word = self.fpu.__getitem__, self.fpu.__setitem__

    def translate(self, address):
        return address if address < RAM else -1

    def set_breakpoints(self, addresses):
        self.breakpoints = list(addresses)

    def set_watchpoints(self, watchpoints):
        self.watchpoints = list(watchpoints)


class FakeRunner:
    def __init__(self):
        self.state = RunState.PAUSED
        self.log = []
        self.on_state = []
        self.cpu = FakeCpu()
        self.ram = bytearray(RAM)
        self.memory = SimpleNamespace(read=self._read, write=self._write)

    def _read(self, address, length):
        return bytes(self.ram[address:address + length]).ljust(length, b"\xff")

    def _write(self, address, data):
        if address + len(data) <= RAM:
            self.ram[address:address + len(data)] = data

    def call(self, function):
        return function()

    def status(self):
        return self.state.text

    def enter(self, state):
        if state is not self.state:
            self.state = state
            for notify in self.on_state:
                notify(state)

    def pause(self):
        if self.state is RunState.RUNNING:
            self.enter(RunState.PAUSED)

    def resume(self):
        self.log.append("resume")
        self.enter(RunState.RUNNING)

    def step(self):
        self.log.append("step")
        self.enter(RunState.RUNNING)
        self.enter(RunState.DEBUG)

    def quit(self, status=0, cause=""):
        self.log.append("quit")


class Client(FarEnd):
    """Everything happens when it is asked for; the stub's thread is not started."""

    def __init__(self):
        super().__init__()
        self.runner = FakeRunner()
        self.cpu = self.runner.cpu
        self.stub = Stub(self.runner, Config(), self, "gdb")
        self.front_end.opened()
        self.run()

    def describe(self):
        return []

    def run(self):
        """Let everything happen; return what has come since."""
        while self.waiting or not self.stub._queue.empty():
            (self.waiting.pop(0) if self.waiting else self.stub._queue.get())()
        sent, self.sent = self.sent, b""
        return sent

    def send(self, data):
        self.front_end.receive(data)
        return self.run()

    def ask(self, packet):
        """The data of the one answer to a packet; "" for an empty one, None for none."""
        sent = self.send(framed(packet.encode("latin-1")))
        assert sent[:1] == b"+"
        if sent == b"+":
            return None
        data = sent[2:-3]
        assert framed(data) == sent[1:]
        return data.decode("latin-1")
