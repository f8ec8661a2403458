"""pyemu-trace: statistics, latencies, differences and exports of a trace."""
import doctest
import json
import re
import shutil
import struct
import subprocess
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from pyemu.trace import grammar
from pyemu.trace.columns import Histogram, parts
from pyemu.trace.reader import HEADER_ID, MAGIC, TraceReader
from pyemu.trace.symbols import Symbols
from pyemu.trace.tools import main

EVENTS = """
disk_start(uint32_t sector, const char *name) "%u %s"
disk_end(uint32_t nr, int ret, void *opaque) "%u %d %p"
exec_tb(void *tb, uint64_t pc) "%p 0x%" PRIx64
ide_sector_read(int64_t sector_num, int nsectors) "%" PRId64 " %d"
mixed(const char *a, int8_t b, const char *c, bool d, uint64_t e) "%s %d %s %d %" PRIu64
"""
DECLARED = {event.name: event for event in grammar.parse(EVENTS)}
US = 1000
DROPPED = 0xfffffffffffffffe


def encoded(event, args):
    parts = []
    for letter, value in zip(event.types, args, strict=True):
        if letter == "s":
            parts.append(struct.pack("=I", len(value.encode())) + value.encode())
        else:
            parts.append(struct.pack("=Q", value & (1 << 64) - 1))
    return b"".join(parts)


def trace(path, records, pid=77):
    """Write (microseconds, name, *arguments) as a trace file; "lost" and a count for drops."""
    numbers = {name: number for number, name in enumerate(DECLARED)}
    data = [struct.pack("=QQQ", HEADER_ID, MAGIC, 4)]
    for name, number in numbers.items():
        data.append(struct.pack("=QQI", 0, number, len(name)) + name.encode())
    for us, name, *args in records:
        payload = struct.pack("=Q", *args) if name == "lost" else encoded(DECLARED[name], args)
        number = DROPPED if name == "lost" else numbers[name]
        data.append(struct.pack("=QQQII", 1, number, us * US, 24 + len(payload), pid) + payload)
    path.write_bytes(b"".join(data))
    return str(path)


@pytest.fixture
def tool(tmp_path, capfd):
    """tool(command, ...) -> (status, lines, complaints); TRACE is made of the records given."""
    (tmp_path / "ev").write_text(EVENTS)

    def tool(*arguments):
        status = main.main([*map(str, arguments), "--events", str(tmp_path / "ev")])
        out, err = capfd.readouterr()
        return status, out.splitlines(), err.splitlines()

    return tool


DISK = [(0, "disk_start", 8, "hda"), (10, "disk_start", 9, "hdb"), (30, "disk_end", 8, 0, 0x1234),
        (110, "disk_end", 9, -5, 0x1234), (110, "lost", 7), (1_000_000, "disk_start", 8, "hda")]


def test_stats(tool, tmp_path):
    status, lines, _ = tool("stats", trace(tmp_path / "t", DISK))
    assert status == 0
    assert lines == [
        "6 events in 1.000000 s", "",
        "event          count  per second  p50 us      p90 us      p99 us      max us",
        "disk_start         3         3.0  10.111  999990.000  999990.000  999990.000",
        "disk_end           2         2.0  80.000      80.000      80.000      80.000",
        "Dropped_Event      1         1.0       -           -           -           -"]


def test_values_of_an_argument(tool, tmp_path):
    path = trace(tmp_path / "t", DISK)
    assert tool("stats", path, "--by", "disk_start.sector")[1] == [
        "sector  count   share", "0x8         2  66.7 %", "0x9         1  33.3 %"]
    assert tool("stats", path, "--by", "disk_start.name", "--top", "1")[1] == [
        "name  count   share", "hda       2  66.7 %", "and 1 more"]
    assert tool("stats", path, "--by", "disk_end.ret")[1][1:] == [
        "-5       1  50.0 %", "0        1  50.0 %"]


def test_intervals_of_an_event(tool, tmp_path):
    _, lines, _ = tool("stats", trace(tmp_path / "t", DISK), "--intervals", "disk_start")
    assert lines[0] == "2 intervals of disk_start" and len(lines) > 5
    assert sum(int(line.split()[3]) for line in lines[1:]) == 2


