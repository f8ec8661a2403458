"""busybox: one static program under the names of all the tools it is."""
from pyemu.images.packages import Packages
from pyemu.images.tree import Tree

NAMES_BEGIN = b"\0[\0[["  # the table of names is sorted: the two spellings of `test` come first
NAMES_END = b"\0\0"
FOLDERS = ("/sbin", "/usr/bin", "/usr/sbin")  # other places where scripts look for the tools


def install_busybox(tree: Tree, packages: Packages) -> None:
    """Put busybox and a link for each of its tools into /bin; the other folders lead there."""
    program = (packages.folder("busybox-static") / "bin/busybox").read_bytes()
    tree.file("/bin/busybox", program, 0o755)
    for name in tool_names(program):
        if name != "busybox":
            tree.link(f"/bin/{name}", "busybox")
    for folder in FOLDERS:
        tree.link(folder, "../" * (folder.count("/") - 1) + "bin")


def tool_names(program: bytes) -> list[str]:
    """The tools a busybox program holds, read from it, as it may be for another processor."""
    begin = program.index(NAMES_BEGIN) + 1
    return program[begin:program.index(NAMES_END, begin)].decode().split("\0")
