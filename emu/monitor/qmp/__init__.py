"""The monitor for programs: QEMU's machine protocol, JSON both ways."""
