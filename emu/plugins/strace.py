"""System calls of 64-bit Linux guests, with results: file=OUT (stderr unless given).

A line is the address space (CR3) of the process, the call, its result. Strings are read from the
guest's memory when the call is made. Calls that leave the program have no result.
"""
import re
import sys

STRING, NUMBER, FD = "s", "x", "d"
CALLS = {  # number: name and the kinds of its arguments
    0: ("read", "dxx"), 1: ("write", "dxx"), 2: ("open", "sxx"), 3: ("close", "d"),
    4: ("stat", "sx"), 5: ("fstat", "dx"), 6: ("lstat", "sx"), 7: ("poll", "xdd"),
    8: ("lseek", "dxd"), 9: ("mmap", "xxxxdx"), 10: ("mprotect", "xxx"), 11: ("munmap", "xx"),
    12: ("brk", "x"), 13: ("rt_sigaction", "dxxd"), 14: ("rt_sigprocmask", "dxxd"),
    16: ("ioctl", "dxx"), 20: ("writev", "dxd"), 21: ("access", "sx"), 22: ("pipe", "x"),
    32: ("dup", "d"), 33: ("dup2", "dd"), 39: ("getpid", ""), 41: ("socket", "ddd"),
    56: ("clone", "xxxxx"), 57: ("fork", ""), 58: ("vfork", ""), 59: ("execve", "sxx"),
    60: ("exit", "d"), 61: ("wait4", "dxxx"), 62: ("kill", "dd"), 63: ("uname", "x"),
    72: ("fcntl", "ddx"),
    79: ("getcwd", "xx"), 80: ("chdir", "s"), 83: ("mkdir", "sx"), 87: ("unlink", "s"),
    89: ("readlink", "sxx"), 102: ("getuid", ""), 104: ("getgid", ""), 110: ("getppid", ""),
    158: ("arch_prctl", "xx"), 165: ("mount", "sssxx"), 186: ("gettid", ""),
    218: ("set_tid_address", "x"), 217: ("getdents64", "dxx"), 228: ("clock_gettime", "dx"),
    231: ("exit_group", "d"), 257: ("openat", "dsxx"), 262: ("newfstatat", "dsxx"),
    293: ("pipe2", "xx"),
}
LEAVING = (59, 60, 231)  # execve, exit, exit_group
LONGEST = 256  # bytes of a string
ERRORS = range(-4095, 0)


def signed(value, bits):
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> bits - 1 else value


def install(plugin, file=None):
    out = open(file, "w") if file else sys.stderr  # noqa: SIM115 - until the process ends
    pending = {}

    def string(address):
        data, end, _ = plugin.read_memory(address, LONGEST).partition(b"\0")
        text = re.sub(r"[^ -~]", "?", data.decode("latin-1"))
        return f'"{text}"' + ("" if end else "...") if data or end else f"{address:#x}"

    def shown(kind, value):
        if kind == STRING:
            return string(value)
        return str(signed(value, 32)) if kind == FD else f"{value:#x}"

    def entry(number, arguments):
        name, kinds = CALLS.get(number, (f"syscall_{number}", NUMBER * 6))
        values = ", ".join(map(shown, kinds, arguments))
        space = plugin.registers()["cr3"]
        if number in LEAVING:
            print(f"[{space:x}] {name}({values})", file=out, flush=True)
        else:
            pending[space, number] = f"{name}({values})"

    def ret(number, result):
        space = plugin.registers()["cr3"]
        call = pending.pop((space, number), None)
        if call:
            value = signed(result, 64)
            text = str(value) if value in ERRORS or value < 4096 else f"{value:#x}"
            print(f"[{space:x}] {call} = {text}", file=out, flush=True)

    plugin.on_syscall(entry, ret)
