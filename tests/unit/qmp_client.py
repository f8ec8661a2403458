"""A QMP session on a machine of stand-ins, and a client at its other end."""
import json
from types import SimpleNamespace

from pyemu.clock import Clock
from pyemu.config import MIB, Config, DriveConfig
from pyemu.machine.block.drive import Drive
from pyemu.machine.block.statistics import Statistics
from pyemu.machine.ps2_keyboard import Keyboard
from pyemu.machine.ps2_mouse import Mouse
from pyemu.monitor.qmp.session import Session
from unit.far_end import FarEnd


class FakeRunner:
    """A machine of 64 KiB that notes what it is told."""

    thread_id = 4711

    def __init__(self):
        self.state = "running"
        self.log = []
        self.on_event = []
        self.vnc = []
        self.clock = Clock(source=lambda: 0)
        ram = bytes(range(256)) * 256
        self.memory = SimpleNamespace(
            peek=lambda address, length: ram[address:address + length],
            find=lambda address: SimpleNamespace(
                end=len(ram), kind="ram" if address < len(ram) else "gap"))
        self.cpu = SimpleNamespace(
            translate=lambda address: address if address < len(ram) else -1)
        image = SimpleNamespace(format="raw", read_only=False, size=MIB, node_name="#block000",
                                statistics=Statistics())
        self.machine = SimpleNamespace(
            drives={"ide0-hd0": Drive("ide0-hd0", image)},
            keyboard=Keyboard(), mouse=Mouse(), nics=[], virtio_disks=[],
            lapic=SimpleNamespace(lint1=lambda level: None), pci=SimpleNamespace(devices={}))

    def status(self):
        return self.state

    def call(self, function):
        return function()

    def __getattr__(self, name):
        """pause, resume, ... are noted."""
        if name.startswith("_"):
            raise AttributeError(name)
        return lambda: self.log.append(name)


class Client(FarEnd):
    """Everything happens when it is asked for; the session's thread is not started."""

    def __init__(self, negotiated=True, **options):
        super().__init__()
        self.runner = FakeRunner()
        config = Config(name="box", drives=[DriveConfig("a.img", 0, "-hda a.img")])
        self.session = Session(self.runner, config, self, "qmp", **options)
        self.open()
        if negotiated:
            assert self.ask({"execute": "qmp_capabilities"}) == {"return": {}}

    def describe(self):
        return [("serial0", "stdio")]

    def send_break(self, ident):
        return ident == "serial0"

    def open(self):
        self.front_end.opened()
        self.greeting = self.messages()

    def send(self, data):
        """Send bytes; return all messages that come back."""
        self.front_end.receive(data)
        return self.messages()

    def messages(self):
        while self.waiting:
            self.waiting.pop(0)()
        while not self.session._queue.empty():
            self.session._queue.get()()
        lines, self.sent = self.sent.split(b"\r\n"), b""
        return [json.loads(line) for line in lines if line]

    def ask(self, message):
        """Send one message; return its only answer."""
        answer, = self.send(json.dumps(message).encode() + b"\n")
        return answer

    def execute(self, command, **arguments):
        """What the command returns, or (class, desc) of its error."""
        answer = self.ask({"execute": command, "arguments": {
            name.replace("_", "-"): value for name, value in arguments.items()}})
        if "error" in answer:
            return answer["error"]["class"], answer["error"]["desc"]
        return answer["return"]
