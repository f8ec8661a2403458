"""Who is let in: anybody, or who knows the password.

The password encrypts a challenge. As DES keys its bytes have their bits in reverse.
Source: RFC 6143, section 7.2.2.
"""
import hmac
import time

from pyemu.vnc import des, protocol

PASSWORD_BYTES = 8
BLOCK = 8


class Security:
    """kind: of the protocol's authentications. As long as no password is set, nobody is let in."""

    def __init__(self, with_password: bool):
        self.kind = protocol.VNC if with_password else protocol.NONE
        self.password: bytes | None = None
        self.expires: float | None = None  # seconds since 1970

    @property
    def name(self) -> str:
        return protocol.AUTHENTICATIONS[self.kind]

    def objection(self, challenge: bytes, response: bytes) -> str:
        """Why a client's response does not let it in; "" if it does."""
        if self.password is None:
            return "password is not set"
        if self.expires is not None and time.time() >= self.expires:
            return "password is expired"
        if not hmac.compare_digest(answer(self.password, challenge), response):
            return "mis-matched challenge response"
        return ""


def answer(password: bytes, challenge: bytes) -> bytes:
    """What a client that knows the password responds."""
    padded = password[:PASSWORD_BYTES].ljust(PASSWORD_BYTES, b"\0")
    key = bytes(int(f"{byte:08b}"[::-1], 2) for byte in padded)
    return b"".join(des.encrypt(key, challenge[at:at + BLOCK])
                    for at in range(0, len(challenge), BLOCK))
