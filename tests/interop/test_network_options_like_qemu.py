"""What is wrong with an option of the network is said in QEMU's words."""
import shutil
import subprocess

import pytest
from interop.conftest import QEMU
from pyemu.config import UserError
from pyemu.options import parse

USER = (
    "foo=1", "mac=1:2", "mac=01:00:00:00:00:01", "restrict=maybe", "net=foo", "host=x",
    "host=10.0.3.1", "dns=zz", "dns=10.0.2.2", "dhcpstart=x", "dhcpstart=10.0.2.3",
    "net=10.0.9.0/24,dhcpstart=10.0.8.1", "ipv4=off,ipv6=off",
    "hostname=" + "a" * 256, "domainname=", "guestfwd=zz", "guestfwd=tcp:10.0.2.9:80",
    "guestfwd=udp:10.0.2.9:80-cmd:cat", "guestfwd=tcp:x:80-cmd:cat",
    "guestfwd=tcp:10.0.2.9:x-cmd:cat",
    *(f"hostfwd={rule}" for rule in (
        "", ":", ":::", "tcp", "tcp:", "tcp:zz", "tcp::", "tcp::1", "tcp::1-", "tcp::1-x",
        "tcp::1-x:2", "tcp::1x-:2", "tcp::1-:2x", "tcp:x:1-:1", "tcp::99999-:1", "tcp::1-:0",
        "tcp::1-:70000", "tcp::-1-:1", "sctp::1-:2")),
)
SOCKET = (
    "listen=:1,connect=:2", "listen=x", "connect=a", "listen=127.0.0.1:x", "mcast=230.0.0.1",
    "mcast=10.0.0.1:1", "mcast=x:1", "mcast=230.0.0.1:1,localaddr=x", "udp=127.0.0.1:1",
    "udp=127.0.0.1:1,localaddr=x", "listen=:5001,localaddr=127.0.0.1",
)
LINES = (
    "-nic foo", "-nic socket", *(f"-nic user,{text}" for text in USER),
    *(f"-nic socket,{text}" for text in SOCKET),
    "-netdev user", "-netdev foo,id=x", "-netdev user,id=a -netdev user,id=a", "-device foo",
    "-device e1000,netdev=zz", "-device e1000,netdev=", "-device e1000,foo=1",
    "-device e1000,mac=zz", "-device e1000,id=a -device e1000,id=a",
    "-netdev user,id=a -device e1000,netdev=a -device e1000,netdev=a",
    "-net foo", "-net nic,macaddr=zz", "-net nic,foo=1", "-net user,netdev=x",
    "-object foo,id=x", "-object filter-dump,id=f,file=x",
    "-netdev user,id=a -object filter-dump,id=f,netdev=a",
    "-netdev user,id=a -object filter-dump,id=f,netdev=a,file=/dev/null,queue=zz",
)


@pytest.mark.skipif(not shutil.which(QEMU), reason=f"{QEMU} is not installed")
@pytest.mark.parametrize("line", LINES)
def test_complaint(line):
    words = line.split()
    with pytest.raises(UserError) as error:
        parse(["-display", "none", *words])
    run = subprocess.run([QEMU, "-display", "none", "-S", *words], timeout=60,
                         capture_output=True, text=True)
    assert run.returncode == 1
    assert run.stderr.splitlines()[0] == f"{QEMU}: {error.value}"
