#!/usr/bin/env python3
"""Whole-process times of `martlet --help` and of `martlet plugin list` with 100 installed plugins.

usage: Benchmarks/Host/startup.py [RUNS]     after swift build -c release
Prints the median and the 90th percentile in milliseconds, and which plugin libraries were opened (none should be).
"""
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
PROGRAM = pathlib.Path(os.environ.get("MARTLET", ROOT / ".build/release/martlet"))
RUNS = int(sys.argv[1]) if len(sys.argv) > 1 else 50


def manifest(i):
    return {
        "schema": 1, "id": f"bench.plugin{i}", "version": "1.0.0", "abi": {"major": 1, "minor": 0},
        "library": f"libbench{i}.so", "runtime": "c", "os": "linux", "architectures": ["x86_64", "aarch64"],
        "provides": [{"kind": "martlet.logger/1", "id": f"bench{i}", "summary": "Nothing"}],
        "description": "One of a hundred.", "license": "Apache-2.0",
    }


def measure(words, environment):
    times = []
    for _ in range(RUNS):
        start = time.perf_counter()
        subprocess.run([PROGRAM, *words], env=environment, stdout=subprocess.DEVNULL, check=True)
        times.append((time.perf_counter() - start) * 1e3)
    times.sort()
    return statistics.median(times), times[int(len(times) * 0.9)]


def main():
    with tempfile.TemporaryDirectory() as work:
        for i in range(100):
            folder = pathlib.Path(work) / f"plugins/p{i}"
            folder.mkdir(parents=True)
            (folder / "plugin.json").write_text(json.dumps(manifest(i), indent=2))
        file = pathlib.Path(work) / "plugins.json"
        file.write_text('{"schema": 1, "directories": ["plugins"]}')
        environment = {**os.environ, "MARTLET_PLUGINS_JSON": str(file)}
        for words in (["--help"], ["plugin", "list"]):
            median, late = measure(words, environment)
            print(f"martlet {' '.join(words)}: median {median:.1f} ms, 90th percentile {late:.1f} ms ({RUNS} runs)")
        if shutil.which("strace"):
            trace = subprocess.run(
                ["strace", "-f", "-e", "trace=openat", PROGRAM, "plugin", "list"], env=environment,
                stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True).stderr
            print("plugin libraries opened:", sum("libbench" in line for line in trace.splitlines()))


main()
