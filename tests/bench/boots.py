"""From power-on to the login, and parts of that way, untraced and traced."""
import subprocess

import programs
from emulators import CIRROS, COMMANDS, MACHINE, MINI, Console, emulator

BLOCKS = "exec_tb"  # the event that has rows of its own
TO_NOWHERE = {"pyemu": ["-trace", "file=/dev/null"], "qemu": ["-D", "/dev/null"]}
ALL_BLOCKS = {"pyemu": ["-trace", f"{BLOCKS},full=wait"],
              "qemu": ["-d", "nochain", "-trace", BLOCKS]}
FIRMWARE = ["-display", "none", "-serial", "none", "-monitor", "none", "-debugcon", "stdio"]
DEBUG_PORT = {"pyemu": [], "qemu": ["-global", "isa-debugcon.iobase=0x402"]}  # SeaBIOS' own
HOURS = 4 * 3600


def firmware(name):
    """From the process' start to SeaBIOS' first words, and from there to its last ones."""
    with Console([*COMMANDS[name], *MACHINE, *MINI, *FIRMWARE, *DEBUG_PORT[name]]) as console:
        first = console.expect("SeaBIOS", 60)
        last = console.expect("Booting from 0000:7c00", 60)
        return {"start-up to the first instructions": first,
                "firmware, to the boot sector": last - first}


def traced(name):
    """All events that both emulators have but that of blocks."""
    events = programs.OUT / "events"
    events.write_text("".join(f"{event}\n" for event in sorted(
        set.intersection(*map(known_events, COMMANDS)) - {BLOCKS})))
    options = ["-trace", f"events={events}", *TO_NOWHERE[name]]
    return {f"boot {image} to login, traced": login(image, emulator(name, *disk, *options))
            for image, disk in (("mini", MINI), ("cirros", CIRROS))}


def blocks(name):
    """Each executed block traced."""
    command = emulator(name, *MINI, *ALL_BLOCKS[name], *TO_NOWHERE[name])
    return {f"boot mini to login, {BLOCKS} traced": login("mini", command)}


def login(image, command):
    """Seconds from the start of the process to the login prompt."""
    with Console(command) as console:
        return console.expect(f"{image} login:", HOURS)


def known_events(name):
    """What an emulator calls its events."""
    listing = subprocess.run([*COMMANDS[name], "-trace", "help"], check=True, text=True,
                             stdout=subprocess.PIPE).stdout
    return {line.split()[0] for line in listing.splitlines() if line}
