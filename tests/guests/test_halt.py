"""HLT, the doorbell and the alarm: nothing is lost, whichever side is first."""
import itertools
import random
import threading
import time

import pytest
from guests.harness import NMI, Guest, isolated
from pyemu.engine.cpu import HALTED, STOPPED, Cpu

VECTOR = 0x30
MODES = ["real", "protected", "long"]
SECOND = 1_000_000_000


@pytest.mark.parametrize("mode", MODES)
def test_halt_reports_itself(mode):
    guest = Guest(mode)
    result = guest.run("mov ebx, 5\nhlt\nmov ebx, 6\nEND")
    assert (result.stop, result.ebx) == ("halt", 5)


@pytest.mark.parametrize("mode", MODES)
def test_halt_wakes_by_an_interrupt_of_another_thread(mode):
    guest = Guest(mode, wait_for_interrupt=True)
    rung = []

    def service():
        if rung and not guest.pending:
            guest.interrupt(rung.pop())

    guest.on_service = service

    def press():
        time.sleep(0.02)
        rung.append(VECTOR)
        guest.cpu.ring()

    thread = threading.Thread(target=press)
    thread.start()
    result = guest.run("sti\nhlt\nmov ebx, 5\nEND")
    thread.join()
    assert (result.stop, result.vectors, result.ebx) == ("end", [VECTOR], 5)


@pytest.mark.parametrize("mode", MODES)
def test_interrupt_that_is_pending_wakes_sti_hlt(mode):
    """STI's shadow covers HLT: the interrupt comes after it, not before."""
    guest = Guest(mode)
    result = guest.run(f"mov al, {VECTOR}\nmov edi, here\ncli\nout PORT_IRQ, al\nsti\nhlt\n"
                       "here: mov ebx, 5\nEND")
    assert (result.stop, result.vectors, result.ebx) == ("end", [VECTOR], 5)
    assert result.last.ip == result.edi


def test_halt_without_if_ignores_interrupts_but_not_nmi():
    guest = Guest("long", resume={NMI})
    result = guest.run(f"mov al, {VECTOR}\nout PORT_IRQ, al\nnop\ncli\nhlt\nmov ebx, 5\nEND")
    assert result.stop == "halt" and guest.cpu.intr and not result.events
    assert guest.go_on().stop == "halt", "it stays there"
    guest.cpu.set_nmi()
    result = guest.go_on()
    assert (result.stop, result.vectors, result.ebx) == ("end", [NMI], 5)


def test_a_second_nmi_does_not_wake_the_handler_of_the_first():
    guest = Guest("long")
    guest.gate(NMI, 0x24000)
    guest.place(0x24000, "inc ebx\nhlt\nmov esi, 5\nEND")
    guest.on_port(0x90, write=lambda value: guest.cpu.set_nmi())
    assert guest.run("out 0x90, al\njmp next\nnext: nop").stop == "halt"
    guest.cpu.set_nmi()
    result = guest.go_on()
    assert (result.stop, result.ebx, result.esi) == ("halt", 1, 0)


def test_stop_while_halted_leaves_it_halted():
    """A machine that is paused in HLT and goes on must still wait for its interrupt."""
    guest = Guest("long")
    assert guest.run("sti\nhlt\nmov ebx, 5\nEND").stop == "halt"
    cpu = guest.cpu
    cpu.stop()
    assert cpu.run() == STOPPED
    assert cpu.run() == HALTED
    cpu.ring()
    assert cpu.run() == HALTED
    assert cpu.rbx == 0
    guest.interrupt(VECTOR)
    result = guest.go_on()
    assert (result.stop, result.vectors, result.ebx) == ("end", [VECTOR], 5)


def test_an_interrupt_that_is_withdrawn_does_not_end_the_halt():
    guest = Guest("long")
    assert guest.run("sti\nhlt\nmov ebx, 5\nEND").stop == "halt"

    def withdraw():
        guest.cpu.set_intr(False)
        return -1

    acknowledge, guest.cpu.on_acknowledge = guest.cpu.on_acknowledge, withdraw
    guest.cpu.set_intr(True)
    assert guest.go_on().stop == "halt" and guest.cpu.rbx == 0
    guest.cpu.on_acknowledge = acknowledge
    guest.interrupt(VECTOR)
    assert guest.go_on().ebx == 5


def test_stop_before_run_and_stop_from_a_service():
    guest = Guest("protected")
    guest.start("l: inc ebx\njmp l")
    cpu = guest.cpu
    cpu.stop()
    assert (cpu.run(), cpu.rip) == (STOPPED, 0xfff0)
    guest.on_service = cpu.stop
    cpu.ring()
    assert cpu.run() == STOPPED
    timer = threading.Timer(0.02, cpu.ring)
    timer.start()
    assert cpu.run() == STOPPED and cpu.rbx > 1000


def test_ring_before_run_is_served():
    guest = Guest("protected")
    served = []
    guest.on_service = lambda: served.append(1)
    guest.cpu.ring()
    guest.run("nop\njmp next\nnext: END")
    assert served


def test_reset_wakes():
    guest = Guest("long")
    assert guest.run("cli\nhlt").stop == "halt"
    assert guest.run("mov ebx, 5\nEND").ebx == 5


# --- sleeping and the alarm ---

