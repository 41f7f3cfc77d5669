#!/usr/bin/env python3
"""The binary layout of the contract: size and field offsets of every public struct, and every constant.

  Tools/abi_layout.py          compares with Tests/Goldens/abi/minor-N.txt of the present minor, and holds what every earlier
                               minor's file says: fields stay where they are, structs only grow; status 1 on a difference
  Tools/abi_layout.py --write  writes the present minor's file, once: raise MT_ABI_MINOR in base.h first
"""
import difflib
import pathlib
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
INCLUDE = ROOT / "Sources/PluginAPI/include"


def fields(body):
    """Names of the direct members of a struct's body."""
    while True:  # the members of inner unions are at the union's own offset
        flat = re.sub(r"\{[^{}]*\}", " ", body)
        if flat == body:
            break
        body = flat
    for part in body.split(";"):
        pointer = re.search(r"\(\*(\w+)\)\s*\(", part)
        name = pointer or re.search(r"(\w+)\s*(?:\[[^\]]*\]\s*)*$", part.strip())
        if name:
            yield name.group(1)


def structs(text):
    for match in re.finditer(r"\bstruct (mt_\w+)\s*\{", text):
        depth, end = 1, match.end()
        while depth:
            depth += {"{": 1, "}": -1}.get(text[end], 0)
            end += 1
        yield match.group(1), text[match.end() : end - 1]


def program():
    files = sorted((INCLUDE / "martlet").glob("*.h")) + sorted((INCLUDE / "martlet/kinds").glob("*.h"))
    text = "\n".join(re.sub(r"/\*.*?\*/", " ", f.read_text(), flags=re.S) for f in files)
    lines = ["#include <martlet/martlet.h>", "#include <stdio.h>", "int main(void) {"]
    for name, value in re.findall(r'^#define (MT_\w+) +(["\d]\S*|0x\w+)', text, flags=re.M):
        if name == "MT_ABI_MINOR":
            continue
        show = f'"%s", {name}' if value.startswith('"') else f'"%lld", (long long){name}'
        lines.append(f'printf("{name} = "); printf({show}); puts("");')
    for name, body in structs(text):
        lines.append(f'printf("%s: %zu bytes\\n", "{name}", sizeof(struct {name}));')
        for field in fields(body):
            lines.append(f'printf("  %4zu %s\\n", offsetof(struct {name}, {field}), "{field}");')
    return "\n".join(lines + ["return 0;", "}"])


def entries(text):
    """{"struct.field": (what, number or text)} of a layout's text."""
    found, struct = {}, ""
    for line in text.splitlines():
        if " = " in line:
            name, value = line.split(" = ", 1)
            found[name] = ("is", value)
        elif not line.startswith(" "):
            struct, size = line.split(": ")
            found[struct] = ("has bytes", int(size.split()[0]))
        else:
            offset, field = line.split()
            found[f"{struct}.{field}"] = ("at byte", int(offset))
    return found


def broken(was, now):
    """What an earlier minor promised and the present headers do not keep."""
    for name, (what, value) in was.items():
        kept = now.get(name, (what, None))[1]
        if kept is None:
            yield f"{name} is gone"
        elif what == "has bytes" and kept < value:
            yield f"{name} had {value} bytes and has {kept}"
        elif what != "has bytes" and kept != value:
            yield f"{name} was {value}, is {kept}" if what == "is" else f"{name} was at byte {value}, is at {kept}"


def main():
    with tempfile.TemporaryDirectory() as work:
        source = pathlib.Path(work) / "layout.c"
        source.write_text(program())
        subprocess.run(["cc", "-std=gnu11", f"-I{INCLUDE}", "-o", f"{work}/layout", source], check=True)
        now = subprocess.run([f"{work}/layout"], check=True, capture_output=True, text=True).stdout
    minor = re.search(r"^#define MT_ABI_MINOR (\d+)", (INCLUDE / "martlet/base.h").read_text(), flags=re.M).group(1)
    golden = ROOT / f"Tests/Goldens/abi/minor-{minor}.txt"
    failures = []
    for earlier in sorted(golden.parent.glob("minor-*.txt")):
        if int(earlier.stem.split("-")[1]) < int(minor):
            failures += [f"{earlier.stem}: {text}" for text in broken(entries(earlier.read_text()), entries(now))]
    if failures:
        print("\n".join(failures))
        return 1
    if "--write" in sys.argv:
        if golden.exists() and golden.read_text() != now:
            print(f"minor {minor} is released: {golden} says something else; raise MT_ABI_MINOR in base.h")
            return 1
        golden.parent.mkdir(parents=True, exist_ok=True)
        golden.write_text(now)
        return 0
    was = golden.read_text() if golden.exists() else ""
    sys.stdout.writelines(difflib.unified_diff(was.splitlines(True), now.splitlines(True), str(golden), "the headers"))
    return int(was != now)


sys.exit(main())
