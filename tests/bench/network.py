"""TCP through the e1000 and user networking to a process of the host, timed inside the guest."""
import re
import socket
import threading
import time

from emulators import CIRROS, Console, emulator, log_in

MIB = 1 << 20
AMOUNT = 64  # MiB
CHUNK = bytes(MIB)
PROMPT = "$ "
TO_GUEST = "dd of=/dev/null bs=64k"
FROM_GUEST = f"dd if=/dev/zero bs=64k count={AMOUNT * MIB >> 16}"


def tcp(name):
    """Seconds of a boot of cirros, and those that AMOUNT takes each way."""
    with Console(emulator(name, *CIRROS, "-nic", "user")) as console:
        boot = log_in(console, timeout=600)
        while "10.0.2.15" not in console.run("ip -4 addr show eth0", PROMPT):
            time.sleep(0.5)
        return {"boot cirros to login": boot,
                f"e1000, {AMOUNT} MiB of TCP to the guest": transfer(console, send, TO_GUEST),
                f"e1000, {AMOUNT} MiB of TCP from it": transfer(console, receive, FROM_GUEST)}


def transfer(console, serve, command):
    """Seconds, by the guest's clock, of a command of the guest that talks to `serve`."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=lambda: serve(server.accept()[0]))
        thread.start()
        port = server.getsockname()[1]
        output = console.run(f"time nc 10.0.2.2 {port} -e {command}", PROMPT, timeout=600)
        thread.join()
    minutes, seconds = re.search(r"real\s+(\d+)m\s*([\d.]+)s", output).groups()
    return int(minutes) * 60 + float(seconds)


def send(connection):
    with connection:
        for _ in range(AMOUNT):
            connection.sendall(CHUNK)


def receive(connection):
    with connection:
        while connection.recv(MIB):
            pass
