"""Commands that steer the machine: stop, cont, reset, the power button, keys."""
from __future__ import annotations

from typing import TYPE_CHECKING

from pyemu.monitor.command import Command

if TYPE_CHECKING:
    from pyemu.monitor.monitor import Monitor


def stop(monitor: Monitor, arguments: list[str]) -> str:
    monitor.runner.pause()
    return ""


def resume(monitor: Monitor, arguments: list[str]) -> str:
    monitor.runner.resume()
    return ""


def reset(monitor: Monitor, arguments: list[str]) -> str:
    monitor.runner.reset()
    return ""


def power_down(monitor: Monitor, arguments: list[str]) -> str:
    monitor.runner.powerdown()
    return ""


COMMANDS = (
    Command("stop|s", "", "stop emulation", stop),
    Command("cont|c", "", "resume emulation", resume),
    Command("system_reset", "", "reset the system", reset),
    Command("system_powerdown", "", "send system power down event", power_down),
)
