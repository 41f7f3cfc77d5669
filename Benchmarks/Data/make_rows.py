"""A JSONL file of conversations of a given size, for streaming: every row differs, one in a thousand is broken.

    python make_rows.py FILE GIGABYTES
"""
import json
import random
import sys

WORDS = "the of a harbour town river stone light winter bread green engine number letter under over between".split()


def rows(seed):
    """4096 rows of 0.1 to 8 KB as text with a place for a number."""
    draw = random.Random(seed)
    for row in range(4096):
        answer = " ".join(draw.choices(WORDS, k=int(10 ** draw.uniform(1, 3))))
        messages = [dict(role="user", content=f"question @@@@@@@@@@@@ about {draw.choice(WORDS)}?"), dict(role="assistant", content=answer)]
        text = json.dumps(dict(messages=messages)) + "\n"
        yield text[: len(text) // 2] + "\n" if row % 1000 == 999 else text


def main(path, gigabytes):
    wanted = int(float(gigabytes) * 1e9)
    block = "".join(rows(1)).split("@" * 12)
    size = sum(map(len, block)) + 12 * (len(block) - 1)
    with open(path, "w") as file:
        for number in range(-(-wanted // size)):
            parts = [block[0]]
            for place, part in enumerate(block[1:]):
                parts += [f"{number * 4096 + place:012d}", part]
            file.write("".join(parts))
    print(f"{-(-wanted // size) * 4096} rows, {-(-wanted // size) * size} bytes")


if __name__ == "__main__":
    main(*sys.argv[1:])
