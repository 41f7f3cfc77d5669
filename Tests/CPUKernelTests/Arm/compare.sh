#!/bin/sh
# Holds the kernels compiled for Arm against those of this processor, each instruction set that it has. Needs clang, and from Debian
# gcc-aarch64-linux-gnu, libc6-dev-arm64-cross and qemu-user.
set -eu
cd "$(dirname "$0")"
kernels=../../../Plugins/Devices/CPU/Kernels
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
flags="-std=c11 -O2 -Wall -Wno-unused-function -I$kernels/include"
${CC:-clang} $flags -pthread kernels.c "$kernels"/*.c -lm -o "$work/host"
mkdir "$work/arm"
for source in kernels.c "$kernels"/*.c; do
    ${CC:-clang} $flags --target=aarch64-linux-gnu -I/usr/aarch64-linux-gnu/include -c "$source" -o "$work/arm/$(basename "$source" .c).o"
done
aarch64-linux-gnu-gcc -static "$work"/arm/*.o -lm -lpthread -o "$work/neon"
"$work/host" write "$work/results" 0
for level in 2 3 4; do "$work/host" compare "$work/results" $level; done
qemu-aarch64 "$work/neon" compare "$work/results"
