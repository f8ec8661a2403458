"""Runs a machine: the vCPU's thread, its requests from within and without, the run states.

The vCPU's thread owns the machine. Other threads hand it functions by `post()`; the doorbell brings
it to them at the next block of guest code, or out of HLT.
"""
import collections
import threading
from collections.abc import Callable
from typing import Any

from pyemu.clock import Clock
from pyemu.engine.cpu import DEBUG, HALTED, TRIPLE_FAULT, Cpu
from pyemu.memory import Memory
from pyemu.ports import Ports
from pyemu.runstate import RunState
from pyemu.trace import log
from pyemu.trace.hooks import (
    trace_cpu_halted,
    trace_cpu_triple_fault,
    trace_cpu_woken,
    trace_guest_cpu_reset,
    trace_guest_panicked,
    trace_runstate_set,
    trace_vm_state_notify,
)
from pyemu.warp import Warp

RTC_PATH = "/machine/unattached/device[9]"  # where QEMU's object tree has the clock


class Runner:
    """One machine and the thread that executes it.

    Build the machine on `cpu`, `clock`, `ports` and `memory`, set `machine`, then `start()`. As the
    machine's `System`, the runner does what chips request after the instruction that asked.

    warp: what makes time jump while the guest is halted, or None.
    on_state: called with each new `RunState`, on the vCPU's thread.
    on_event: called with the name of what has happened and its data, as QMP tells of it (RESET,
    SHUTDOWN, STOP, RESUME, POWERDOWN), on the vCPU's thread.
    """

    def __init__(self, cpu: Cpu, *, no_reboot: bool = False, no_shutdown: bool = False,
                 panic_action: str = "shutdown"):
        self.cpu = cpu
        self.clock = Clock()
        self.ports = Ports(self.cpu)
        self.memory = Memory(self.cpu)
        self.machine: Any = None
        self.vnc: list[Any] = []  # servers of the screen, for monitors
        self.netdevs: Any = None  # the host's side of the network, for monitors
        self.gdb: Any = None  # the debugger's server, likewise
        self.no_reboot = no_reboot
        self.no_shutdown = no_shutdown
        self.panic_action = panic_action  # as -action panic= has it
        self.state = RunState.PRELAUNCH
        self.on_state: list[Callable[[RunState], None]] = []
        self.on_event: list[Callable[[str, dict[str, Any]], None]] = []
        self.warp: Warp | None = None
        self.exit_status: int | None = None
        self.error: BaseException | None = None

        self._posted: collections.deque[Callable[[], None]] = collections.deque()
        self._requests: collections.deque[Callable[[], None]] = collections.deque()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._main, name="vcpu", daemon=True)
        self.cpu.on_service = self._service
        self.clock.on_earlier = self._arm
        self.clock.on_jump = self._set_offset

    # --- from any thread ---

    def start(self, paused: bool = False) -> None:
        """Begin to execute, or to wait for `resume()`."""
        if not paused:
            self.post(lambda: self._set_state(RunState.RUNNING))
        self._thread.start()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for the end of the machine; False if `timeout` seconds passed before it."""
        return self._ended.wait(timeout)

    def join(self) -> None:
        """Wait until the thread is gone."""
        self._thread.join()

    def post(self, function: Callable[[], None]) -> None:
        """Call `function` on the vCPU's thread soon."""
        self._posted.append(function)
        self.cpu.ring()

    def here(self) -> bool:
        """Whether this thread may touch the machine: the vCPU's, and any before and after that."""
        return threading.current_thread() is self._thread or not self._thread.is_alive()

    def at_once(self, function: Callable[[], None]) -> None:
        """Call `function` now if this is the vCPU's thread, else soon on that."""
        if threading.current_thread() is self._thread:
            function()
        else:
            self.post(function)

    def call(self, function: Callable[[], Any]) -> Any:
        """Call `function` on the vCPU's thread; return its result, raise what it raises."""
        if self.here():
            return function()
        outcome: dict[str, Any] = {}
        done = threading.Event()

        def run() -> None:
            try:
                outcome["value"] = function()
            except Exception as error:
                outcome["error"] = error
            done.set()

        self.post(run)
        while not done.wait(0.1):
            if not self._thread.is_alive():
                raise RuntimeError("the machine has ended")
        if "error" in outcome:
            raise outcome["error"]
        return outcome["value"]

    def pause(self, state: RunState = RunState.PAUSED) -> None:
        self.call(lambda: self._set_state(state) if self.state is RunState.RUNNING else None)

    def resume(self) -> None:
        """Go on; nothing happens once the guest has switched the machine off."""
        self.call(lambda: self._set_state(RunState.RUNNING)
                  if self.state is not RunState.SHUTDOWN else None)

    def step(self) -> None:
        """Execute one instruction, without an interrupt before it, then stop in the state DEBUG."""
        def begin() -> None:
            if self.state not in (RunState.RUNNING, RunState.SHUTDOWN):
                self.cpu.stepping = True
                self._set_state(RunState.RUNNING)
        self.call(begin)

    def reset(self) -> None:
        self.call(lambda: self.reset_request("host-qmp-system-reset"))

    def powerdown(self) -> None:
        """Press the power button: the guest decides."""
        def press() -> None:
            self._tell("POWERDOWN")
            self.machine.power_button()
        self.call(press)

    def quit(self, status: int = 0, cause: str = "host-qmp-quit") -> None:
        """End the machine, and `wait()`, with this exit status."""
        def end() -> None:
            self._tell_cause("SHUTDOWN", cause)
            self._end(status)
        self.post(lambda: self._request(end))

    def tell(self, event: str, data: dict[str, Any]) -> None:
        """Something has happened outside the machine that `on_event` is to hear of."""
        if self.here():
            self._tell(event, **data)
        else:
            self.post(lambda: self._tell(event, **data))

    def status(self) -> str:
        return self.state.text

    @property
    def thread_id(self) -> int:
        """The host's number for the vCPU's thread."""
        return self._thread.native_id or 0

    # --- System: on the vCPU's thread ---

    def reset_request(self, cause: str) -> None:
        self._request(lambda: self._reset(cause))

    def shutdown_request(self, cause: str) -> None:
        self._request(lambda: self._shut_down(cause))

    def guest_panicked(self) -> None:
        trace_guest_panicked(self.cpu.cs[0], self.cpu.rip)
        if log.guest_errors:
            log.guest_errors("Guest crashed")
        self._request(self._panic)

    def guest_crashloaded(self) -> None:
        self._tell("GUEST_CRASHLOADED", action="run")

    def exit_request(self, status: int) -> None:
        self._request(lambda: self._end(status))

    def rtc_change(self, offset: int) -> None:
        self._tell("RTC_CHANGE", **{"offset": offset, "qom-path": RTC_PATH})

    def _request(self, action: Callable[[], None]) -> None:
        self._requests.append(action)
        self.cpu.stop()

    # --- the thread ---

    def _main(self) -> None:
        try:
            self._set_power_on_state()
            while self.exit_status is None:
                while self._requests:
                    self._requests.popleft()()
                if self.exit_status is None:
                    self._execute()
        except BaseException as error:
            self.error = error
        finally:
            self.clock.pause()
            self._ended.set()

    def _execute(self) -> None:
        if self.state is not RunState.RUNNING:
            self.cpu.arm(None)
            self.cpu.sleep()
            self._service()
            return
        outcome = self.cpu.run()
        if outcome == HALTED:
            self._halt()
        elif outcome == DEBUG:
            self._set_state(RunState.DEBUG)
        elif outcome == TRIPLE_FAULT:
            trace_cpu_triple_fault(self.cpu.cs[0], self.cpu.rip)
            self.reset_request("guest-reset")

    def _halt(self) -> None:
        if trace_cpu_halted:
            trace_cpu_halted(self.cpu.rip)
        while not self.cpu.can_wake:
            if self.warp:
                self.cpu.arm(self.warp.jump())
            self.cpu.sleep()
            self._service()
        if trace_cpu_woken:
            trace_cpu_woken(self.cpu.rip)

    def _service(self) -> None:
        """What the doorbell calls for: functions from other threads, then timers."""
        posted = self._posted
        while posted:
            posted.popleft()()
        if self.state is RunState.RUNNING:
            self.clock.run_due()
            deadline = self.clock.next_deadline()
            if deadline is not None:
                self._arm(deadline)
            else:
                self.cpu.arm(None)

    def _arm(self, deadline: int) -> None:
        self.cpu.arm(self.clock.host_time(deadline))

    def _set_offset(self, offset: int) -> None:
        self.cpu.clock_offset = offset

    # --- requests, carried out between two runs ---

    def _set_power_on_state(self) -> None:
        trace_guest_cpu_reset(self.cpu)
        self.cpu.reset()
        self.machine.reset()

    def _reset(self, cause: str) -> None:
        if self.no_reboot:
            self._shut_down(cause)
            return
        self._set_power_on_state()
        self._tell_cause("RESET", cause)
        if self.state is not RunState.RUNNING:
            self._set_state(RunState.PRELAUNCH)

    def _shut_down(self, cause: str) -> None:
        self._tell_cause("SHUTDOWN", cause)
        if self.no_shutdown:
            self._set_state(RunState.SHUTDOWN)
        else:
            self._end(0)

    def _panic(self) -> None:
        if self.panic_action == "none":
            self._tell("GUEST_PANICKED", action="run")
            return
        stays = self.panic_action == "pause" or (
            self.panic_action == "shutdown" and self.no_shutdown)
        self._tell("GUEST_PANICKED", action="pause" if stays else "poweroff")
        self._set_state(RunState.GUEST_PANICKED)
        if not stays:
            self._tell_cause("SHUTDOWN", "guest-panic")
            self._end(int(self.panic_action == "exit-failure"))

    def _end(self, status: int) -> None:
        self.exit_status = status
        if self.state is RunState.RUNNING:
            self._set_state(RunState.SHUTDOWN)

    def _tell_cause(self, event: str, cause: str) -> None:
        self._tell(event, guest=cause.startswith("guest-"), reason=cause)

    def _tell(self, event: str, **data: Any) -> None:
        for notify in self.on_event:
            notify(event, data)

    def _set_state(self, state: RunState) -> None:
        if state is self.state:
            return
        old, self.state = self.state, state
        trace_runstate_set(old.number, old.text, state.number, state.text)
        running = state is RunState.RUNNING
        if running or old is RunState.RUNNING:
            trace_vm_state_notify(running, state.number, state.text)
        if running:
            self.clock.resume()
            deadline = self.clock.next_deadline()
            if deadline is not None:
                self._arm(deadline)
        else:
            self.clock.pause()
            self.cpu.stop()
            self.cpu.stepping = False
        for notify in tuple(self.on_state):  # a debugger may leave meanwhile
            notify(state)
        if running:
            self._tell("RESUME")
        elif old is RunState.RUNNING and self.exit_status is None:
            self._tell("STOP")
