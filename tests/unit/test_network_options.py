"""-nic, -netdev, -device and -object, as QEMU spells them."""
from ipaddress import IPv4Address, IPv4Network

import pytest
from pyemu.config import HostForward, SocketNetConfig, TapConfig, UserError, UserNetConfig
from pyemu.net.registry import describe
from pyemu.options import parse
from pyemu.options.request import Answer


def config(line):
    return parse(["-nographic", *line.split()])


def only(line):
    (netdev,) = config(line).netdevs
    return netdev


def test_the_default_is_a_card_on_a_user_network():
    default = config("")
    assert describe(default).splitlines()[1] == (
        " \\ #net: index=0,type=user,net=10.0.2.0,restrict=off")
    assert [nic.netdev for nic in default.nics] == [default.netdevs[0].id]


@pytest.mark.parametrize("line", ["-nic none", "-net none", "-nodefaults"])
def test_no_card(line):
    assert (config(line).nics, config(line).netdevs) == ([], [])


def test_nic_is_short_for_both():
    short = config("-nic user,id=n,mac=52:54:00:00:00:09,restrict=on")
    long = config("-netdev user,id=n,restrict=on -device e1000,netdev=n,mac=52-54-0-0-0-9")
    for each in (short, long):
        assert (each.nics[0].netdev, each.nics[0].mac) == ("n", bytes.fromhex("525400000009"))
        assert each.netdevs[0].restrict
    assert len(config("-nic user -nic user").nics) == 2
    assert len(config("-device e1000").nics) == 2


def test_user():
    netdev = only("-nic user,net=192.168.7.0/24,dhcpstart=192.168.7.50,hostname=box,"
                  "dnssearch=a.org,dnssearch=b.org,domainname=a.org,tftp=/tmp,bootfile=b,"
                  "tftp-server-name=t,hostfwd=tcp::5555-:22,hostfwd=udp:127.0.0.1:53-10.0.2.9:54")
    assert isinstance(netdev, UserNetConfig)
    assert (netdev.network, netdev.host, netdev.dhcp_start, netdev.dns) == (
        IPv4Network("192.168.7.0/24"), *map(IPv4Address, (
            "192.168.7.2", "192.168.7.50", "192.168.7.3")))
    assert netdev.dns_search == ["a.org", "b.org"]
    assert (netdev.tftp, netdev.bootfile, netdev.tftp_server, netdev.hostname) == (
        "/tmp", "b", "t", "box")
    assert [(f.udp, f.host_address, f.host_port, f.guest_address, f.guest_port)
            for f in netdev.forwards] == [
        (False, "", 5555, "", 22), (True, "127.0.0.1", 53, "10.0.2.9", 54)]
    assert isinstance(netdev.forwards[0], HostForward)


@pytest.mark.parametrize("line, ipv4, ipv6", [
    ("", True, True), (",ipv4=on", True, False), (",ipv6=on", False, True),
    (",ipv6=off", True, False), (",ipv4=off", False, True)])
def test_families(line, ipv4, ipv6):
    netdev = only(f"-nic user{line}")
    assert (netdev.ipv4, netdev.ipv6) == (ipv4, ipv6)


def test_socket_and_tap():
    assert only("-nic socket,listen=:1234") == SocketNetConfig(
        "#net0", "-nic socket,listen=:1234", "listen", "", 1234)
    assert only("-nic socket,connect=127.0.0.1:1").mode == "connect"
    assert only("-nic socket,mcast=230.0.0.1:1,localaddr=127.0.0.1").local == "127.0.0.1"
    assert only("-nic tap,ifname=tap0,script=no,downscript=no") == TapConfig(
        "#net0", "-nic tap,ifname=tap0,script=no,downscript=no", "tap0")
    assert only("-nic tap,fd=3").fd == 3
    assert only("-nic tap").ifname == ""
    udp = only("-nic socket,udp=127.0.0.1:5,localaddr=:6")
    assert (udp.mode, udp.host, udp.port, udp.local, udp.local_port) == (
        "udp", "127.0.0.1", 5, "", 6)


def test_commands_for_guests():
    (rule,) = only("-nic user,guestfwd=tcp:10.0.2.100:80-cmd:cat").guest_forwards
    assert (rule.address, rule.port, rule.command) == ("10.0.2.100", 80, "cat")


