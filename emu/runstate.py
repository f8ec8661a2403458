"""Run states, with QEMU's names and numbers."""
from enum import Enum


class RunState(Enum):
    DEBUG = "debug", 0
    INTERNAL_ERROR = "internal-error", 2
    IO_ERROR = "io-error", 3
    PAUSED = "paused", 4
    PRELAUNCH = "prelaunch", 6
    RUNNING = "running", 9
    SHUTDOWN = "shutdown", 11
    GUEST_PANICKED = "guest-panicked", 14

    def __init__(self, text: str, number: int):
        self.text = text
        self.number = number
