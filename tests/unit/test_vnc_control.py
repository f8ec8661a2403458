"""VNC as the command line, the monitor and QMP know it; texts and answers are QEMU's."""
import socket
from types import SimpleNamespace

import pytest
from pyemu.chardev.frontend import FrontEnd
from pyemu.config import Config, UserError, VncConfig
from pyemu.monitor.monitor import Monitor
from pyemu.options import parse
from pyemu.vnc.listen import listen

from .qmp_client import Client
from .vnc_client import Site

PLACE = {"host": "127.0.0.1", "service": "5907", "family": "ipv4", "websocket": False}
GUEST = {"host": "127.0.0.1", "service": "37722", "family": "ipv4", "websocket": False}


class FakeServer:
    def __init__(self, ident="default", asked_for=True):
        self.config = SimpleNamespace(id=ident)
        self.asked_for = asked_for
        self.log = []

    def about(self):
        kind = "vnc" if self.asked_for else "none"
        return {"id": self.config.id, "auth": kind, "server": [{"auth": kind, **PLACE}],
                "clients": [GUEST]}

    def set_password(self, password):
        self.log.append(password)
        return self.asked_for

    def set_expiry(self, seconds):
        self.log.append(seconds)


# The command line

def vncs(line):
    return parse(line.split()).vnc


def test_where_it_listens():
    one, = vncs("-vnc :3")
    assert (one.id, one.host, one.port, one.last_port, one.announce) == (
        "default", "127.0.0.1", 5903, 5903, False)
    one, other = vncs("-vnc [::]:0,to=9,password=on -display vnc=unix:/tmp/x,share=ignore")
    assert (one.host, one.port, one.last_port, one.announce, one.password) == (
        "::", 5900, 5909, True, True)
    assert (other.id, other.path, other.port, other.share) == ("vnc2", "/tmp/x", None, "ignore")
    assert other.source == "-display vnc=unix:/tmp/x,share=ignore"
    none, = vncs("-vnc none,key-delay-ms=5,connections=1")
    assert (none.path, none.port, none.key_delay, none.connections) == ("", None, 0.005, 1)


def test_no_window_beside_it(monkeypatch):
    monkeypatch.setenv("DISPLAY", ":0")
    assert parse(["-vnc", ":0"]).display == "none"
    assert parse(["-vnc", ":0", "-display", "sdl"]).display == "sdl"
    assert parse(["-nographic", "-vnc", ":0"]).vnc


@pytest.mark.parametrize(("line", "complaint"), [
    ("-vnc foo", "no vnc port specified"),
    ("-vnc :x", "can't convert to a number: x"),
    ("-vnc :-1", "can't convert to a number: -1"),
    ("-vnc :99999", "port 99999 out of range"),
    ("-vnc :59636", "port 59636 out of range"),
    ("-vnc :1,foo=1", "Invalid parameter 'foo'"),
    ("-vnc :1,share=bla", "unknown vnc share= option"),
    ("-vnc :1,to=x", "Parameter 'to' expects a number"),
    ("-vnc :1,to=0", "Parameter 'to' is below the display"),
    ("-vnc :1,password=maybe", "Parameter 'password' expects 'on' or 'off'"),
    ("-vnc :1,connections=0", "Parameter 'connections' expects a number above 0"),
    ("-vnc :1,key-delay-ms=-1", "Parameter 'key-delay-ms' expects a number up to 1000"),
    ("-vnc :1,websocket=on", "'websocket' is not supported"),
    ("-vnc unix:", "no path of a socket"),
    ("-display vnc", "VNC requires a display argument vnc=<display>"),
    ("-display vnc=:foo", "can't convert to a number: foo"),
])
def test_complaints(line, complaint):
    with pytest.raises(UserError) as caught:
        parse(line.split())
    assert str(caught.value) == f"{line}: {complaint}"


def opened(**options):
    return listen(VncConfig("default", "-vnc X", **options))


def test_ports_in_use():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UserError) as caught:
            opened(host="127.0.0.1", port=port, last_port=port)
        assert str(caught.value) == (
            "-vnc X: Failed to find an available port: Address already in use")
        found, = opened(host="127.0.0.1", port=port, last_port=port + 20)
        assert port < found.getsockname()[1] <= port + 20
        found.close()


def test_no_such_place(tmp_path):
    with pytest.raises(UserError, match=r"address resolution failed for no\.such\.example:5900: "):
        opened(host="no.such.example", port=5900, last_port=5900)
    with pytest.raises(UserError, match="Failed to find an available port: Cannot assign"):
        opened(host="192.0.2.1", port=5900, last_port=5910)
    with pytest.raises(UserError, match="Failed to bind socket to /nosuch/s: No such file"):
        opened(path="/nosuch/s")
    with pytest.raises(UserError, match="AF_UNIX path too long"):
        opened(path=f"/tmp/{200 * 'x'}")
    (tmp_path / "file").write_text("mine")
    with pytest.raises(UserError, match="Address already in use"):
        opened(path=str(tmp_path / "file"))
    assert (tmp_path / "file").read_text() == "mine"


def test_a_unix_socket_is_taken_over_and_removed(clock, tmp_path):
    path = str(tmp_path / "s")
    opened(path=path)[0].close()
    site = Site(clock, path=path)
    assert site.server.about()["server"][0]["service"] == path
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(path)
        site.turn(3)
        assert client.recv(100) == b"RFB 003.008\n"
    site.server.close()
    assert not (tmp_path / "s").exists()