def test_info_network():
    shown = describe(config(
        "-netdev user,id=n0 -device e1000,netdev=n0,id=card,mac=52:54:00:aa:bb:cc "
        "-netdev socket,id=n1,connect=127.0.0.1:5 "
        "-object filter-dump,id=f0,netdev=n0,file=x.pcap"))
    assert shown.splitlines() == [
        "card: index=0,type=nic,model=e1000,macaddr=52:54:00:aa:bb:cc",
        " \\ n0: index=0,type=user,net=10.0.2.0,restrict=off",
        "n1: index=0,type=socket,socket: connect=127.0.0.1:5",
        "filters:",
        "  - f0: type=filter-dump,file=x.pcap,maxlen=65536,netdev=n0,queue=all"]


@pytest.mark.parametrize("line", ["-device help", "-object help", "-nic model=help"])
def test_help(line):
    with pytest.raises(Answer):
        config(line)


@pytest.mark.parametrize("line, message", [
    ("-nic vde", "-nic vde: network backend 'vde' is not supported"),
    ("-nic user,smb=/tmp", "-nic user,smb=/tmp: 'smb' is not supported"),
    ("-nic user,model=zz", "-nic user,model=zz: Unsupported NIC model: zz"),
    ("-nic user,net=10.0.0.0/30",
     "-nic user,net=10.0.0.0/30: the network is too small, at most /27 will do"),
    ("-nic user,tftp=/nowhere", "-nic user,tftp=/nowhere: tftp=/nowhere: no such directory"),
    (f"-nic user,bootfile={'b' * 128}",
     f"-nic user,bootfile={'b' * 128}: 'bootfile' parameter cannot exceed 127 bytes"),
    ("-nic user,guestfwd=tcp:10.0.2.9:80-chardev", "-nic user,guestfwd=tcp:10.0.2.9:80-chardev: "
     "Invalid guest forwarding rule 'tcp:10.0.2.9:80-chardev' (only cmd:COMMAND is supported)"),
    ("-nic socket,fd=3", "-nic socket,fd=3: 'fd' is not supported"),
    ("-nic tap,ifname=a,script=x",
     "-nic tap,ifname=a,script=x: script= is not supported: give script=no, and set up the "
     "interface before"),
    ("-nic tap,fd=3,ifname=x",
     "-nic tap,fd=3,ifname=x: ifname=, script= and downscript= are invalid with fd="),
    ("-nic tap,ifname=abcdefghijklmnop",
     "-nic tap,ifname=abcdefghijklmnop: 'abcdefghijklmnop' is too long for an interface's name"),
    ("-nic socket,udp=:1,localaddr=a..b:1",
     "-nic socket,udp=:1,localaddr=a..b:1: address resolution failed for a..b: "
     "Name or service not known"),
    ("-netdev user,id=1x", "-netdev user,id=1x: Parameter 'id' expects an identifier: letters, "
     "digits, '-', '.', '_', starting with a letter"),
    ("-object filter-dump,id=f,netdev=zz,file=x",
     "-object filter-dump,id=f,netdev=zz,file=x: Parameter 'netdev' expects a network backend id"),
    ("-net nic -net nic -net user",
     "-net nic: only one card can be on the hub of -net, others take -nic or -netdev"),
    ("-net nic -net user -net user", "-net user: only one back end can be on the hub of -net"),
    ("-nic user -nic user -nic user -nic user -nic user -nic user -nic user -nic user -nic user",
     "there are only 8 places for network cards"),
])
def test_what_is_wrong_is_said_in_one_line(line, message):
    with pytest.raises(UserError) as error:
        config(line)
    assert str(error.value) == message


def test_the_old_way():
    new = config("-net nic,model=e1000,macaddr=52:54:00:00:00:07 -net user,restrict=on")
    (card,), (netdev,) = new.nics, new.netdevs
    assert card.mac == bytes.fromhex("525400000007") and card.netdev == netdev.id
    assert isinstance(netdev, UserNetConfig) and netdev.restrict
    plugged = config("-netdev user,id=a -net nic,netdev=a")
    assert plugged.nics[0].netdev == "a" and len(plugged.netdevs) == 1


def test_the_old_way_with_nothing_to_plug_into(capsys):
    assert config("-net nic").nics[0].netdev is None
    assert capsys.readouterr().err == "pyemu: warning: hub 0 is not connected to host network\n"
