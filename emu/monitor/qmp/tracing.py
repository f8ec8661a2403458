"""trace-event-get-state and trace-event-set-state."""
from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pyemu.monitor.qmp.types import QmpError
from pyemu.trace import commands
from pyemu.trace.options import TraceError

if TYPE_CHECKING:
    from pyemu.monitor.qmp.session import Session


def get_state(session: Session, name: str, vcpu: int | None = None) -> list[dict[str, Any]]:
    return _answer(lambda: commands.qmp_trace_event_get_state(name, vcpu))


def set_state(session: Session, name: str, enable: bool, ignore_unavailable: bool = False,
              vcpu: int | None = None) -> None:
    session.runner.call(lambda: _answer(lambda: commands.qmp_trace_event_set_state(
        name, enable, ignore_unavailable, vcpu)))


def _answer(ask: Callable[[], Any]) -> Any:
    try:
        return ask()
    except TraceError as error:
        raise QmpError(str(error)) from None


COMMANDS: dict[str, Callable[..., Any]] = {
    "trace-event-get-state": get_state,
    "trace-event-set-state": set_state,
}
