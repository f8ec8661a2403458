"""`pyemu`: reads the command line, runs the machine, says in one line what went wrong."""
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from pyemu.config import Config, UserError
from pyemu.options import parse
from pyemu.options.request import Answer
from pyemu.report import complain


def main(arguments: list[str] | None = None) -> int:
    """Run with `arguments` (those of the process if None) and return the exit status."""
    _occupy_standard_descriptors()
    try:
        return _run(sys.argv[1:] if arguments is None else arguments)
    except UserError as error:
        return _fail(str(error))
    except KeyboardInterrupt:
        return 128 + 2
    except BrokenPipeError:  # nobody reads the help any more
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 1
    except Exception as error:
        if os.environ.get("PYEMU_DEBUG"):
            raise
        return _fail(f"{_describe(error)} (PYEMU_DEBUG=1 shows where)")


def _run(arguments: list[str]) -> int:
    try:
        config = parse(arguments)
    except Answer as answer:
        print(answer, flush=True)
        return 0
    from pyemu.trace import control, log  # late: -help and -version need none of this
    try:
        control.declare(config.trace_events)
        options = control.TraceOptions.parse(config.trace)
        log_options = log.LogOptions.parse(config.log, config.log_file,
                                                  ranges=config.log_ranges)
        if options.help:
            print(control.help_text(), flush=True)
            return 0
        with _pid_file(config):
            from pyemu.launch import run  # late: it brings in the engine
            log.start(log_options)
            control.start(options)
            try:
                return run(config)
            finally:
                control.close()
                log.close()
    except log.UnknownItem as error:
        print(log.help_text(), flush=True)
        print(error.line, file=sys.stderr, flush=True)
        return 1
    except control.TraceError as error:
        print(error.line, file=sys.stderr, flush=True)
        return 1


@contextmanager
def _pid_file(config: Config) -> Iterator[None]:
    """The process id is in the file that the user named while the machine runs."""
    if config.pid_file is None:
        yield
        return
    try:
        with open(config.pid_file, "w", encoding="ascii") as file:
            file.write(f"{os.getpid()}\n")
    except OSError as error:
        raise UserError(f"cannot create PID file: {_describe(error)}") from None
    try:
        yield
    finally:
        with suppress(OSError):
            os.unlink(config.pid_file)


def _fail(message: str) -> int:
    complain(message)
    return 1


def _describe(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return f"internal error: {type(error).__name__}: {error}"


def _occupy_standard_descriptors() -> None:
    """Open /dev/null for each of stdin, stdout and stderr that was handed over closed.

    Else a disk image could become descriptor 2, and messages would be written into it.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number, which is this one
