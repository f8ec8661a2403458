"""Random work on a qcow2 image, done by us and by QEMU's tools in turns, beside a plain model."""
import os
import random
import re
import subprocess

import pyqcow
from pyemu.img.check import check as our_check
from pyemu.img.convert import convert as our_convert
from pyemu.img.snapshot import snapshot as our_snapshot
from pyemu.machine.block.open import open_image

KIB = 1 << 10


def ignore(text):
    """Warnings are not what is tested here."""


def qemu_img(*arguments, cwd):
    return subprocess.run(["qemu-img", *map(str, arguments)], cwd=cwd, check=True,
                          capture_output=True, text=True).stdout


def qemu_io(path, *commands):
    """What it printed. Raises AssertionError if a command failed."""
    words = [word for command in commands for word in ("-c", command)]
    done = subprocess.run(["qemu-io", "-f", "qcow2", "-d", "unmap", *words, path],
                          capture_output=True, text=True)
    output = done.stdout + done.stderr
    assert done.returncode == 0 and not re.search("failed|error", output), output
    return output


def check(path):
    """Assert that qemu-img finds neither errors nor leaks."""
    done = subprocess.run(["qemu-img", "check", str(path)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


class Work:
    """An image `a.qcow2` in a folder and what must be read from it.

    lazy: it may put off its reference counts.
    """

    def __init__(self, folder, seed, lazy=True):
        self.folder, self.dice = folder, random.Random(seed)
        dice = self.dice
        self.cluster = dice.choice((512, 512, 1024, 4096, 64 * KIB))
        self.v3 = dice.random() < 0.75
        self.size = dice.choice((700 * KIB, 333 * 512, 2048 * KIB)) + dice.choice((0, 512, 1536))
        options = [f"cluster_size={self.cluster}", f"compat={'1.1' if self.v3 else '0.10'}"]
        self.refcount_bits = 16
        self.lazy = self.zstd = False
        if self.v3:
            self.refcount_bits = dice.choice((1, 2, 4, 8, 16, 32, 64))
            options.append(f"refcount_bits={self.refcount_bits}")
            self.zstd = dice.random() < 0.3
            options.append(f"compression_type={'zstd' if self.zstd else 'zlib'}")
            self.lazy = lazy and dice.random() < 0.25
            options.append(f"lazy_refcounts={'on' if self.lazy else 'off'}")
        self.chain = self._backing_files() if dice.random() < 0.4 else []  # formats from the top
        words = ["-b", self.chain[0][0], "-F", self.chain[0][1]] if self.chain else []
        if not self.chain:
            self.model = bytearray(self.size)
            if dice.random() < 0.2:
                options.append("preallocation=metadata")
        self.model = self.model[:self.size].ljust(self.size, b"\0")
        self.options = ",".join(options)
        self.path = folder / "a.qcow2"
        qemu_img("create", "-f", "qcow2", *words, "-o", self.options, "a.qcow2", self.size,
                 cwd=folder)
        self.snapshots = {}
        self.has_compressed = False

    def _backing_files(self):
        """One to three of them, each with some data of its own; the model becomes the top one's."""
        dice, chain = self.dice, []
        for depth in range(dice.randrange(1, 4)):
            size = dice.randrange(512, self.size + 4096) // 512 * 512
            format = dice.choice(("raw", "qcow2"))
            if chain or format == "qcow2":
                name = f"base{depth}.qcow2"
                words = ["-b", chain[0][0], "-F", chain[0][1]] if chain else []
                qemu_img("create", "-f", "qcow2", *words, "-o",
                         f"cluster_size={dice.choice((512, 4096, 65536))}", name, size,
                         cwd=self.folder)
                self.model = (self.model if chain else bytearray())[:size].ljust(size, b"\0")
                for _ in range(dice.randrange(1, 4)):
                    offset, byte = dice.randrange(0, size, 512), dice.randrange(1, 256)
                    length = min(size - offset, 512 * dice.randrange(1, 200))
                    qemu_io(self.folder / name, f"write -P {byte} {offset} {length}")
                    self.model[offset:offset + length] = bytes([byte]) * length
                chain.insert(0, (name, "qcow2"))
            else:
                self.model = bytearray(dice.randbytes(size))
                (self.folder / "base.raw").write_bytes(self.model)
                chain.insert(0, ("base.raw", "raw"))
        return chain

    # What is to be done

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
        if self.v3 or not self.chain:
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

    # By whom

    def ours(self, count):
        disk = open_image(str(self.path), "qcow2", report=ignore, discard=True)
        try:
            for operation in self.operations(count):
                perform(disk, operation)
                kind, offset, length, _ = operation
                if kind == "read":
                    assert disk.read(offset, length) == self.model[offset:offset + length]
            assert disk.read(0, self.size) == self.model
        finally:
            disk.close()

    def theirs(self, count):
        qemu_io(self.path, *[{
            "write": f"write -P {byte} {offset} {length}",
            "zero": f"write -z -u {offset} {length}",
            "zero-keep": f"write -z {offset} {length}",
            "discard": f"discard {offset} {length}",
            "flush": "flush",
            "read": f"read {offset} {length}"}[kind]
            for kind, offset, length, byte in self.operations(count)])

    def abandoned(self, count):
        """We write, flush, and end without closing; then the one or the other mends the image."""
        operations = list(self.operations(count))
        child = os.fork()
        if not child:
            try:
                disk = open_image(str(self.path), "qcow2", report=ignore, discard=True)
                for operation in operations:
                    perform(disk, operation)
                disk.flush()
                os._exit(0)
            finally:
                os._exit(1)
        assert os.waitpid(child, 0)[1] == 0
        mend = self.dice.choice(("we, at the start", "they, at the start", "we", "they"))
        if mend == "we, at the start":
            open_image(str(self.path), "qcow2", report=ignore).close()
        elif mend == "they, at the start":
            qemu_io(self.path, "flush")
        if mend == "they" or (mend.startswith("they") and not self.lazy):
            subprocess.run(["qemu-img", "check", "-q", "-r", "all", self.path])
        elif not self.lazy or mend == "we":
            our_check(["-q", "-r", "all", str(self.path)])

    def compressed(self):
        """Some compressed clusters: qemu-io's where nothing is yet, ours anywhere."""
        for _ in range(self.dice.randrange(1, 4)):
            offset = self.dice.randrange(self.size // self.cluster) * self.cluster
            byte = self.dice.randrange(256)
            self.has_compressed = True
            if self.dice.random() < 0.5:
                disk = open_image(str(self.path), "qcow2", report=ignore)
                disk.node.write_compressed(offset, bytes([byte]) * self.cluster)
                disk.close()
                self.apply("write", offset, self.cluster, byte)
                continue
            command = f"write -c -P {byte} {offset} {self.cluster}"
            done = subprocess.run(["qemu-io", "-f", "qcow2", "-c", command, self.path],
                                  capture_output=True, text=True)
            if "wrote" in done.stdout:
                self.apply("write", offset, self.cluster, byte)

    def snapshot(self):
        """Make, go back to or delete an internal snapshot, as far as the counts are wide enough."""
        dice = self.dice
        room = (1 << self.refcount_bits) - 3 if not self.has_compressed else self.refcount_bits - 4
        action = dice.choice("ccad")
        name = dice.choice(list(self.snapshots)) if self.snapshots else ""
        if action == "c" or not name:
            if len(self.snapshots) >= min(room, 4):
                return
            action, name = "c", f"s{dice.getrandbits(30)}"
        words = [f"-{action}", name, str(self.path)]
        if dice.random() < 0.5:
            our_snapshot(words)
        else:
            qemu_img("snapshot", *words, cwd=self.folder)
        if action == "c":
            self.snapshots[name] = bytes(self.model)
        elif action == "d":
            del self.snapshots[name]
        else:
            self.model[:] = self.snapshots[name]

    # What came of it

    def verify(self):
        check(self.path)
        self._compare([], self.model)
        for name, content in self.snapshots.items():
            self._compare(["-l", name], content)
        # libqcow wants backing files of the same size, and misreads small compressed clusters.
        small = self.has_compressed and self.cluster < 64 * KIB
        if not self.chain and not self.zstd and not small:
            file = pyqcow.file()
            file.open(str(self.path))
            assert file.read_buffer_at_offset(self.size, 0) == self.model
            file.close()

    def _compare(self, words, content):
        result = self.folder / "a.raw"
        qemu_img("convert", *words, "-f", "qcow2", "-O", "raw", "a.qcow2", result, cwd=self.folder)
        assert result.read_bytes() == content
        our_convert([*words, "-f", "qcow2", "-O", "raw", str(self.path), str(result)])
        assert result.read_bytes() == content


def perform(disk, operation):
    """Let one of `Work.operations` be done by an image of ours; reading is for the caller."""
    kind, offset, length, byte = operation
    if kind == "write":
        disk.write(offset, bytes([byte]) * length)
    elif kind.startswith("zero"):
        disk.write_zeroes(offset, length, unmap=kind == "zero")
    elif kind == "discard":
        disk.discard(offset, length)
    elif kind == "flush":
        disk.flush()
