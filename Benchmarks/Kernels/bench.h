// Pieces of kernelbench: the clock, a pool, and the machine's ceilings.
#ifndef KERNELBENCH_H
#define KERNELBENCH_H

#include "cpu_linear.h"

double bench_now(void);

/// Starts `threads` - 1 threads, pinned one to a processor; the caller is the last.
mk_pool bench_pool_start(size_t threads);
void bench_pool_stop(mk_pool *pool);

typedef enum bench_ceiling { CEILING_READ, CEILING_F32, CEILING_BF16, CEILING_INT8, CEILING_COUNT } bench_ceiling;

/// One measurement, in 1e9 a second: bytes read from 2 MiB pages (512 MiB in all), or operations (a multiply-add is two).
double bench_measure(bench_ceiling ceiling, const mk_pool *pool);

extern const char *const bench_ceiling_names[CEILING_COUNT];

#endif
