"""What a guest's user does, timed from Enter to the next prompt; and a guest that does nothing.

One session is mini.img with its busybox; the other its kernel with the programs of programs.py,
on a processor with SSE up to 4.2 and no AES.
"""
import re
import time

from emulators import MINI, Console, cpu_seconds, emulator, peak_memory, shell, timed
from programs import guest

PROMPT = "# "
REP_STOS = "1 GB of rep stosq (dd bs=64k)"

BUSYBOX = {
    "shell loop, 300 000 turns": "i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done",
    "sha256 of 40 MB": "dd if=/dev/zero bs=1M count=40 2>/dev/null | sha256sum >/dev/null",
    "gzip -9 of 8 MB": "for n in 1 2 3 4; do dd if=/bin/busybox bs=1k count=1900 2>/dev/null"
                       " | gzip -9 >/dev/null; done",
    "300 fork+exec": "n=0; while [ $n -lt 300 ]; do /bin/busybox true; n=$((n+1)); done",
    "400 000 syscalls (dd bs=1)": "dd if=/dev/zero of=/dev/null bs=1 count=200000 2>/dev/null",
    REP_STOS: "dd if=/dev/zero of=/dev/null bs=64k count=16384 2>/dev/null",
    "5000 lines scroll over the VGA's text screen":
        "dmesg | head -n 250 >/tmp/log; for n in 1 2 3 4 5; do for m in 1 2 3 4; do"
        " cat /tmp/log; done; done >/dev/tty1",
}
PROGRAMS = {
    "tcc compiles 20 small programs": "for n in 1 2 3 4 5; do for source in /opt/*.c; do"
                                      " tcc -o /tmp/program $source; done; done",
    "20 000 turns of pipe ping-pong": "/opt/pipes 20000",
    "100 000 page faults": "/opt/faults 25",
    "matrices of doubles (SSE2)": "/opt/doubles 20 >/dev/null",
}
OPENSSL = {
    "sha256 (SSSE3)": "sha256",
    "AES-128-CBC (SSSE3)": "aes-128-cbc",
    "ChaCha20 (SSSE3)": "chacha20",
}
SPEED = "openssl speed -mr -seconds 1"
PIECE = 8192  # bytes
RATE = re.compile(r"\+F:.*:([\d.]+)\s")  # bytes a second
SIGNATURES = re.compile(r"\+F2:\d+:\d+:([\d.]+):")  # a second

PROCESSOR = ["-cpu", "Nehalem"]
KERNEL_LINE = "console=tty0 console=ttyS0 earlyprintk=ttyS0 mitigations=off"

DEVICES = "disk, ", "e1000, "

SETTLED, WATCHED = 3, 5  # seconds before and while a guest at rest is looked at


def is_work(title):
    """Whether a figure is one of those of which the mean is taken."""
    return (title in BUSYBOX or title in PROGRAMS or title.startswith(("openssl, ", *DEVICES))
            ) and title != REP_STOS


def busybox(name):
    with Console(emulator(name, *MINI)) as console:
        figures = {"boot mini to login": console.expect("mini login:", 600)}
        console.expect(PROMPT)
        time.sleep(SETTLED)
        before = cpu_seconds(console)
        time.sleep(WATCHED)
        idle = (cpu_seconds(console) - before) / WATCHED
        memory = peak_memory(console)
        console.run("stty -echo", PROMPT)
        figures |= {title: timed(console, command, PROMPT)[1]
                    for title, command in BUSYBOX.items()}
        return figures | {"idle guest, % of a core": idle * 100, "peak memory, MiB": memory}


def programs(name):
    kernel, initramfs = guest()
    command = emulator(name, *PROCESSOR, "-kernel", str(kernel), "-initrd", str(initramfs),
                       "-append", KERNEL_LINE)
    with Console(command) as console:
        loaded = console.expect("Booting from ROM", 120)
        figures = {"decompressor, from loader to kernel":
                   console.expect("Linux version", 120) - loaded}
        shell(console, 600)
        console.run("stty -echo", PROMPT)
        figures |= {title: timed(console, command, PROMPT)[1]
                    for title, command in PROGRAMS.items()}
        answer, _ = timed(console, f"{SPEED} rsa2048", PROMPT)
        figures["openssl, RSA-2048 signature, ms"] = 1e3 / float(SIGNATURES.search(answer)[1])
        for title, algorithm in OPENSSL.items():
            answer, _ = timed(console, f"{SPEED} -bytes {PIECE} -evp {algorithm}", PROMPT)
            figures[f"openssl, {title} of {PIECE >> 10} KiB, us"] = (
                PIECE / float(RATE.search(answer)[1]) * 1e6)
        return figures
