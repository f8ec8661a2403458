"""pyemu: a full-system x86 PC emulator in Python with built-in tracing."""

__version__ = "0.1.0"
