"""Port 80h: where firmware writes how far it has come (POST codes), and Linux to gain time.

The code stays for whoever asks. Nobody answers a read, as with a diagnostic card.
"""
from pyemu.trace.hooks import trace_post_code

from .chip import Chip

NOBODY = 0xff


class Post(Chip):
    """`code` is the last one written."""

    STATE = ("code",)

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self.code = 0

    def read(self, offset: int, size: int) -> int:
        return NOBODY

    def write(self, offset: int, size: int, value: int) -> None:
        if trace_post_code:
            trace_post_code(value)
        self.code = value
