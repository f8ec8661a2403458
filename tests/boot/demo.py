"""`make boot`: boot the demo image with tracing on to its login, then show the decoded trace."""
import subprocess
import sys
import tempfile
from pathlib import Path

from console import Console

ROOT = Path(__file__).parents[2]
EVENTS = ("load_file", "guest_cpu_reset", "runstate_set", "vm_state_notify", "ide_exec_cmd",
          "tcg_gen_code")
SHOWN = 40  # lines of the trace


def main():
    with tempfile.TemporaryDirectory() as folder:
        events, trace = Path(folder, "events"), Path(folder, "trace")
        events.write_text("".join(f"{event}\n" for event in EVENTS))
        command = [ROOT / ".venv/bin/pyemu", "-m", "256",
                   "-hda", ROOT / "images/out/cirros.img", "-snapshot", "-nographic",
                   "-trace", f"events={events},file={trace}"]
        print("$", *(f"{word}" for word in command), flush=True)
        with Console(command, on_text=show) as console:
            seconds = console.expect("cirros login:", timeout=240)
            console.send(b"\x01x")  # Ctrl-A x quits
            status = console.wait()
        print(f"\n\nLogin after {seconds:.1f} s, exit status {status}. The trace of the boot:\n")
        decoder = [ROOT / ".venv/bin/pyemu-simpletrace", trace]
        lines = subprocess.run(decoder, check=True, stdout=subprocess.PIPE,
                               text=True).stdout.splitlines()
        print(*lines[:SHOWN], sep="\n")
        print(f"... and {max(0, len(lines) - SHOWN)} more records")
        return status


def show(text):
    print(text, end="", flush=True)


if __name__ == "__main__":
    sys.exit(main())
