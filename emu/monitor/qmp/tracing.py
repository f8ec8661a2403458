"""trace-event-get-state and trace-event-set-state."""
from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pyemu.monitor.qmp.types import QmpError
from pyemu.trace import commands, hooks
from pyemu.trace.options import TraceError

if TYPE_CHECKING:
    from pyemu.monitor.qmp.session import Session


def get_state(session: Session, name: str, vcpu: int | None = None) -> list[dict[str, Any]]:
    states = _answer(lambda: commands.qmp_trace_event_get_state(name))
    if vcpu is not None:
        _check_vcpu(name, vcpu)
        states = [state for state in states if state["vcpu"]]
    return states


def set_state(session: Session, name: str, enable: bool, ignore_unavailable: bool = False,
              vcpu: int | None = None) -> None:
    if vcpu is not None:
        for state in get_state(session, name, vcpu):
            set_state(session, state["name"], enable, ignore_unavailable)
        return
    session.runner.call(lambda: _answer(lambda: commands.qmp_trace_event_set_state(
        name, enable, ignore_unavailable)))


def _check_vcpu(name: str, vcpu: int) -> None:
    """There is one, and a single event must be of a kind that tells them apart."""
    if vcpu != 0:
        raise QmpError(f"invalid vCPU index {vcpu}")
    if name in hooks.events and "vcpu" not in hooks.events[name].properties:
        raise QmpError(f'event "{name}" is not vCPU-specific')


def _answer(ask: Callable[[], Any]) -> Any:
    try:
        return ask()
    except TraceError as error:
        raise QmpError(str(error)) from None


COMMANDS: dict[str, Callable[..., Any]] = {
    "trace-event-get-state": get_state,
    "trace-event-set-state": set_state,
}
