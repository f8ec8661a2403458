"""Random work on a qcow2 image, done by us and by qemu-io in turns, beside a plain model of it."""
import random
import re
import subprocess

from pyemu.machine.block.open import open_image

KIB = 1 << 10


def ignore(text):
    """Warnings are not what is tested here."""


def qemu_img(*arguments, cwd):
    return subprocess.run(["qemu-img", *map(str, arguments)], cwd=cwd, check=True,
                          capture_output=True, text=True).stdout


def check(path):
    """Assert that qemu-img finds neither errors nor leaks."""
    done = subprocess.run(["qemu-img", "check", str(path)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


class Work:
    """An image `a.qcow2` in a folder and what must be read from it."""

    def __init__(self, folder, seed, lazy=True):
        self.folder, self.dice = folder, random.Random(seed)
        dice = self.dice
        self.cluster = dice.choice((512, 512, 1024, 4096, 64 * KIB))
        self.v3 = dice.random() < 0.75
        self.size = dice.choice((700 * KIB, 333 * 512, 2048 * KIB)) + dice.choice((0, 512, 1536))
        options = [f"cluster_size={self.cluster}", f"compat={'1.1' if self.v3 else '0.10'}"]
        self.refcount_bits = 16
        if self.v3:
            self.refcount_bits = dice.choice((1, 2, 4, 8, 16, 32, 64))
            options.append(f"refcount_bits={self.refcount_bits}")
            if lazy and dice.random() < 0.2:
                options.append("lazy_refcounts=on")
        self.backing = dice.random() < 0.4
        words = []
        self.model = bytearray(self.size)
        if self.backing:
            length = dice.randrange(512, self.size + 4096)
            content = dice.randbytes(length)
            (folder / "base.raw").write_bytes(content)
            self.model[:] = content[:self.size].ljust(self.size, b"\0")
            words = ["-b", "base.raw", "-F", "raw"]
        elif dice.random() < 0.2:
            options.append("preallocation=metadata")
        self.options = ",".join(options)
        self.path = folder / "a.qcow2"
        qemu_img("create", "-f", "qcow2", *words, "-o", self.options, "a.qcow2", self.size,
                 cwd=folder)
        self.snapshots = {}

    def place(self):
        """A random part of the disk, in sectors, often along cluster borders."""
        dice = self.dice
        unit = dice.choice((512, 512, self.cluster))
        offset = dice.randrange(self.size) // unit * unit
        length = dice.choice((1, 1, 2, 3, 8, 40)) * dice.choice((512, 512, self.cluster))
        return offset, min(length, self.size - offset)

    def operations(self, count):
        """`count` of (name, offset, length, byte); the model has them done."""
        kinds = ["write"] * 5 + ["zero"] * 2 + ["zero-keep", "flush", "read"]
        if self.v3 or not self.backing:
            kinds.append("discard")
        for _ in range(count):
            offset, length = self.place()
            kind, byte = self.dice.choice(kinds), self.dice.randrange(1, 256)
            if kind == "discard":
                length -= length % 512
            self.apply(kind, offset, length, byte)
            yield kind, offset, length, byte

    def apply(self, kind, offset, length, byte):
        end = offset + length
        if kind == "write":
            self.model[offset:end] = bytes([byte]) * length
        elif kind.startswith("zero"):
            self.model[offset:end] = bytes(length)
        elif kind == "discard":
            start = -(-offset // self.cluster) * self.cluster
            if end < self.size:
                end -= end % self.cluster
            if start < end:
                self.model[start:end] = bytes(end - start)

    def ours(self, count):
        disk = open_image(str(self.path), "qcow2", report=ignore, discard=True)
        try:
            for kind, offset, length, byte in self.operations(count):
                if kind == "write":
                    disk.write(offset, bytes([byte]) * length)
                elif kind.startswith("zero"):
                    disk.write_zeroes(offset, length, unmap=kind == "zero")
                elif kind == "discard":
                    disk.discard(offset, length)
                elif kind == "flush":
                    disk.flush()
                else:
                    assert disk.read(offset, length) == self.model[offset:offset + length]
            assert disk.read(0, self.size) == self.model
        finally:
            disk.close()

    def theirs(self, count):
        commands = []
        for kind, offset, length, byte in self.operations(count):
            commands += ["-c", {
                "write": f"write -P {byte} {offset} {length}",
                "zero": f"write -z -u {offset} {length}",
                "zero-keep": f"write -z {offset} {length}",
                "discard": f"discard {offset} {length}",
                "flush": "flush",
                "read": f"read {offset} {length}"}[kind]]
        done = subprocess.run(["qemu-io", "-f", "qcow2", "-d", "unmap", *commands, self.path],
                              capture_output=True, text=True)
        assert done.returncode == 0 and not re.search("failed|error", done.stdout + done.stderr), (
            done.stdout + done.stderr)

    def compressed(self):
        """qemu-io writes some compressed clusters, where nothing is yet: it can do no more."""
        for _ in range(self.dice.randrange(1, 4)):
            offset = self.dice.randrange(self.size // self.cluster) * self.cluster
            byte = self.dice.randrange(256)
            command = f"write -c -P {byte} {offset} {self.cluster}"
            done = subprocess.run(["qemu-io", "-f", "qcow2", "-c", command, self.path],
                                  capture_output=True, text=True)
            if "wrote" in done.stdout:
                self.apply("write", offset, self.cluster, byte)

    def verify(self):
        check(self.path)
        qemu_img("convert", "-f", "qcow2", "-O", "raw", "a.qcow2", "a.raw", cwd=self.folder)
        assert (self.folder / "a.raw").read_bytes() == self.model
