#!/usr/bin/env python3
"""What the host costs: whole processes of `martlet --help` and of `martlet plugin list` with 100 installed plugins, opening
shipped and example plugins in a fresh process each, a call through a table, and the way from `plugin new` to a checked plugin.

usage: Benchmarks/Host/startup.py [RUNS] [--new]     after swift build -c release
Prints medians and 90th percentiles, and how many plugin libraries `plugin list` opened (none should be). --new adds the three
languages' `plugin new`, `make`, `martlet plugin check .`.
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
BENCH = PROGRAM.with_name("hostbench")
NUMBERS = [word for word in sys.argv[1:] if word.isdigit()]
RUNS = int(NUMBERS[0]) if NUMBERS else 50


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


def spread(values):
    values = sorted(values)
    return f"median {statistics.median(values):.3g}, 90th percentile {values[int(len(values) * 0.9)]:.3g}"


def bench(what, plugin, environment, runs):
    def once():
        said = subprocess.run([BENCH, what, plugin], env=environment, check=True, capture_output=True, text=True).stdout
        return float(said.split()[0])

    return [once() for _ in range(runs)]


def opening_and_calls():
    """Plugins in Swift as shipped, the example in C, and the one that links the most."""
    subprocess.run(["make", "-s"], cwd=ROOT / "Examples/plugins/c/logger", check=True,
                   env={**os.environ, "MARTLET_INCLUDE": str(ROOT / "Sources/PluginAPI/include")})
    environment = {**os.environ, "MARTLET_PLUGIN_PATH": str(ROOT / "Examples/plugins/c")}
    for plugin in ["example.filelog", "martlet.tuners.lora", "martlet.models.llama", "martlet.checkpoints.safetensors", "martlet.devices.cpu"]:
        print(f"open {plugin}: {spread(bench('open', plugin, environment, RUNS))} ms ({RUNS} processes)")
    for plugin in ["example.filelog", "martlet.tuners.lora"]:
        print(f"call {plugin}: {spread(bench('call', plugin, environment, 10))} ns (10 processes of 10 million calls)")


def from_nothing():
    """Seconds of the three printed steps, in an empty directory."""
    environment = {**os.environ, "PATH": f"{PROGRAM.parent}:{os.environ['PATH']}"}
    for language in ["c", "rust", "swift"]:
        with tempfile.TemporaryDirectory() as work:
            start = time.perf_counter()
            steps = f"martlet plugin new --kind model --lang {language} fresh && cd fresh && make && martlet plugin check ."
            subprocess.run(["sh", "-ec", steps], cwd=work, env=environment, check=True, capture_output=True)
            print(f"plugin new, make and plugin check in {language}: {time.perf_counter() - start:.1f} s")


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
    opening_and_calls()
    if "--new" in sys.argv:
        from_nothing()


main()