def test_which_port_it_became(clock, capsys):
    site = Site(clock, host="127.0.0.1", port=0, last_port=0, announce=True)
    port = site.server.about()["server"][0]["service"]
    assert capsys.readouterr().out == f"VNC server running on 127.0.0.1:{port}\n"


# The monitor

@pytest.fixture
def monitor():
    """Its servers are in `runner.vnc`; `type` gives what it shows."""
    shown = []
    chardevs = SimpleNamespace(attach=lambda ident, post: FrontEnd(shown.append, lambda call: None))
    monitor = Monitor(SimpleNamespace(vnc=[FakeServer()]), Config(), chardevs, "monitor")

    def type_keys(keys):
        shown.clear()
        monitor._front_end.receive(keys)
        monitor._read()
        return b"".join(shown).decode()

    monitor.type = type_keys
    return monitor


def test_info_vnc(monitor):
    assert monitor.execute("info vnc") == """\
default:
  Server: 127.0.0.1:5907 (ipv4)
    Auth: vnc (Sub: none)
  Client: 127.0.0.1:37722 (ipv4)
    x509_dname: none
    sasl_username: none"""
    monitor.runner.vnc = []
    assert monitor.execute("info vnc") == "None"


@pytest.mark.parametrize(("line", "answer", "log"), [
    ("set_password vnc foo", "", ["foo"]),
    ("set_password vnc foo keep", "", ["foo"]),
    ("set_password vnc foo -d default", "", ["foo"]),
    ("set_password vnc foo -d x", "Error: Could not set password", []),
    ("set_password vnc foo disconnect", "Error: Invalid parameter 'connected'", []),
    ("set_password vnc foo bla", "Error: invalid parameter value: bla", []),
    ("set_password spice foo", "Error: SPICE is not in use", []),
    ("set_password bla foo", "Error: invalid parameter value: bla", []),
    ("set_password vnc",
     'set_password: string expected\nTry "help set_password" for more information', []),
    ("expire_password vnc now", "", [0.0]),
    ("expire_password vnc never", "", [None]),
    ("expire_password vnc 12345", "", [12345.0]),
    ("expire_password vnc bla", "Error: invalid parameter value: bla", []),
    ("expire_password vnc now -d x", "Error: Could not set password expire time", []),
    ("expire_password foo now", "Error: invalid parameter value: foo", []),
    ("change vnc password foo", "", ["foo"]),
    ("change vnc :4", "Expected 'password' after 'vnc'", []),
])
def test_passwords(monitor, line, answer, log):
    assert monitor.execute(line) == answer
    assert monitor.runner.vnc[0].log == log


def test_no_password_is_asked_for(monitor):
    monitor.runner.vnc = [FakeServer(asked_for=False)]
    assert monitor.execute("set_password vnc foo") == (
        "If you want use passwords please enable password auth using '-vnc ${dpy},password'.\n"
        "Error: Could not set password")


def test_a_password_typed_shows_as_stars_and_is_not_remembered(monitor):
    assert monitor.type(b"change vnc password\r").endswith("Password: ")
    shown = monitor.type(b"sekret\x7fet\r")
    assert shown.startswith("******") and "s" not in shown.partition("(")[0]
    assert monitor.runner.vnc[0].log == ["sekreet"]
    assert "sekreet" not in monitor.editor.history
    assert monitor.type(b"info history\r").endswith("(qemu) ")


# QMP

@pytest.fixture
def client():
    client = Client()
    client.runner.vnc = [FakeServer(), FakeServer("vnc2", asked_for=False)]
    return client


def test_query_vnc(client):
    assert client.execute("query-vnc") == {
        "enabled": True, "auth": "vnc", "clients": [GUEST], "host": "127.0.0.1",
        "service": "5907", "family": "ipv4"}
    assert [about["id"] for about in client.execute("query-vnc-servers")] == ["vnc2", "default"]
    client.runner.vnc = []
    assert client.execute("query-vnc") == {"enabled": False}


@pytest.mark.parametrize(("command", "arguments", "answer"), [
    ("set_password", {"protocol": "vnc", "password": "x"}, {}),
    ("set_password", {"protocol": "vnc", "password": "x", "display": "default"}, {}),
    ("set_password", {"protocol": "vnc", "password": "x", "display": "y"},
     ("GenericError", "Could not set password")),
    ("set_password", {"protocol": "vnc", "password": "x", "connected": "fail"},
     ("GenericError", "Invalid parameter 'connected'")),
    ("set_password", {"protocol": "spice", "password": "x"},
     ("DeviceNotActive", "SPICE is not in use")),
    ("set_password", {"protocol": "spice", "password": "x", "display": "y"},
     ("GenericError", "Parameter 'display' is unexpected")),
    ("set_password", {"protocol": "foo", "password": "x"},
     ("GenericError", "Parameter 'protocol' does not accept value 'foo'")),
    ("set_password", {"protocol": "vnc"}, ("GenericError", "Parameter 'password' is missing")),
    ("expire_password", {"protocol": "vnc", "time": "never"}, {}),
    ("change-vnc-password", {"password": "x"}, {}),
])
def test_qmp_passwords(client, command, arguments, answer):
    assert client.execute(command, **arguments) == answer