def test_latency_by_key(tool, tmp_path):
    path = trace(tmp_path / "t", DISK)
    _, lines, _ = tool("latency", "disk_start", "disk_end", path, "--key", "sector:nr")
    assert lines[1].split() == ["2", "30.000", "30.207", *["100.000"] * 4]
    _, lines, _ = tool("latency", "disk_start", "disk_end", path)
    assert lines[1].split()[:2] == ["1", "20.000"]
    assert tool("latency", "disk_end", "exec_tb", path)[1] == ["no exec_tb follows disk_end"]


@pytest.mark.parametrize("arguments, complaint", [
    (["stats", "T", "--by", "nosuch.x"], "unknown event 'nosuch'"),
    (["stats", "T", "--by", "disk_start.x"],
     "event 'disk_start' has no argument 'x', only sector, name"),
    (["latency", "disk_start", "disk_end", "T", "--key", "sector"],
     "event 'disk_end' has no argument 'sector', only nr, ret, opaque"),
    (["hot", "T"], "T: none of exec_tb, translate_block, tcg_gen_code is in this trace"),
    (["stats", "/nonexistent"], "/nonexistent: No such file or directory"),
    (["perfetto", "T", "/nonexistent/x"], "/nonexistent/x: No such file or directory"),
    (["perfetto", "T", "T.json", "--pair", "x"], "--pair x: expected START,END or START,END,KEY"),
])
def test_bad_wishes_are_one_line(tool, tmp_path, monkeypatch, arguments, complaint):
    monkeypatch.chdir(tmp_path)
    trace(tmp_path / "T", DISK)
    assert tool(*arguments) == (1, [], [complaint])


def test_diff_finds_the_first_difference(tool, tmp_path):
    one = trace(tmp_path / "a", DISK[:4])
    late = [(us * 3, *rest) for us, *rest in DISK[:4]]
    late[3] = (500, "disk_end", 9, -5, 0x9999)  # another pointer
    assert tool("diff", one, trace(tmp_path / "b", late))[1] == ["all 4 events are the same"]
    late[3] = (500, "disk_end", 9, -6, 0x9999)
    _, lines, _ = tool("diff", one, trace(tmp_path / "c", late), "--context", "1")
    assert lines == ["the first 3 events are the same",
                     "  disk_end nr=0x8 ret=0x0 opaque=0x1234",
                     "A disk_end nr=0x9 ret=0xfffffffffffffffb opaque=0x1234",
                     "B disk_end nr=0x9 ret=0xfffffffffffffffa opaque=0x9999"]
    _, lines, _ = tool("diff", one, trace(tmp_path / "d", late[:2]), "--only", "disk_e*")
    assert lines[-1] == "B (the end)"


def test_perfetto(tool, tmp_path):
    out = tmp_path / "out.json"
    assert tool("perfetto", trace(tmp_path / "t", DISK), out, "--pair",
                "disk_start,disk_end,sector:nr", "--counter", "disk_end.ret")[0] == 0
    entries = json.loads(out.read_text())["traceEvents"]
    by_kind = {kind: [entry for entry in entries if entry["ph"] == kind] for kind in "MiCbe"}
    assert [entry["args"]["name"] for entry in by_kind["M"]] == ["pyemu 77", "events"]
    assert len(by_kind["i"]) == 6 and by_kind["i"][1]["args"] == {"sector": 9, "name": "hdb"}
    begun = {(entry["cat"], entry["id"]): entry["ts"] for entry in by_kind["b"]}
    ended = {(entry["cat"], entry["id"]): entry["ts"] for entry in by_kind["e"]}
    assert [(ts, ended[bar]) for bar, ts in begun.items()] == [(0, 30), (10, 110)]
    assert [entry["args"]["ret"] for entry in by_kind["C"]] == [0, -5]
    assert tool("perfetto", trace(tmp_path / "t", []), out)[0] == 0
    assert json.loads(out.read_text())["traceEvents"] == []


