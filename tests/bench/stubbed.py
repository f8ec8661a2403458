"""The emulator without its hooks: what trace_boot.py compares with, to see what they cost when off.

    python stubbed.py plain|stubbed NATIVE.so ARGUMENTS...      runs pyemu with ARGUMENTS

`stubbed` compiles the Python modules without their calls of trace_NAME, `plain` compiles them as
they are; NATIVE.so, by `build()`, is the engine's native half, of `stubbed` with hooks that are
always off.
"""
import ast
import importlib.machinery
import importlib.util
import subprocess
import sys
import sysconfig
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
ENGINE = "pyemu.engine._native"
STUBS = """
#define PY_SSIZE_T_CLEAN
#include "ring.h"
#undef _GNU_SOURCE /* the sources define it anew */
#define hook_enabled(hook) ((void)(hook), 0)
"""


def build(folder, stubbed):
    """Compile the engine's native half as setuptools does; the path of the library."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    module = next(one for one in project["tool"]["setuptools"]["ext-modules"]
                  if one["name"] == ENGINE)
    library = Path(folder) / ("stubbed.so" if stubbed else "plain.so")
    stubs = Path(folder) / "stubs.h"
    stubs.write_text(STUBS if stubbed else "")
    flags = sysconfig.get_config_vars("CFLAGS", "CCSHARED")
    subprocess.run(
        ["cc", "-shared", *" ".join(flags).split(), *module["extra-compile-args"],
         "-include", stubs, f"-I{sysconfig.get_path('include')}",
         *(f"-I{ROOT / path}" for path in module["include-dirs"]),
         *(ROOT / path for path in module["sources"]), "-o", library], check=True, cwd=ROOT)
    return library


class WithoutHooks(ast.NodeTransformer):
    """Drops `trace_NAME(...)` and `if trace_NAME: ...`."""

    def visit_Expr(self, node):
        call = node.value
        hook = isinstance(call, ast.Call) and is_hook(call.func)
        return ast.copy_location(ast.Pass(), node) if hook else node

    def visit_If(self, node):
        self.generic_visit(node)
        return (node.orelse or ast.copy_location(ast.Pass(), node)) if is_hook(node.test) else node


def is_hook(node):
    return isinstance(node, ast.Name) and node.id.startswith("trace_")


class Loader(importlib.machinery.SourceFileLoader):
    """Keeps no compiled code, so that both variants compile all of it."""

    transformer = ast.NodeTransformer()

    def get_code(self, fullname):
        tree = self.transformer.visit(ast.parse(self.get_data(self.path), self.path))
        return compile(ast.fix_missing_locations(tree), self.path, "exec")


class Finder:
    """Finds the emulator's modules for Loader."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        if not name.startswith("pyemu.") or name.startswith("pyemu.trace"):
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is not None and isinstance(spec.loader, importlib.machinery.SourceFileLoader):
            spec.loader = Loader(spec.name, spec.loader.path)
        return spec


def main():
    variant, library, *arguments = sys.argv[1:]
    if variant == "stubbed":
        Loader.transformer = WithoutHooks()
    sys.meta_path.insert(0, Finder)
    import pyemu.trace.hooks  # noqa: F401  the native half asks for it
    spec = importlib.util.spec_from_file_location(ENGINE, library)
    sys.modules[ENGINE] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules[ENGINE])
    from pyemu import cli
    return cli.main(arguments)


if __name__ == "__main__":
    sys.exit(main())
