"""Nobody: bytes go nowhere and none come."""
from pyemu.chardev.backend import Backend


class Null(Backend):
    """As a Backend is before it is connected to anything."""
