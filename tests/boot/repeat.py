"""Boot cirros.img N times, from power-on to power-off: `.venv/bin/python tests/boot/repeat.py 20`.

Prints the seconds to the login and what Linux complains of; the exit status is 1 if a boot failed.
"""
import sys

from console import IMAGES, PYEMU, Console, log_in

COMPLAINTS = ("lost interrupt", "nobody cared", "Call Trace", "I/O error", "unstable",
              "ACPI Error", "ACPI Warning", "ACPI BIOS")


def boot():
    """(seconds to the login, complaints). Raises AssertionError."""
    command = [PYEMU, "-m", "256", "-hda", IMAGES / "cirros.img", "-snapshot", "-nographic"]
    with Console(command) as console:
        seconds = log_in(console)
        lines = console.run("sudo dmesg", "$ ").splitlines()
        console.type("sudo poweroff")
        status = console.wait()
        assert status == 0, f"exit status {status}"
    return seconds, [line for line in lines if any(text in line for text in COMPLAINTS)]


def main(times):
    failed = 0
    for number in range(1, times + 1):
        try:
            seconds, complaints = boot()
            print(f"{number}: {seconds:.1f} s", *complaints, sep="\n    ", flush=True)
        except AssertionError as error:
            failed += 1
            print(f"{number}: {error}", flush=True)
    print(f"{times - failed} of {times}")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
