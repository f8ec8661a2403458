"""A server for gdb's remote protocol: the machine as a debugger sees it."""
