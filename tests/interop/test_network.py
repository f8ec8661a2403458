"""Guests on the network: cirros.img by DHCP, DNS, TCP and a forwarded port, what boots by PXE."""
import hashlib
import os
import shutil
import socket
import struct
import subprocess
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace

import pytest
from boot.console import IMAGES, PYEMU, Console, log_in
from interop.conftest import QEMU

PROMPT = "$ "
LOOPBACK = "127.0.0.1"
MIB = 1 << 20
NAME, ADDRESS = "some.name.test", "192.0.2.7"
INSTALLER = Path("/usr/lib/debian-installer/images/12/amd64/text/debian-installer/amd64")
PXELINUX = """serial 0
default install
label install
  kernel linux
  append initrd=initrd.gz console=ttyS0
"""
SCRIPT = b"""#!ipxe
kernel vmlinuz console=ttyS0 root=/dev/ram0
initrd initrd
boot
"""


@pytest.fixture(scope="module")
def amount(pytestconfig):
    return pytestconfig.getoption("--network-mib") * MIB


def free_port():
    with socket.create_server((LOOPBACK, 0)) as server:
        return server.getsockname()[1]


def serve(handle):
    """A server of the host on a free port; handle(connection) once for each client."""
    server = socket.create_server((LOOPBACK, 0))

    def run():
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            with connection:
                handle(connection)

    threading.Thread(target=run, daemon=True).start()
    return server, server.getsockname()[1]


@pytest.fixture(scope="module")
def name_server(tmp_path_factory):
    """A name server of the host that knows one name; what to run emulators with to have it."""
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        server.bind((LOOPBACK, 53))
    except OSError:
        server.close()
        yield []
        return

    def run():
        while query := server.recvfrom(512):
            data, client = query
            if data == b"end":
                return
            end = data.index(b"\0", 12) + 5
            known = data[12:end - 4] == encoded(NAME) and data[end - 4:end - 2] == b"\0\1"
            answer = b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4" + socket.inet_aton(ADDRESS)
            server.sendto(data[:2] + struct.pack(">5H", 0x8180, 1, known, 0, 0) + data[12:end]
                          + answer * known, client)

    thread = threading.Thread(target=run)
    thread.start()
    settings = tmp_path_factory.mktemp("dns") / "resolv.conf"
    settings.write_text(f"nameserver {LOOPBACK}\n")
    yield ["unshare", "-m", "sh", "-c",
           f'mount --bind {settings} /etc/resolv.conf && exec "$@"', "sh"]
    server.sendto(b"end", (LOOPBACK, 53))
    thread.join()
    server.close()


def encoded(name):
    return b"".join(bytes([len(part)]) + part.encode() for part in name.split(".")) + b"\0"


@pytest.fixture(scope="module")
def guest(tmp_path_factory, name_server):
    folder = tmp_path_factory.mktemp("net")
    port = free_port()
    command = [*name_server, PYEMU, "-m", "256", "-hda", IMAGES / "cirros.img", "-snapshot",
               "-nographic",
               "-nic", f"user,id=net,hostname=box,hostfwd=tcp:{LOOPBACK}:{port}-:8080,"
               "guestfwd=tcp:10.0.2.100:80-cmd:echo a command of the host",
               "-object", f"filter-dump,id=dump,netdev=net,file={folder}/net.pcap"]
    with Console(command) as console:
        log_in(console)
        run = SimpleNamespace(console=console, port=port, pcap=folder / "net.pcap",
                              run=lambda line: console.run(line, PROMPT, 600))
        deadline = time.monotonic() + 60
        while "10.0.2.15" not in run.run("ip -4 addr show eth0"):
            assert time.monotonic() < deadline, run.run("cat /var/log/network.log")
            time.sleep(0.5)
        yield run


def test_lease(guest):
    assert "inet 10.0.2.15/24" in guest.run("ip -4 addr show eth0")
    assert "default via 10.0.2.2" in guest.run("ip route")
    assert "nameserver 10.0.2.3" in guest.run("cat /etc/resolv.conf")
    assert "bytes from 10.0.2.2" in guest.run("ping -c 1 10.0.2.2")


def test_name(guest, name_server):
    if not name_server:
        pytest.skip("needs the host's port 53 and a mount of its own")
    answer = guest.run(f"nslookup {NAME}")
    assert "Server:\t\t10.0.2.3" in answer and f"Address: {ADDRESS}" in answer
    assert ADDRESS not in guest.run("nslookup no.such.test")


