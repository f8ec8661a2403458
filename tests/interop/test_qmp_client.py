"""QEMU's own Python client, qemu.qmp, steers a machine over a socket."""
import asyncio
import socket
import subprocess
import sys
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from qemu.qmp import ExecuteError, QMPClient

PYEMU = Path(sys.executable).parent / "pyemu"
PATIENCE = 20  # seconds


@asynccontextmanager
async def machine(tmp_path, *options):
    """A machine and a client that is connected to it by a Unix socket."""
    path = tmp_path / "qmp"
    command = [PYEMU, "-display", "none", "-nodefaults", "-m", "16",
               "-qmp", f"unix:{path},server=on", *options]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        try:
            while not path.exists():
                assert process.poll() is None
                await asyncio.sleep(0.02)
            client = QMPClient("test")
            async with asyncio.timeout(PATIENCE):
                await connect(client, str(path))
                yield process, client
                with suppress(EOFError):  # the machine has gone first
                    await client.disconnect()
        finally:
            process.kill()


async def connect(client, address):
    """The socket's name is there a moment before somebody listens."""
    for attempt in range(10):
        try:
            return await client.connect(address)
        except Exception:
            if attempt == 9:
                raise
            await asyncio.sleep(0.1)


async def until(client, name):
    """Wait for an event."""
    with client.listener() as listener:
        async for event in listener:
            if event["event"] == name:
                return event


async def steer(tmp_path):
    async with machine(tmp_path, "-S") as (process, client):
        assert client.greeting.QMP.version["qemu"]["major"] == 7
        assert (await client.execute("query-status"))["status"] == "prelaunch"
        for command, event, status in (("cont", "RESUME", "running"), ("stop", "STOP", "paused"),
                                       ("system_reset", "RESET", "prelaunch"),
                                       ("cont", "RESUME", "running"),
                                       ("system_powerdown", "POWERDOWN", "running")):
            waiting = asyncio.create_task(until(client, event))
            await asyncio.sleep(0)  # so that it listens
            assert await client.execute(command) == {}
            await waiting
            assert (await client.execute("query-status"))["status"] == status
        with pytest.raises(ExecuteError, match="nosuch"):
            await client.execute("nosuch")
        registers = await client.execute("human-monitor-command",
                                         {"command-line": "info registers"})
        assert "CS =" in registers
        devices = (await client.execute("query-pci"))[0]["devices"]
        assert {device["class_info"]["desc"] for device in devices} >= {"Host bridge"}
        waiting = asyncio.create_task(until(client, "SHUTDOWN"))
        await asyncio.sleep(0)
        await client.execute("quit")
        assert (await waiting)["data"] == {"guest": False, "reason": "host-qmp-quit"}
        assert process.wait(PATIENCE) == 0


def test_steering(tmp_path):
    asyncio.run(steer(tmp_path))


async def come_and_go(tmp_path):
    async with machine(tmp_path, "-S") as (_, client):
        for _ in range(3):
            await client.disconnect()
            client = QMPClient("again")
            await connect(client, str(tmp_path / "qmp"))
            assert (await client.execute("query-status"))["running"] is False
        await client.disconnect()


def test_one_client_after_another(tmp_path):
    asyncio.run(come_and_go(tmp_path))


async def signal(tmp_path):
    async with machine(tmp_path) as (process, client):
        waiting = asyncio.create_task(until(client, "SHUTDOWN"))
        await asyncio.sleep(0)
        process.terminate()
        assert (await waiting)["data"] == {"guest": False, "reason": "host-signal"}
        process.wait(PATIENCE)


def test_the_event_of_a_signal(tmp_path):
    asyncio.run(signal(tmp_path))


def test_two_monitors_at_once(tmp_path):
    """One by -qmp over TCP, one by -mon on a chardev; each negotiates for itself."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]

    async def both():
        second = tmp_path / "second"
        async with machine(tmp_path, "-S", "-qmp", f"tcp:127.0.0.1:{port},server=on,wait=off",
                           "-chardev", f"socket,id=two,path={second},server=on,wait=off",
                           "-mon", "chardev=two,mode=control") as (_, client):
            others = [QMPClient("tcp"), QMPClient("unix")]
            await connect(others[0], ("127.0.0.1", port))
            await connect(others[1], str(second))
            waiting = [asyncio.create_task(until(other, "RESUME")) for other in others]
            await asyncio.sleep(0)
            await client.execute("cont")
            await asyncio.gather(*waiting)
            for other in others:
                await other.disconnect()

    asyncio.run(both())
