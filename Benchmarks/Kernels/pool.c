// A pool for the benchmark: waiting threads spin briefly, then sleep.
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "bench.h"

double bench_now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

struct worker {
    struct pool *pool;
    size_t index;
    pthread_t thread;
};

struct pool {
    size_t threads;
    struct worker *workers;
    pthread_mutex_t mutex;
    pthread_cond_t start;
    _Atomic unsigned round;
    _Atomic size_t next, busy;
    _Atomic int stop;
    size_t count;
    void (*body)(void *arg, size_t index, size_t thread);
    void *arg;
};

static void work(struct pool *pool, size_t thread) {
    for (size_t i; (i = atomic_fetch_add(&pool->next, 1)) < pool->count;) pool->body(pool->arg, i, thread);
}

static void *serve(void *argument) {
    struct worker *worker = argument;
    struct pool *pool = worker->pool;
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(worker->index, &set);
    pthread_setaffinity_np(pthread_self(), sizeof set, &set);
    for (unsigned seen = 0;;) {
        for (int spin = 0; spin < 20000 && atomic_load(&pool->round) == seen; spin++) __asm__ volatile("" ::: "memory");
        pthread_mutex_lock(&pool->mutex);
        while (atomic_load(&pool->round) == seen) pthread_cond_wait(&pool->start, &pool->mutex);
        pthread_mutex_unlock(&pool->mutex);
        seen = atomic_load(&pool->round);
        if (atomic_load(&pool->stop)) return NULL;
        work(pool, worker->index);
        atomic_fetch_sub(&pool->busy, 1);
    }
}

static void parallel_for(void *ctx, size_t count, void (*body)(void *arg, size_t index, size_t thread), void *arg) {
    struct pool *pool = ctx;
    pool->count = count;
    pool->body = body;
    pool->arg = arg;
    atomic_store(&pool->next, 0);
    atomic_store(&pool->busy, pool->threads - 1);
    pthread_mutex_lock(&pool->mutex);
    atomic_fetch_add(&pool->round, 1);
    pthread_cond_broadcast(&pool->start);
    pthread_mutex_unlock(&pool->mutex);
    work(pool, 0);
    while (atomic_load(&pool->busy)) sched_yield();
}

mk_pool bench_pool_start(size_t threads) {
    struct pool *pool = calloc(1, sizeof *pool);
    if (!pool || !(pool->workers = calloc(threads, sizeof *pool->workers))) abort();
    pool->threads = threads;
    pthread_mutex_init(&pool->mutex, NULL);
    pthread_cond_init(&pool->start, NULL);
    for (size_t i = 1; i < threads; i++) {
        pool->workers[i] = (struct worker){.pool = pool, .index = i};
        pthread_create(&pool->workers[i].thread, NULL, serve, &pool->workers[i]);
    }
    return (mk_pool){pool, threads, parallel_for};
}

void bench_pool_stop(mk_pool *handle) {
    struct pool *pool = handle->ctx;
    atomic_store(&pool->stop, 1);
    pthread_mutex_lock(&pool->mutex);
    atomic_fetch_add(&pool->round, 1);
    pthread_cond_broadcast(&pool->start);
    pthread_mutex_unlock(&pool->mutex);
    for (size_t i = 1; i < pool->threads; i++) pthread_join(pool->workers[i].thread, NULL);
    free(pool->workers);
    free(pool);
}