def test_copy_to_the_guest(guest, amount):
    data = os.urandom(MIB) * (amount // MIB)

    def answer(connection):
        while not connection.recv(4096).endswith(b"\r\n\r\n"):
            pass
        connection.sendall(b"HTTP/1.0 200 OK\r\n\r\n" + data)

    server, port = serve(answer)
    with server:
        output = guest.run(f"wget -q -O - http://10.0.2.2:{port}/ | sha256sum")
    assert hashlib.sha256(data).hexdigest() in output


def test_copy_from_the_guest(guest, amount):
    result = {}

    def receive(connection):
        digest = hashlib.sha256()
        while data := connection.recv(MIB):
            digest.update(data)
        result["sum"] = digest.hexdigest()

    server, port = serve(receive)
    with server:
        guest.run(f"head -c {amount} /dev/urandom > /tmp/random; "
                  f"nc 10.0.2.2 {port} -e cat /tmp/random")
        expected = guest.run("sha256sum < /tmp/random; rm /tmp/random").split()[0]
        deadline = time.monotonic() + 10
        while "sum" not in result and time.monotonic() < deadline:
            time.sleep(0.05)
    assert result["sum"] == expected


def test_forwarded_port(guest):
    guest.run("(echo hello | nc -l -p 8080 > /tmp/heard) & sleep 1")
    with socket.create_connection((LOOPBACK, guest.port), 10) as connection:
        connection.sendall(b"from the host\n")
        connection.shutdown(socket.SHUT_WR)
        heard = b""
        while data := connection.recv(100):
            heard += data
    assert heard == b"hello\n"
    assert "from the host\n" in guest.run("sleep 1; cat /tmp/heard")


def test_a_command_of_the_host(guest):
    assert guest.run("nc 10.0.2.100 80 < /dev/null") == "a command of the host\n"


def test_what_the_monitor_shows(guest):
    assert guest.console.monitor("info network").splitlines() == [
        "e1000.0: index=0,type=nic,model=e1000,macaddr=52:54:00:12:34:56",
        " \\ net: index=0,type=user,net=10.0.2.0,restrict=off",
        "filters:",
        f"  - dump: type=filter-dump,file={guest.pcap},maxlen=65536,netdev=net,queue=all"]


def test_the_cable_is_pulled_out_and_put_in_again(guest):
    def carrier(level):
        deadline = time.monotonic() + 30
        while guest.run("cat /sys/class/net/eth0/carrier").strip() != level:
            assert time.monotonic() < deadline
            time.sleep(0.2)

    assert guest.console.monitor("set_link net off") == ""
    carrier("0")
    assert guest.console.monitor("set_link e1000.0 on") == ""
    carrier("1")
    assert "bytes from 10.0.2.2" in guest.run("ping -c 1 10.0.2.2")


def test_no_errors_on_the_card(guest):
    statistics = guest.run("cat /proc/net/dev | grep eth0").split()
    assert int(statistics[1]) and int(statistics[9])
    assert set(statistics[3:5] + statistics[11:13]) == {"0"}


def packets(path):
    """The frames of a pcap file."""
    data = path.read_bytes()
    assert struct.unpack_from("<IHH", data) == (0xA1B2C3D4, 2, 4)
    at = 24
    while at + 16 <= len(data):
        seconds, _, kept, length = struct.unpack_from("<IIII", data, at)
        if at + 16 + kept > len(data):
            return  # still being written
        assert kept == length and abs(seconds - time.time()) < 3600
        yield data[at + 16:at + 16 + kept]
        at += 16 + kept


def test_dump(guest):
    kinds, senders = set(), set()
    for frame in packets(guest.pcap):
        kinds.add(frame[12:14])
        senders.add(frame[6:12])
    assert {b"\x08\x00", b"\x08\x06"} <= kinds
    assert bytes.fromhex("525400123456") in senders and len(senders) > 1


def test_tcpdump_reads_the_dump(guest):
    run = subprocess.run(["tcpdump", "-n", "-r", guest.pcap], capture_output=True, text=True)
    assert run.returncode == 0 and "truncated" not in run.stderr
    assert len(run.stdout.splitlines()) == len(list(packets(guest.pcap)))
    for line in ("0.0.0.0.68 > 255.255.255.255.67: BOOTP/DHCP, Request from 52:54:00:12:34:56",
                 "10.0.2.2.67 > 255.255.255.255.68: BOOTP/DHCP, Reply",
                 "ARP, Request who-has 10.0.2.2 tell 10.0.2.15",
                 "10.0.2.15 > 10.0.2.2: ICMP echo request",
                 "10.0.2.15.8080: Flags [S]"):
        assert line in run.stdout


def test_ipxe_boots_a_kernel_by_tftp(tmp_path):
    for name in ("vmlinuz", "initrd"):
        subprocess.run(["mcopy", "-i", f"{IMAGES}/mini.img@@1M", f"::{name}", tmp_path / name],
                       check=True)
    (tmp_path / "boot.ipxe").write_bytes(SCRIPT)
    command = [PYEMU, "-m", "256", "-boot", "n", "-nographic",
               "-nic", f"user,tftp={tmp_path},bootfile=boot.ipxe"]
    with Console(command) as console:
        console.expect("net0: 10.0.2.15/255.255.255.0 gw 10.0.2.2", 60)
        console.expect("tftp://10.0.2.2/boot.ipxe", 30)
        console.expect("mini login:", 120)


def test_the_debian_installer_boots_by_pxe(tmp_path):
    """Down to its first dialog; only that it should use the serial port is not Debian's."""
    for file in ("pxelinux.0", "boot-screens/ldlinux.c32", "linux", "initrd.gz"):
        shutil.copy(INSTALLER / file, tmp_path)
    (tmp_path / "pxelinux.cfg").mkdir()
    (tmp_path / "pxelinux.cfg/default").write_text(PXELINUX)
    command = [PYEMU, "-m", "1024", "-boot", "n", "-nographic",
               "-nic", f"user,tftp={tmp_path},bootfile=pxelinux.0"]
    with Console(command) as console:
        console.expect("tftp://10.0.2.2/pxelinux.0... ok", 60)
        console.expect("Linux version", 300)
        console.expect("Choose the language", 300)


def test_an_interface_of_the_host():
    """In a network namespace of its own, whose kernel is the other end."""
    setup = ("ip tuntap add tap0 mode tap && ip address add 10.9.0.1/24 dev tap0"
             " && ip link set tap0 up")
    namespace = ["unshare", "-rn", "sh", "-c"]
    if subprocess.run([*namespace, setup], capture_output=True).returncode:
        pytest.skip("needs a network namespace and /dev/net/tun")
    command = [*namespace, f'{setup} && exec "$@"', "sh", PYEMU, "-m", "256", "-snapshot",
               "-hda", IMAGES / "cirros.img", "-nographic", "-nic",
               "tap,ifname=tap0,script=no,downscript=no"]
    with Console(command) as console:
        log_in(console)
        console.run("sudo ip address add 10.9.0.2/24 dev eth0", PROMPT)
        console.run("sudo ip link set eth0 up", PROMPT)
        assert "3 packets received" in console.run("ping -c 3 -s 1400 10.9.0.1", PROMPT)


@pytest.mark.skipif(not shutil.which(QEMU), reason=f"{QEMU} is not installed")
@pytest.mark.parametrize("ours, qemus", [
    ("connect={a}", "listen={a}"), ("listen={a}", "connect={a}"),
    ("udp={a},localaddr={b}", "udp={b},localaddr={a}"),
    ("mcast=239.4.5.6:{port},localaddr=127.0.0.1", "mcast=239.4.5.6:{port},localaddr=127.0.0.1"),
])
def test_a_wire_to_qemu(ours, qemus):
    """A lease comes through QEMU, whose hub leads to user networking of its own."""
    port = free_port()
    places = {"a": f"{LOOPBACK}:{port}", "b": f"{LOOPBACK}:{free_port()}", "port": port}
    hub = ["-netdev", "user,id=u", "-netdev", f"socket,id=s,{qemus.format(**places)}",
           "-netdev", "hubport,id=p,hubid=0,netdev=u", "-netdev", "hubport,id=q,hubid=0,netdev=s"]
    command = [PYEMU, "-boot", "n", "-nographic", "-nic", f"socket,{ours.format(**places)}"]
    with ExitStack() as stack:
        if "listen" in ours:  # who listens comes first
            console = stack.enter_context(Console(command))
            console.expect("SeaBIOS", 60)
        qemu = stack.enter_context(Console([QEMU, "-display", "none", "-monitor", "stdio", *hub]))
        qemu.expect("(qemu)")
        if "listen" not in ours:
            console = stack.enter_context(Console(command))
        console.expect("net0: 10.0.2.15/255.255.255.0 gw 10.0.2.2", 120)


def test_a_wire_to_another_program():
    server = socket.create_server((LOOPBACK, 0))
    command = [PYEMU, "-boot", "n", "-nographic", "-nic",
               f"socket,connect={LOOPBACK}:{server.getsockname()[1]},mac=52:54:00:00:00:01"]
    with server, Console(command):
        connection, _ = server.accept()
        with connection, connection.makefile("rb") as stream:
            connection.settimeout(60)
            while True:
                (length,) = struct.unpack(">I", stream.read(4))
                frame = stream.read(length)
                if b"\x63\x82\x53\x63\x35\x01\x01" in frame:  # DHCP: discover
                    break
    assert frame.startswith(b"\xff" * 6 + bytes.fromhex("525400000001") + b"\x08\x00")
