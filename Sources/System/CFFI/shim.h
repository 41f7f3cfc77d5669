/* libffi's descriptions of C types are variables; Swift is given the addresses. */
#ifndef MARTLET_CFFI_H
#define MARTLET_CFFI_H

#include <ffi.h>

static inline ffi_type *martlet_ffi_sint32(void) { return &ffi_type_sint32; }
static inline ffi_type *martlet_ffi_uint32(void) { return &ffi_type_uint32; }
static inline ffi_type *martlet_ffi_sint64(void) { return &ffi_type_sint64; }
static inline ffi_type *martlet_ffi_uint64(void) { return &ffi_type_uint64; }
static inline ffi_type *martlet_ffi_uint8(void) { return &ffi_type_uint8; }
static inline ffi_type *martlet_ffi_float(void) { return &ffi_type_float; }
static inline ffi_type *martlet_ffi_double(void) { return &ffi_type_double; }
static inline ffi_type *martlet_ffi_pointer(void) { return &ffi_type_pointer; }

/* Describes a call; 0 on success. `cif` and `types` must outlive every call. */
static inline int martlet_ffi_prepare(ffi_cif *cif, unsigned count, ffi_type *result, ffi_type **types) {
    return ffi_prep_cif(cif, FFI_DEFAULT_ABI, count, result, types) != FFI_OK;
}

static inline void martlet_ffi_call(ffi_cif *cif, void *function, void *result, void **arguments) {
    ffi_call(cif, FFI_FN(function), result, arguments);
}

#endif
