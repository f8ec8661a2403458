"""System calls of Linux guests, with results: file=OUT (stderr unless given).

A line is the address space (CR3) of the process, the call, its result. Strings are read from the
guest's memory when the call is made. Calls that leave the program have no result.
Numbers: Linux, arch/x86/entry/syscalls/syscall_64.tbl and syscall_32.tbl.
"""
import re
import sys

STRING, NUMBER, FD = "s", "x", "d"
KINDS = {  # of each argument
    "read": "dxx", "write": "dxx", "open": "sxx", "close": "d", "stat": "sx", "fstat": "dx",
    "lstat": "sx", "poll": "xdd", "lseek": "dxd", "mmap": "xxxxdx", "mmap2": "xxxxdx",
    "mprotect": "xxx", "munmap": "xx", "brk": "x", "rt_sigaction": "dxxd",
    "rt_sigprocmask": "dxxd", "ioctl": "dxx", "writev": "dxd", "access": "sx", "pipe": "x",
    "dup": "d", "dup2": "dd", "getpid": "", "socket": "ddd", "socketcall": "dx", "clone": "xxxxx",
    "fork": "", "vfork": "", "execve": "sxx", "exit": "d", "waitpid": "dxx", "wait4": "dxxx",
    "kill": "dd", "uname": "x", "fcntl": "ddx", "fcntl64": "ddx", "getcwd": "xx", "chdir": "s",
    "mkdir": "sx", "unlink": "s", "readlink": "sxx", "getuid": "", "getgid": "", "getppid": "",
    "getuid32": "", "getgid32": "", "geteuid32": "", "getegid32": "", "arch_prctl": "xx",
    "set_thread_area": "x", "mount": "sssxx", "gettid": "", "set_tid_address": "x",
    "getdents64": "dxx", "clock_gettime": "dx", "clock_gettime64": "dx", "exit_group": "d",
    "openat": "dsxx", "newfstatat": "dsxx", "fstatat64": "dsxx", "stat64": "sx", "lstat64": "sx",
    "fstat64": "dx", "pipe2": "xx", "statx": "dsxxx", "sigreturn": "",
}
CALLS_64 = {
    0: "read", 1: "write", 2: "open", 3: "close", 4: "stat", 5: "fstat", 6: "lstat", 7: "poll",
    8: "lseek", 9: "mmap", 10: "mprotect", 11: "munmap", 12: "brk", 13: "rt_sigaction",
    14: "rt_sigprocmask", 16: "ioctl", 20: "writev", 21: "access", 22: "pipe", 32: "dup",
    33: "dup2", 39: "getpid", 41: "socket", 56: "clone", 57: "fork", 58: "vfork", 59: "execve",
    60: "exit", 61: "wait4", 62: "kill", 63: "uname", 72: "fcntl", 79: "getcwd", 80: "chdir",
    83: "mkdir", 87: "unlink", 89: "readlink", 102: "getuid", 104: "getgid", 110: "getppid",
    158: "arch_prctl", 165: "mount", 186: "gettid", 217: "getdents64", 218: "set_tid_address",
    228: "clock_gettime", 231: "exit_group", 257: "openat", 262: "newfstatat", 293: "pipe2",
    332: "statx",
}
CALLS_32 = {
    1: "exit", 2: "fork", 3: "read", 4: "write", 5: "open", 6: "close", 7: "waitpid", 10: "unlink",
    11: "execve", 12: "chdir", 19: "lseek", 20: "getpid", 21: "mount", 33: "access", 37: "kill",
    39: "mkdir", 41: "dup", 42: "pipe", 45: "brk", 54: "ioctl", 63: "dup2", 64: "getppid",
    85: "readlink", 91: "munmap", 102: "socketcall", 114: "wait4", 119: "sigreturn", 120: "clone",
    122: "uname", 125: "mprotect", 146: "writev", 168: "poll", 174: "rt_sigaction",
    175: "rt_sigprocmask", 183: "getcwd", 190: "vfork", 192: "mmap2", 195: "stat64",
    196: "lstat64", 197: "fstat64", 199: "getuid32", 200: "getgid32", 201: "geteuid32",
    202: "getegid32", 220: "getdents64", 221: "fcntl64", 224: "gettid", 243: "set_thread_area",
    252: "exit_group", 258: "set_tid_address", 265: "clock_gettime", 295: "openat",
    300: "fstatat64", 331: "pipe2", 359: "socket", 383: "statx", 403: "clock_gettime64",
}
LEAVING = ("execve", "exit", "exit_group")
LONGEST = 256  # bytes of a string
ERRORS = range(-4095, 0)
USER_CODE_64 = 0x33  # CS of a 64-bit program


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
        registers = plugin.registers()
        calls = CALLS_64 if registers["cs"] == USER_CODE_64 else CALLS_32
        name = calls.get(number, f"syscall_{number}")
        values = ", ".join(map(shown, KINDS.get(name, NUMBER * 6), arguments))
        space = registers["cr3"]
        if name in LEAVING:
            print(f"[{space:x}] {name}({values})", file=out, flush=True)
        else:
            pending[space, number] = f"{name}({values})"

    def ret(number, result):
        registers = plugin.registers()
        space = registers["cr3"]
        call = pending.pop((space, number), None)
        if call:
            value = signed(result, 64 if registers["cs"] == USER_CODE_64 else 32)
            text = str(value) if value in ERRORS or 0 <= value < 4096 else f"{result:#x}"
            print(f"[{space:x}] {call} = {text}", file=out, flush=True)

    plugin.on_syscall(entry, ret)
