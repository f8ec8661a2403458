"""-clock warp: what the guest sleeps costs nothing, and all its clocks agree on it."""
import re

from .console import IMAGES, PYEMU, Console, shell

PROMPT = "# "
CLOCKS = "cat /proc/uptime; date +%s; hwclock -u > /dev/null && cat /sys/class/rtc/rtc0/since_epoch"


def test_sleep():
    command = [PYEMU, "-clock", "warp", "-drive",
               f"file={IMAGES}/mini.img,format=raw,snapshot=on", "-nographic"]
    with Console(command) as console:
        shell(console)
        before = clocks(console)
        console.run("sleep 3000", PROMPT)  # nobody would wait for it: the limit is a minute
        after = clocks(console)
        for name in before:
            assert 2990 < after[name] - before[name] < 3100, f"{name}: {before}, {after}"
        console.type("poweroff")
        assert console.wait() == 0


def clocks(console):
    """Seconds by the time-stamp counter (or what Linux takes for it), the date, and the RTC."""
    numbers = re.findall(r"^[\d.]+", console.run(CLOCKS, PROMPT), re.MULTILINE)
    return dict(zip(("uptime", "date", "rtc"), map(float, numbers), strict=True))