def test_sleep_ends_at_the_deadline():
    cpu = Guest("real").cpu
    start = time.monotonic_ns()
    cpu.arm(start + SECOND // 50)
    cpu.sleep()
    assert SECOND // 50 <= time.monotonic_ns() - start < SECOND


def test_sleep_with_a_deadline_that_has_passed():
    cpu = Guest("real").cpu
    cpu.arm(time.monotonic_ns() - SECOND)
    cpu.sleep()
    cpu.arm(0)
    cpu.sleep()


def test_sleep_without_a_deadline_ends_by_a_ring_before_or_after():
    cpu = Guest("real").cpu
    cpu.arm(None)
    cpu.ring()
    cpu.sleep()
    timer = threading.Timer(0.02, cpu.ring)
    timer.start()
    cpu.sleep()
    timer.join()


def test_the_alarm_calls_for_service_while_the_guest_runs():
    guest = Guest("protected")
    times = []

    def service():
        times.append(time.monotonic_ns())
        if len(times) == 20:
            guest.ended = True
            guest.cpu.stop()
        guest.cpu.arm(times[-1] + SECOND // 1000)

    guest.on_service = service
    guest.cpu.arm(time.monotonic_ns() + SECOND // 1000)
    assert guest.run("l: jmp l").stop == "end"
    gaps = [b - a for a, b in itertools.pairwise(times)]
    assert min(gaps) >= SECOND // 1000
    assert sorted(gaps)[len(gaps) // 2] < SECOND // 100


def test_an_earlier_deadline_replaces_a_later_one():
    """Armed from a device's callback, while the alarm waits for the later one."""
    guest = Guest("protected")
    start = time.monotonic_ns()
    guest.on_port(0x90, write=lambda value: guest.cpu.arm(start + SECOND // 50))
    guest.cpu.arm(start + 30 * SECOND)

    def service():
        if time.monotonic_ns() >= start + SECOND // 50:
            guest.ended = True
            guest.cpu.stop()

    guest.on_service = service
    assert guest.run("out 0x90, al\nl: jmp l", timeout=10).stop == "end"


def test_deadlines_in_the_past_from_callbacks():
    """As completions are that come at once: served at the next block."""
    guest = Guest("protected")
    served = []

    def service():
        served.append(1)
        guest.interrupt(VECTOR)

    guest.on_service = service
    guest.on_port(0x90, write=lambda value: guest.cpu.arm(time.monotonic_ns()))
    result = guest.run("""
        sti
        mov ecx, 2000
        turn: out 0x90, al
        loop turn
        mov ebx, 5
        END""")
    assert (result.stop, result.ebx, len(served)) == ("end", 5, 2000)


# --- races ---

def test_a_thousand_wake_ups_from_another_thread():
    """Each posted interrupt ends one HLT; the next is posted when it has been seen."""
    guest = Guest("long", wait_for_interrupt=True)
    seen = threading.Semaphore(0)
    posted = []

    def service():
        while posted:
            guest.interrupt(posted.pop())

    guest.on_service = service
    guest.on_port(0x90, write=lambda value: seen.release())
    count, missed = 1000, []

    def post():
        generator = random.Random(1)
        for number in range(count):
            if generator.random() < 0.5:
                time.sleep(generator.random() * 3e-4)  # so that some find it awake
            posted.append(VECTOR)
            guest.cpu.ring()
            if not seen.acquire(timeout=5):
                missed.append(number)
                return

    thread = threading.Thread(target=post)
    thread.start()
    guest.gate(VECTOR, 0x24000)
    guest.place(0x24000, "inc ebx\nout 0x90, al\niretq")
    result = guest.run(f"""
        sti
        again: cli
        cmp ebx, {count}
        je done
        sti
        hlt
        jmp again
        done: END""", timeout=30)
    thread.join()
    assert not missed and (result.stop, result.ebx) == ("end", count)


def test_timer_and_threads_together():
    """A periodic timer and a thread that posts, against a guest that now runs, now halts."""
    guest = Guest("long", wait_for_interrupt=True)
    posted, counts = [], {"timer": 0, "posts": 0}
    period = SECOND // 5000

    def service():
        while posted:
            posted.pop()
            counts["posts"] += 1
        if time.monotonic_ns() >= guest.next:
            counts["timer"] += 1
            guest.next = time.monotonic_ns() + period
            if not guest.pending:
                guest.interrupt(VECTOR)
        guest.cpu.arm(guest.next)

    guest.next = time.monotonic_ns() + period
    guest.on_service = service
    guest.cpu.arm(guest.next)
    total = 500

    def post():
        for _ in range(total):
            posted.append(1)
            guest.cpu.ring()
            time.sleep(2e-5)

    thread = threading.Thread(target=post)
    thread.start()
    result = guest.run("""
        sti
        mov ecx, 400
        again: hlt
        mov edx, ecx
        and edx, 0xff
        shl edx, 6
        spin: dec edx
        jns spin
        loop again
        END""", timeout=30)
    thread.join()
    service()
    assert result.stop == "end" and counts["posts"] == total
    assert counts["timer"] >= 400


def test_pauses_and_resumes_while_halted_and_running():
    """stop() at any moment, run() again: the guest notices nothing."""
    guest = Guest("long")
    cpu = guest.cpu
    stops = 0

    def service():
        nonlocal stops
        stops += 1
        cpu.stop()
        if stops % 3 == 0 and not guest.pending:
            guest.interrupt(VECTOR)

    guest.on_service = service
    guest.start("""
        sti
        mov ecx, 300
        again: hlt
        inc ebx
        loop again
        END""")
    while not guest.ended:
        if cpu.run() == HALTED and not cpu.can_wake:
            cpu.ring()
            cpu.sleep()
            service()
    assert cpu.rbx == 300
    assert len([e for e in guest.events() if e.vector == VECTOR]) == 300


@isolated
def test_a_ring_that_nobody_answers_is_an_error():
    cpu = Cpu()
    cpu.ring()
    with pytest.raises(TypeError):
        cpu.run()
