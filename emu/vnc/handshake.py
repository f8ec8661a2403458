"""The beginning of a connection: versions, authentication, who else may be there.

Source: RFC 6143, sections 7.1, 7.2 and 7.3.1; which versions are known and what the others are
told, as QEMU has it.
"""
import os
import re
from collections.abc import Callable, Generator

from pyemu.trace.hooks import (
    trace_vnc_auth_fail,
    trace_vnc_auth_pass,
    trace_vnc_auth_reject,
    trace_vnc_auth_start,
)
from pyemu.vnc import protocol
from pyemu.vnc.auth import Security

MAJOR = 3
SPOKEN = {3: 3, 4: 3, 5: 3, 7: 7, 8: 8}  # minor version of the client, and what it comes to
FAILURE = b"Authentication failed\0"


class Refused(Exception):
    """The client is to be let go; the text says why."""


def greet(state: object, send: Callable[[bytes], None],
          security: Security) -> Generator[int, bytes, bool]:
    """Yields how many bytes are wanted next, and is sent them. Returns whether the client is
    content to be one of several. Raises Refused.

    state: the client, as trace events tell it from others.
    """
    send(protocol.VERSION)
    version = yield from _version(send)
    trace_vnc_auth_start(state, security.kind)
    if version == 3:
        send(security.kind.to_bytes(4))
    else:
        send(bytes([1, security.kind]))
        chosen, = yield 1
        if chosen != security.kind:
            trace_vnc_auth_reject(state, security.kind, chosen)
            raise _failed(send, version, "another authentication was chosen")
    if security.kind == protocol.VNC:
        challenge = os.urandom(protocol.CHALLENGE)
        send(challenge)
        objection = security.objection(challenge, (yield protocol.CHALLENGE))
        if objection:
            trace_vnc_auth_fail(state, security.kind, objection, "")
            raise _failed(send, version, objection)
    if version == 8 or security.kind == protocol.VNC:
        send(protocol.OK.to_bytes(4))
    trace_vnc_auth_pass(state, security.kind)
    shared, = yield 1
    return bool(shared)


def _version(send: Callable[[bytes], None]) -> Generator[int, bytes, int]:
    line = yield len(protocol.VERSION)
    match = re.fullmatch(rb"RFB (\d{3})\.(\d{3})\n", line)
    if not match:
        raise Refused("malformed protocol version")
    major, minor = map(int, match.groups())
    if major != MAJOR or minor not in SPOKEN:
        send(protocol.INVALID.to_bytes(4))
        raise Refused(f"protocol version {major}.{minor}")
    return SPOKEN[minor]


def _failed(send: Callable[[bytes], None], version: int, why: str) -> Refused:
    """Say so, with a reason since version 3.8."""
    message = protocol.FAILED.to_bytes(4)
    if version == 8:
        message += len(FAILURE).to_bytes(4) + FAILURE
    send(message)
    return Refused(why)
