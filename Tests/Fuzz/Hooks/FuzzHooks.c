#include "FuzzHooks.h"

#include <pthread.h>
#include <stdatomic.h>

// sanitizer/allocator_interface.h; absent where the sanitizer is not linked.
extern int __sanitizer_install_malloc_and_free_hooks(void (*)(const volatile void *, size_t), void (*)(const volatile void *))
    __attribute__((weak));
extern size_t __sanitizer_get_allocated_size(const volatile void *) __attribute__((weak));

static atomic_long alive, peak;

static void allocated(const volatile void *memory, size_t size) {
    (void)memory;
    long now = atomic_fetch_add(&alive, (long)size) + (long)size;
    long before = atomic_load(&peak);
    while (now > before && !atomic_compare_exchange_weak(&peak, &before, now)) {}
}

static void freed(const volatile void *memory) {
    if (memory) atomic_fetch_sub(&alive, (long)__sanitizer_get_allocated_size(memory));
}

static void install(void) {
    if (__sanitizer_install_malloc_and_free_hooks) __sanitizer_install_malloc_and_free_hooks(allocated, freed);
}

void fuzz_memory_begin(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, install);
    atomic_store(&alive, 0);
    atomic_store(&peak, 0);
}

size_t fuzz_memory_peak(void) {
    long most = atomic_load(&peak);
    return most > 0 ? (size_t)most : 0;
}