@pytest.mark.skipif(not shutil.which("babeltrace2"), reason="needs babeltrace2")
def test_ctf_is_read_by_babeltrace(tool, tmp_path):
    records = [*DISK, (1_000_001, "mixed", "a", -1, "é", True, 1 << 63)]
    assert tool("ctf", trace(tmp_path / "t", records), tmp_path / "ctf")[0] == 0
    result = subprocess.run(["babeltrace2", "--clock-seconds", tmp_path / "ctf"],
                            capture_output=True, text=True)
    lines = result.stdout.splitlines()
    assert len(lines) == 6, result.stderr
    assert 'disk_start: { pid = 77 }, { sector = 8, name = "hda" }' in lines[0]
    assert "ret = -5" in lines[3] and f"e = {1 << 63}" in lines[5]
    assert lines[5].startswith("[1.000001000]")


def test_parquet_has_typed_columns(tool, tmp_path):
    records = [*DISK, (5, "mixed", "a", -1, "é", True, (1 << 64) - 1)]
    assert tool("parquet", trace(tmp_path / "t", records), tmp_path / "pq")[0] == 0
    assert sorted(path.name for path in (tmp_path / "pq").iterdir()) == [
        "Dropped_Event.parquet", "disk_end.parquet", "disk_start.parquet", "mixed.parquet"]
    mixed = pq.read_table(tmp_path / "pq" / "mixed.parquet")
    assert mixed.to_pylist() == [{"timestamp_ns": 5000, "pid": 77, "a": "a", "b": -1, "c": "é",
                                  "d": True, "e": (1 << 64) - 1}]
    assert [str(kind) for kind in mixed.schema.types] == [
        "int64", "uint32", "string", "int8", "string", "bool", "uint64"]
    ends = pq.read_table(tmp_path / "pq" / "disk_end.parquet").to_pydict()
    assert ends["ret"] == [0, -5] and ends["nr"] == [8, 9]


def test_the_examples_of_other_engines_run(tool, tmp_path, monkeypatch, capfd):
    """What docs/tracing.md asks DuckDB and Dask, of a trace in which it knows the answer."""
    reads = [(n, "ide_sector_read", sector, 1) for n, sector in
             enumerate([*range(4096, 6144), 1, 9000])]
    assert tool("parquet", trace(tmp_path / "t", reads), tmp_path / "pq")[0] == 0
    monkeypatch.chdir(tmp_path)
    page = (Path(__file__).parents[2] / "docs/tracing.md").read_text()
    section = page.partition("\n## Query elsewhere\n")[2].partition("\n## ")[0]
    examples = doctest.DocTestParser().get_examples(section)
    assert len(examples) == 4
    import dask.dataframe
    import duckdb  # late: both take long
    names = {"duckdb": duckdb, "dask": dask}
    for example in examples:
        exec(compile(example.source, "tracing.md", "single"), names)
    shown = capfd.readouterr().out
    assert re.search(r"│ +2 │ +2048 │ +2048 │", shown)
    assert re.search(r"^2 +2048 +2048$", shown, re.MULTILINE)


HOT = [(n, "exec_tb", 0, pc) for n, pc in enumerate([0x1000] * 5 + [0x1010] * 3 + [0x2004])]


def test_hot_blocks_with_names(tool, tmp_path):
    (tmp_path / "System.map").write_text("1000 T startup\n0000000000002000 t idle\n")
    path = trace(tmp_path / "t", HOT)
    _, lines, _ = tool("hot", path, "--symbols", tmp_path / "System.map", "--top", "2")
    assert lines == ["9 times exec_tb, 3 addresses", "address  times   share        symbol",
                     "0x1000       5  55.6 %       startup", "0x1010       3  33.3 %  startup+0x10"]
    (tmp_path / "bad").write_text("1000 T ok\nrubbish\n")
    assert tool("hot", path, "--symbols", tmp_path / "bad")[2] == [
        f"{tmp_path}/bad:2: expected ADDRESS TYPE NAME"]


