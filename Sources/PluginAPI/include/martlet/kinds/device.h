/* Kind "martlet.device/1" (draft): memory, and the running of scheduled graphs on it. */
#ifndef MARTLET_KINDS_DEVICE_H
#define MARTLET_KINDS_DEVICE_H

#include "../base.h"
#include "../graph.h"

#define MT_KIND_DEVICE "martlet.device/1"

typedef struct mt_buffer mt_buffer;   /* memory of one device */
typedef struct mt_program mt_program; /* a compiled schedule */

/* An operand of a step: a compact row-major tensor inside a slot, or a weight in a packed form of the device's own. */
typedef struct mt_operand {
    uint32_t struct_size;
    uint32_t type;    /* MT_F32 …; of the elements it stands for */
    uint32_t rank;
    uint32_t slot;    /* index into the schedule's slots; MT_NO_SLOT for an optional input that is left out */
    uint64_t offset;  /* bytes from the slot's start */
    mt_str layout;    /* "f32" "bf16" "q4_0" …: how a weight's elements are stored; empty for plain values */
    int64_t dims[MT_MAX_RANK];
} mt_operand;
#define MT_NO_SLOT 0xFFFFFFFFu

typedef struct mt_step {
    uint32_t struct_size;
    uint32_t attr_count;
    mt_str op;
    mt_str name;              /* block and parameter names, for messages */
    const mt_operand *inputs;
    const mt_operand *outputs; /* may be the very memory of an input for elementwise ops */
    uint32_t input_count;
    uint32_t output_count;
    const mt_attr *attrs;
    uint32_t scratch_slot;
    uint32_t reserved;
    uint64_t scratch_offset;
    uint64_t scratch_size; /* at least what `scratch` asked for */
} mt_step;

/* Everything it points to is borrowed for the call of compile. */
typedef struct mt_schedule {
    uint32_t struct_size;
    uint32_t slot_count;
    const mt_step *steps;
    size_t step_count;
} mt_schedule;

/* A weight to be taken over from a checkpoint: [rows, columns], or [experts, rows, columns]. */
typedef struct mt_weight {
    uint32_t struct_size;
    uint32_t rank;
    mt_str layout;
    int64_t dims[MT_MAX_RANK];
    const mt_bytes *parts; /* the bytes, in order; several when experts stand in tensors of their own */
    size_t part_count;
} mt_weight;

typedef struct mt_device_table {
    uint32_t struct_size;
    uint32_t reserved;
    /* JSON of what there is: [{"name": "...", "memory": bytes, "threads": n, "features": [...]}]; [] when the machine
     * has no such device. [any] */
    mt_status (*enumerate)(void *ctx, mt_sink out, mt_error *error);
    /* Zeroed memory, 64-byte aligned at least. [any] */
    mt_status (*allocate)(void *ctx, int32_t device, uint64_t size, mt_buffer **out, mt_error *error);
    void (*release)(void *ctx, mt_buffer *buffer); /* [instance] */
    /* The buffer's address when the host may read and write it, else NULL. [any] */
    void *(*address)(void *ctx, mt_buffer *buffer);
    /* Copies into a buffer and out of one. [instance] */
    mt_status (*upload)(void *ctx, mt_buffer *buffer, uint64_t offset, mt_bytes data, mt_error *error);
    mt_status (*download)(void *ctx, mt_buffer *buffer, uint64_t offset, void *data, uint64_t size, mt_error *error); /* [instance] */
    /* Bytes that a weight of this layout and shape takes on the device; 0 when it cannot be held. [any] */
    uint64_t (*weight_size)(void *ctx, mt_str layout, const int64_t *dims, uint32_t rank);
    /* Takes a weight over, packing it as the device's products want it. [any] */
    mt_status (*import_weight)(void *ctx, int32_t device, const mt_weight *weight, mt_buffer **out, mt_error *error);
    /* Whether a step can run here. Slots and offsets are not set yet. Binding: what is supported runs. [any] */
    bool (*supports)(void *ctx, const mt_step *step);
    /* Scratch bytes that a step wants. [any] */
    uint64_t (*scratch)(void *ctx, const mt_step *step);
    mt_status (*compile)(void *ctx, int32_t device, const mt_schedule *schedule, mt_program **out, mt_error *error); /* [any] */
    /* Runs with slot i in buffers[i]. Returns when the results are there. [instance] */
    mt_status (*run)(void *ctx, mt_program *program, mt_buffer *const *buffers, size_t count, mt_error *error);
    void (*release_program)(void *ctx, mt_program *program); /* [instance] */
    /* Bytes now allocated, and the device's total. [any] */
    mt_status (*memory)(void *ctx, int32_t device, uint64_t *used, uint64_t *total, mt_error *error);
} mt_device_table;

#endif
