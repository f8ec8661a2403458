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
    ("-nic foo", "-nic foo: Parameter 'type' does not accept value 'foo'"),
    ("-nic vde", "-nic vde: network backend 'vde' is not supported"),
    ("-nic user,foo=1", "-nic user,foo=1: Invalid parameter 'foo'"),
    ("-nic user,model=zz", "-nic user,model=zz: Unsupported NIC model: zz"),
    ("-nic user,mac=1:2", "-nic user,mac=1:2: invalid syntax for ethernet address"),
    ("-nic user,mac=01:00:00:00:00:01", "-nic user,mac=01:00:00:00:00:01: NIC cannot have "
     "multicast MAC address (01:00:00:00:00:01)"),
    ("-nic user,restrict=maybe",
     "-nic user,restrict=maybe: Parameter 'restrict' expects 'on' or 'off'"),
    ("-nic user,net=foo", "-nic user,net=foo: Failed to parse netmask"),
    ("-nic user,net=10.0.0.0/30",
     "-nic user,net=10.0.0.0/30: the network is too small, at most /27 will do"),
    ("-nic user,net=10.0.9.0/24,dhcpstart=10.0.8.1",
     "-nic user,net=10.0.9.0/24,dhcpstart=10.0.8.1: DHCP doesn't belong to network"),
    ("-nic user,dns=10.0.2.2", "-nic user,dns=10.0.2.2: DNS must be different from host"),
    ("-nic user,ipv4=off,ipv6=off", "-nic user,ipv4=off,ipv6=off: IPv4 and IPv6 disabled"),
    ("-nic user,tftp=/nowhere", "-nic user,tftp=/nowhere: tftp=/nowhere: no such directory"),
    ("-nic user,hostfwd=tcp:zz", "-nic user,hostfwd=tcp:zz: Invalid host forwarding rule 'tcp:zz' "
     "(expected tcp|udp:[HOST]:PORT-[GUEST]:PORT)"),
    ("-nic user,hostfwd=tcp::99999-:1", "-nic user,hostfwd=tcp::99999-:1: Invalid host forwarding "
     "rule 'tcp::99999-:1' (Bad host port)"),
    ("-nic user,hostfwd=tcp:x:1-:1", "-nic user,hostfwd=tcp:x:1-:1: Invalid host forwarding rule "
     "'tcp:x:1-:1' (Bad address 'x')"),
    ("-netdev user", "-netdev user: Parameter 'id' is missing"),
    ("-netdev user,id=a -netdev user,id=a",
     "-netdev user,id=a: Duplicate ID 'a' for netdev"),
    ("-device foo", "-device foo: 'foo' is not a valid device model name"),
    ("-device e1000,netdev=zz",
     "-device e1000,netdev=zz: Property 'e1000.netdev' can't find value 'zz'"),
    ("-netdev user,id=a -device e1000,netdev=a -device e1000,netdev=a",
     "-device e1000,netdev=a: Property 'e1000.netdev' can't take value 'a', it's in use"),
    ("-nic socket", "-nic socket: exactly one of listen=, connect= and mcast= is required"),
    ("-nic socket,listen=x", "-nic socket,listen=x: listen= expects [HOST]:PORT"),
    ("-nic socket,mcast=10.0.0.1:1", "-nic socket,mcast=10.0.0.1:1: specified mcastaddr 10.0.0.1 "
     "does not contain a multicast address"),
    ("-nic tap", "-nic tap: ifname= or fd= is needed"),
    ("-nic tap,ifname=a,script=x",
     "-nic tap,ifname=a,script=x: script= is not supported: give script=no, and set up the "
     "interface before"),
    ("-nic tap,ifname=abcdefghijklmnop",
     "-nic tap,ifname=abcdefghijklmnop: 'abcdefghijklmnop' is too long for an interface's name"),
    ("-object foo,id=x", "-object foo,id=x: Parameter 'qom-type' does not accept value 'foo'"),
    ("-object filter-dump,id=f,file=x",
     "-object filter-dump,id=f,file=x: Parameter 'netdev' is missing"),
    ("-object filter-dump,id=f,netdev=zz,file=x",
     "-object filter-dump,id=f,netdev=zz,file=x: Parameter 'netdev' expects a network backend id"),
    ("-nic user -nic user -nic user -nic user -nic user -nic user -nic user -nic user -nic user",
     "there are only 8 places for network cards"),
])
def test_what_is_wrong_is_said_in_one_line(line, message):
    with pytest.raises(UserError) as error:
        config(line)
    assert str(error.value) == message