@pytest.mark.skipif(not shutil.which("cc"), reason="needs a C compiler")
def test_a_real_kernels_symbols(tmp_path):
    """Data, such as the variables of each CPU at 0, names no code."""
    path = tmp_path / "System.map"
    path.write_text("""\
0000000000000000 A fixed_percpu_data
000000000002f000 A __per_cpu_end
ffffffff81000000 T _stext
ffffffff81000000 T _text
ffffffff810a12b0 t do_idle
ffffffff810a1540 W arch_cpu_idle\t
ffffffff82a00000 D init_task
ffffffffc0001000 t e1000_clean\t[e1000]
""")
    name = Symbols.load(str(path)).name
    assert name(0xffffffff810a12b4) == "do_idle+0x4" and name(0xffffffff810a1540) == "arch_cpu_idle"
    assert name(0xffffffff81000000) == "_text" and name(0xffffffffc0001001) == "e1000_clean+0x1"
    assert [name(address) for address in (0, 0xe955b, 0x401000, 0xffffffff82a00010)] == [""] * 4


def test_hot_blocks_with_code_from_an_elf_file(tool, tmp_path):
    (tmp_path / "g.s").write_text(".globl spin\nspin: pause\nmov $5, %eax\njmp spin\n")
    elf = tmp_path / "g"
    subprocess.run(["cc", "-nostdlib", "-static", "-Wl,-Ttext=0x400000,-e,spin", "-o", elf,
                    tmp_path / "g.s"], check=True)
    path = trace(tmp_path / "t", [(0, "exec_tb", 0, 0x400000)])
    _, lines, _ = tool("hot", path, "--symbols", elf, "--code", elf)
    assert lines[2].split() == ["0x400000", "1", "100.0", "%", "spin"]
    assert [line.split(None, 1)[1] for line in lines[3:]] == ["pause", "mov eax, 5",
                                                             "jmp 0x400000"]
    (tmp_path / "cut").write_bytes(elf.read_bytes()[:70])
    assert tool("hot", path, "--code", tmp_path / "cut")[2] == [
        f"{tmp_path}/cut: the ELF file is cut off"]
    assert tool("hot", path, "--code", path)[2] == [
        f"{path}: not a 64-bit little-endian ELF file"]


def test_columns_agree_with_records(tmp_path):
    generator = np.random.default_rng(5)
    records = [(n, "mixed", "x" * int(generator.integers(0, 9)), int(generator.integers(-128, 127)),
                "y" * (n % 5), n % 2, n * 99) for n in range(500)]
    path = trace(tmp_path / "t", records)
    with TraceReader(path, DECLARED.values()) as reader:
        expected = [record.args for record in reader]
        found = []
        for part in parts(reader, most=64):
            rows, event = part.of("mixed"), DECLARED["mixed"]
            columns = [part.argument(event, name, rows) for _, name in event.args]
            found += zip(*(list(column) for column in columns), strict=True)
    assert [tuple(int(v) & (1 << 64) - 1 if not isinstance(v, str) else v for v in row)
            for row in found] == expected


def test_columns_survive_what_is_broken(tmp_path):
    path = tmp_path / "t"
    trace(path, DISK)
    data = path.read_bytes()
    second = data.index(struct.pack("=QQQ", 1, 0, 10 * US))
    path.write_bytes(data[:second] + b"rubbish!" + data[second:] + b"end")
    with TraceReader(str(path), DECLARED.values()) as reader:
        assert sum(len(part) for part in parts(reader)) == 6
        assert [problem.partition(": ")[2] for problem in reader.problems] == [
            f"byte {second}: a record of unknown type 0x2168736962627572; 8 bytes skipped",
            f"byte {len(data) + 8}: the last record is cut off after 3 bytes"]


@pytest.mark.parametrize("limit", [3, 200, 100_000, 1 << 40, (1 << 62)])
def test_percentiles_are_at_most_a_64th_too_high(limit):
    numbers = np.random.default_rng(limit).integers(0, limit, 20_000)
    histogram = Histogram()
    histogram.add(numbers[:7000])
    histogram.add(numbers[7000:])
    ordered = np.sort(numbers)
    for percent in (0.01, 25, 50, 90, 99, 100):
        exact = int(ordered[max(1, int(np.ceil(20_000 * percent / 100))) - 1])
        assert exact <= histogram.percentile(percent) <= exact + exact // 64 + 1
    assert sum(count for _, count in histogram.powers()) == 20_000


def test_every_command_has_its_line_in_the_help(capsys):
    with pytest.raises(SystemExit):
        main.main(["--help"])
    out = capsys.readouterr().out
    for command in ("stats", "latency", "hot", "diff", "perfetto", "ctf", "parquet"):
        assert f"    {command} " in out
