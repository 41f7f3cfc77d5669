// Counts the bytes that the program has allocated, by the address sanitizer's hooks; without it all counts are 0.
#ifndef FUZZ_HOOKS_H
#define FUZZ_HOOKS_H

#include <stddef.h>

// Counts from here on.
void fuzz_memory_begin(void);
// The most that was alive at once since then, beyond what was alive at the beginning.
size_t fuzz_memory_peak(void);

#endif
