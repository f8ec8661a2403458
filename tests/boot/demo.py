"""`make boot`: boot cirros.img traced, log in, power off, then show the decoded trace."""
import re
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

from console import IMAGES, PYEMU, QUERY, Console, log_in

EVENTS = ("load_file", "guest_cpu_reset", "runstate_set", "ide_exec_cmd", "tcg_gen_code")
SHOWN = 3  # records of an event that come often; of load_file all
PROMPT = "$ "
CONTROL = re.compile(r"\x1b(c|\[[0-9;?]*[A-Za-z])")  # clear the screen, move, colours
PART = re.compile(r"\x1b(\[[0-9;?]*)?$")  # the beginning of one, whose rest comes later


class Screen:
    """Shows what the guest prints, leaving the user's terminal as it is."""

    def __init__(self):
        self.rest = ""

    def __call__(self, text):
        text = self.rest + text
        part = PART.search(text)
        self.rest = part[0] if part else ""
        text = CONTROL.sub("", text.removesuffix(self.rest).replace(QUERY, ""))
        print(text, end="", flush=True)


def main():
    with tempfile.TemporaryDirectory() as folder:
        events, trace = Path(folder, "events"), Path(folder, "trace")
        events.write_text("".join(f"{event}\n" for event in EVENTS))
        command = [PYEMU, "-m", "256", "-hda", IMAGES / "cirros.img", "-snapshot", "-nographic",
                   "-trace", f"events={events},file={trace}"]
        title(" ".join(map(str, command)))
        with Console(command, on_text=Screen()) as console:
            seconds = log_in(console, timeout=240)
            console.run("uname -srm; cat /proc/loadavg", PROMPT)
            console.type("sudo poweroff")
            status = console.wait()
        title(f"{seconds:.1f} s from power-on to the login; exit status {status}")
        title("pyemu-simpletrace, the first records of each event")
        show_trace(trace)
        return status


def title(text):
    print(f"\n\033[1m== {text}\033[0m" if sys.stdout.isatty() else f"\n== {text}", flush=True)


def show_trace(trace):
    decoder = [PYEMU.with_name("pyemu-simpletrace"), trace]
    lines = subprocess.run(decoder, check=True, stdout=subprocess.PIPE, text=True,
                           ).stdout.splitlines()
    counts = Counter(line.split(maxsplit=1)[0] for line in lines)
    for event in EVENTS:
        shown = counts[event] if event == "load_file" else SHOWN
        records = [line for line in lines if line.startswith(f"{event} ")]
        print(*records[:shown], sep="\n")
        if len(records) > shown:
            print(f"    ... and {len(records) - shown} more")


if __name__ == "__main__":
    sys.exit(main())
