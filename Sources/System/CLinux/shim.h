/* What Linux and glibc offer beyond Swift's Glibc module. */
#ifndef MARTLET_CLINUX_H
#define MARTLET_CLINUX_H

#include <fenv.h>
#include <malloc.h>
#include <stddef.h>
#include <stdio.h>
#include <signal.h>
#include <unistd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/ucontext.h>

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

/* Where a signal found a thread: its instruction and stack pointers, 0 where this is not known. */
static inline void martlet_fault_place(const void *context, unsigned long *code, unsigned long *stack) {
    const ucontext_t *at = context;
    *code = *stack = 0;
    if (!at) return;
#if defined(__x86_64__)
    *code = (unsigned long)at->uc_mcontext.gregs[16]; /* REG_RIP and REG_RSP */
    *stack = (unsigned long)at->uc_mcontext.gregs[15];
#elif defined(__aarch64__)
    *code = at->uc_mcontext.pc;
    *stack = at->uc_mcontext.sp;
#endif
}

/* Bytes from `stack` up that can be read, at most 32 KiB: the kernel is asked, by a call that fails on pages that are not there. */
static inline unsigned long martlet_stack_left(unsigned long stack) {
    unsigned long end = stack;
    unsigned char resident;
    while (end - stack < 32768) {
        unsigned long page = end & ~4095ul;
        if (syscall(SYS_mincore, page, 4096ul, &resident) != 0) break;
        end = page + 4096;
    }
    return end - stack;
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

/* For a process that runs code which is not trusted yet: it goes when its parent goes, leaves no core dump, and writes
 * no file beyond 1 GiB. */
static inline void martlet_confine(void) {
    struct rlimit none = {0, 0}, large = {1ul << 30, 1ul << 30};
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    setrlimit(RLIMIT_CORE, &none);
    setrlimit(RLIMIT_FSIZE, &large);
}

#endif
