"""Clients of the monitors: socat at Unix and TCP sockets; and such as never read, or vanish."""
import os
import shutil
import socket
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from ..guests.harness import assemble
from .console import MONITOR, PYEMU

PATIENCE = 60  # seconds
BOOT_SECTOR, COUNTER = 0x7c00, 0x7e00
GUEST = f"""
again:  inc dword [{COUNTER}]
        jmp again
        times 510 - ($ - $$) db 0
        dw 0xaa55
"""


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


@contextmanager
def machine(folder, *options):
    """One that counts."""
    (folder / "disk").write_bytes(assemble(GUEST, 16, BOOT_SECTOR))
    command = [PYEMU, "-display", "none", "-nodefaults", "-m", "16",
               "-drive", "file=disk,format=raw,snapshot=on", *options]
    with subprocess.Popen(command, cwd=folder) as process:
        try:
            yield process
        finally:
            process.kill()


def connected(path):
    """A client of the Unix socket, once it is there."""
    client = socket.socket(socket.AF_UNIX)
    client.settimeout(PATIENCE)
    deadline = time.monotonic() + PATIENCE
    while client.connect_ex(str(path)):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return client


@pytest.mark.parametrize("kind", ["unix", "tcp", "chardev"])
def test_socat(tmp_path, kind):
    """One session after another, the last of which ends the machine."""
    if not shutil.which("socat"):
        pytest.skip("socat is not installed")
    port = free_port()
    address = f"TCP:127.0.0.1:{port}" if kind == "tcp" else f"UNIX-CONNECT:{tmp_path}/monitor"
    options = {
        "unix": ["-monitor", "unix:monitor,server=on,wait=off"],
        "tcp": ["-monitor", f"tcp:127.0.0.1:{port},server=on,wait=off"],
        "chardev": ["-chardev", "socket,id=m,path=monitor,server=on,wait=off",
                    "-mon", "chardev=m,mode=readline"]}[kind]

    def session(lines):
        return subprocess.run(["socat", "-t", "5", "-", f"{address},retry=100,interval=0.1"],
                              input=lines, capture_output=True, text=True, timeout=PATIENCE).stdout

    with machine(tmp_path, *options) as process:
        for _ in range(2):
            greeting, _, text = session("info kvm\nnosuch\n").partition("\n")
            assert greeting.endswith("monitor - type 'help' for more information")
            assert text == (f"{MONITOR}info kvm\nkvm support: disabled\n"
                            f"{MONITOR}nosuch\nunknown command: 'nosuch'\n{MONITOR}")
        session("quit\n")
        assert process.wait(PATIENCE) == 0


class Watcher:
    """A second monitor, by which the guest's progress is seen."""

    def __init__(self, path):
        self.socket = connected(path)
        self._read()

    def _read(self):
        data = b""
        while not data.endswith(MONITOR.encode()):
            data += self.socket.recv(4096)
        return data.decode()

    def ask(self, line):
        self.socket.sendall(line.encode() + b"\n")
        return self._read()

    def count(self):
        return int(self.ask(f"xp/uw {COUNTER}").split("\r\n")[1].split()[-1])

    def wait_for_progress(self, help_it=False):
        """Of the guest, which a debugger stops with each packet: then the user lets it go."""
        before = self.count()
        deadline = time.monotonic() + PATIENCE
        while self.count() == before:
            assert time.monotonic() < deadline
            if help_it:
                self.ask("cont")
            time.sleep(0.02)


FLOODS = {
    "monitor": (["-monitor", "unix:flood,server=on,wait=off"], b"help\n"),
    "qmp": (["-qmp", "unix:flood,server=on,wait=off"],
            b'{"execute":"qmp_capabilities"}{"execute":"query-qmp-schema"}'),
    "serial": (["-chardev", "socket,id=s,path=flood,server=on,wait=off,mux=on",
                "-serial", "chardev:s", "-mon", "chardev=s"], b"\x01chelp\n\x01c"),
    "gdb": (["-gdb", "unix:flood,server=on,wait=off"], b"$g#67"),
}


@pytest.mark.parametrize("kind", FLOODS)
def test_a_client_that_never_reads_does_not_stall_the_guest(tmp_path, kind):
    options, request = FLOODS[kind]
    with machine(tmp_path, "-monitor", "unix:watch,server=on,wait=off", *options) as process:
        watcher = Watcher(tmp_path / "watch")
        watcher.wait_for_progress()
        client = connected(tmp_path / "flood")
        client.setblocking(False)
        stuck = 0
        while stuck < 20:  # until nobody takes any more, for a second
            try:
                client.send(request * 50)
                stuck = 0
            except BlockingIOError:
                stuck += 1
                time.sleep(0.05)
        watcher.wait_for_progress(kind == "gdb")
        client.close()
        watcher.wait_for_progress(kind == "gdb")
        connected(tmp_path / "flood").close()
        watcher.wait_for_progress(kind == "gdb")
        watcher.socket.sendall(b"quit\n")
        assert process.wait(PATIENCE) == 0


def test_nobody_listens_but_where_the_user_asked(tmp_path):
    port = free_port()
    with machine(tmp_path, "-monitor", f"tcp:127.0.0.1:{port},server=on,wait=off",
                 "-qmp", "unix:qmp,server=on,wait=off",
                 "-gdb", f"tcp:localhost:{free_port()}") as process:
        connected(tmp_path / "qmp").close()
        mine = {os.readlink(f"/proc/{process.pid}/fd/{fd}")
                for fd in os.listdir(f"/proc/{process.pid}/fd")}
        rows = [line.split() for file in ("tcp", "tcp6")
                for line in Path(f"/proc/{process.pid}/net/{file}").read_text().splitlines()[1:]]
        listening = {row[1] for row in rows if row[3] == "0A" and f"socket:[{row[9]}]" in mine}
        assert len(listening) == 2
        assert all(address.startswith("0100007F:") for address in listening)
