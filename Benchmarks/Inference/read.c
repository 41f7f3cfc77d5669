// Read bandwidth from memory in 2 MiB pages: cc -O3 -march=native -pthread read.c -o read && ./read THREADS
// Prints GB/s, the median of nine passes over 256 MiB a thread.
#define _GNU_SOURCE
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

typedef float vector __attribute__((vector_size(64)));
enum { passes = 9 };
static const size_t bytes = (size_t)256 << 20;
static pthread_barrier_t barrier;
static double seconds[passes];

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

static void *reader(void *thread) {
    const size_t page = (size_t)2 << 20;
    uint8_t *area = mmap(NULL, bytes + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    vector *from = (vector *)(((uintptr_t)area + page - 1) & ~(uintptr_t)(page - 1)), sum[8] = {0};
    madvise(from, bytes, MADV_HUGEPAGE);
    for (size_t i = 0; i < bytes / 64; i++) from[i] = sum[0] + 1;
    for (int pass = 0; pass < passes; pass++) {
        pthread_barrier_wait(&barrier);
        double start = now();
        for (size_t i = 0; i < bytes / 64; i += 8)
            for (size_t j = 0; j < 8; j++) sum[j] += from[i + j];
        pthread_barrier_wait(&barrier);
        if (!thread) seconds[pass] = now() - start;
    }
    for (size_t j = 1; j < 8; j++) sum[0] += sum[j];
    volatile float used = sum[0][0];
    (void)used;
    return NULL;
}

static int ascending(const void *a, const void *b) { return (*(const double *)a > *(const double *)b) - (*(const double *)a < *(const double *)b); }

int main(int count, char **arguments) {
    int threads = count > 1 ? atoi(arguments[1]) : 1;
    if (threads < 1 || threads > 256) return 2;
    pthread_t ids[256];
    pthread_barrier_init(&barrier, NULL, (unsigned)threads);
    for (intptr_t t = 1; t < threads; t++) pthread_create(&ids[t], NULL, reader, (void *)t);
    reader(NULL);
    for (int t = 1; t < threads; t++) pthread_join(ids[t], NULL);
    qsort(seconds, passes, sizeof *seconds, ascending);
    printf("%.2f\n", (double)bytes * threads / seconds[passes / 2] * 1e-9);
    return 0;
}
