"""What a package installs beside the program, made from the table of options.

The man page, and completion for bash and zsh. `setup.py` writes them.
"""
import re
from collections.abc import Iterator

from pyemu import __version__
from pyemu.cpu_models import MODELS
from pyemu.options.table import GROUPS, NOTES, OPTIONS, Option

FILES = re.compile(r"\b(?:FILE|PATH)\b")
CHOICES = re.compile(r"[a-z0-9]+(?:\|[a-z0-9]+)*")  # all that the option takes
EXAMPLES = (
    ("pyemu -hda disk.img -nographic", "Boot a disk with the serial console on this terminal."),
    ("pyemu -kernel vmlinuz -initrd initrd -append console=ttyS0 -nographic",
     "Boot a kernel without a disk."),
    ("pyemu -hda disk.img -nographic -trace 'ide_*,file=trace'",
     "Record what the disk controller does; pyemu-trace reads the file."),
)


def manual() -> str:
    """pyemu(1), in man(7) macros."""
    lines = [f'.TH PYEMU 1 "" "pyemu {__version__}"', ".SH NAME",
             r"pyemu \- full-system x86 PC emulator with built-in tracing", ".SH SYNOPSIS",
             ".B pyemu", r"[\fIoptions\fR] [\fIdisk_image\fR]", ".SH DESCRIPTION",
             "The machine is QEMU's PC, an i440FX with a PIIX3. Options, monitor commands and "
             "trace events are spelled as QEMU's."]
    for title, options in GROUPS.items():
        lines.append(f'.SH "{title.upper()}"')
        for option in options:
            spelling = ", ".join(rf"\fB{_roff('-' + name)}\fR" for name in option.names)
            takes = rf" \fI{_roff(option.takes)}\fR" if option.takes else ""
            help_text = option.help[:1].upper() + option.help[1:]
            lines += [".TP", spelling + takes, _roff(f"{help_text}.")]
    lines += [".SH NOTES", _roff(NOTES), ".SH EXAMPLES"]
    for command, text in EXAMPLES:
        lines += [".TP", rf"\fB{_roff(command)}\fR", _roff(text)]
    lines += [".SH SEE ALSO", ".BR pyemu\\-img (1),", ".BR qemu (1)"]
    return "\n".join(lines) + "\n"


def bash() -> str:
    """Completion by a function, to be sourced."""
    cases = []
    for option in OPTIONS.values():
        if option.takes and (reply := _bash_reply(option)):
            cases.append(f"    {_spellings(option)}) {reply} ;;")
    names = " ".join(f"-{name}" for name in OPTIONS)
    return "\n".join([
        "# bash completion for pyemu",
        "_pyemu()", "{",
        '    local current="${COMP_WORDS[COMP_CWORD]}" previous="${COMP_WORDS[COMP_CWORD-1]}"',
        "    COMPREPLY=()",
        '    case "$previous" in', *dict.fromkeys(cases),
        f'    {"|".join(dict.fromkeys(_spellings(o) for o in OPTIONS.values() if o.takes))}) ;;',
        "    *)",
        '        if [[ "$current" == -* ]]; then',
        f'            COMPREPLY=($(compgen -W "{names}" -- "$current"))',
        "        else",
        '            COMPREPLY=($(compgen -f -- "$current"))',
        "        fi ;;",
        "    esac", "}", "complete -o filenames -F _pyemu pyemu", ""])


def zsh() -> str:
    """Completion as a function of zsh's `fpath`."""
    return "\n".join(["#compdef pyemu", "", "_arguments \\", *_zsh_options(),
                      "    '*:disk image:_files'", ""])


def _spellings(option: Option) -> str:
    return "|".join(f"-{name}" for name in option.names)


def _words(option: Option) -> list[str]:
    """What may follow the option, where that is one of few words."""
    if "cpu" in option.names:
        return sorted(MODELS)
    return option.takes.split("|") if CHOICES.fullmatch(option.takes) else []


def _bash_reply(option: Option) -> str:
    if words := _words(option):
        return f'COMPREPLY=($(compgen -W "{" ".join(words)}" -- "$current"))'
    if option.names[0] == "trace":
        return 'COMPREPLY=($(compgen -W "$(pyemu -trace help)" -- "$current"))'
    if option.takes == "DIR":
        return 'COMPREPLY=($(compgen -d -- "$current"))'
    return 'COMPREPLY=($(compgen -f -- "$current"))' if FILES.search(option.takes) else ""


def _zsh_options() -> Iterator[str]:
    for option in OPTIONS.values():
        help_text = re.sub(r"[][:]", r"\\\g<0>", option.help).replace("'", "'\\''")
        for name in option.names:
            yield f"    '-{name}[{help_text}]{_zsh_argument(option)}' \\"


def _zsh_argument(option: Option) -> str:
    if not option.takes:
        return ""
    if words := _words(option):
        return f":value:({' '.join(words)})"
    if option.takes == "DIR":
        return ":folder:_files -/"
    return ":file:_files" if FILES.search(option.takes) else ":value: "


def _roff(text: str) -> str:
    """As plain text: no escapes, no minus that becomes a hyphen, no line taken for a macro."""
    text = text.replace("\\", r"\e").replace("-", r"\-")
    return re.sub(r"^(?=[.'])", r"\\&", text, flags=re.MULTILINE)
