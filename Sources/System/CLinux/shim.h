/* What Linux and glibc offer beyond Swift's Glibc module. */
#ifndef MARTLET_CLINUX_H
#define MARTLET_CLINUX_H

#include <fenv.h>
#include <malloc.h>
#include <stddef.h>
#include <stdio.h>
#include <unistd.h>
#include <sys/syscall.h>

/* RTLD_NODELETE of <dlfcn.h>, which hides it without _GNU_SOURCE. */
static const int martlet_rtld_nodelete = 0x1000;

/* The number of processors that the calling thread may run on; 0 when the kernel does not say. */
static inline int martlet_usable_processors(void) {
    unsigned char mask[1024];
    long size = syscall(SYS_sched_getaffinity, 0, sizeof mask, mask);
    int count = 0;
    for (long i = 0; i < size; i++) count += __builtin_popcount(mask[i]);
    return count;
}

/* One line on standard error in a single call, so that lines of several threads do not mix. */
static inline void martlet_write_error(const void *text, size_t size) {
    fwrite(text, 1, size, stderr);
}

static inline void martlet_write_output(const void *text, size_t size) {
    fwrite(text, 1, size, stdout);
}

static inline int martlet_flush_output(void) { return fflush(stdout); }

/* Bytes that malloc has handed out and not got back. */
static inline size_t martlet_heap_in_use(void) {
    struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
}

/* Tells the processor that the thread polls. */
static inline void martlet_spin_hint(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static inline int martlet_rounding_mode(void) { return fegetround(); }

#endif
