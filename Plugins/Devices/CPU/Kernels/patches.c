// Patches of images and signals, which make a convolution a product, and their adjoint.
#include "cpu_ops.h"

typedef struct {
    const float *from;
    float *to;
    mk_patches form;
    size_t out_height, out_width;
} patch_job;

size_t mk_patch_count(const mk_patches *form, int axis) {
    size_t extent = (axis ? form->width : form->height) + 2 * form->padding[axis];
    size_t reach = form->kernel[axis] ? (form->kernel[axis] - 1) * form->dilation[axis] + 1 : 0;
    return reach == 0 || extent < reach || !form->stride[axis] ? 0 : (extent - reach) / form->stride[axis] + 1;
}

/// One row of patches (all of one output line).
static void unfold_line(void *arg, size_t line, size_t thread) {
    (void)thread;
    const patch_job *job = arg;
    const mk_patches *f = &job->form;
    size_t kernel = f->kernel[0] * f->kernel[1];
    for (size_t column = 0; column < job->out_width; column++) {
        float *to = job->to + (line * job->out_width + column) * f->channels * kernel;
        for (size_t c = 0; c < f->channels; c++)
            for (size_t i = 0; i < f->kernel[0]; i++) {
                // Wraps below 0 to a huge value, which the comparison with the extent excludes as well.
                size_t y = line * f->stride[0] + i * f->dilation[0] - f->padding[0];
                const float *row = y < f->height ? job->from + (c * f->height + y) * f->width : NULL;
                for (size_t j = 0; j < f->kernel[1]; j++) {
                    size_t x = column * f->stride[1] + j * f->dilation[1] - f->padding[1];
                    *to++ = row && x < f->width ? row[x] : 0;
                }
            }
    }
}

/// All that falls on one channel, in the order of the patches.
static void fold_channel(void *arg, size_t c, size_t thread) {
    (void)thread;
    const patch_job *job = arg;
    const mk_patches *f = &job->form;
    size_t kernel = f->kernel[0] * f->kernel[1];
    float *channel = job->to + c * f->height * f->width;
    memset(channel, 0, f->height * f->width * sizeof(float));
    for (size_t line = 0; line < job->out_height; line++)
        for (size_t column = 0; column < job->out_width; column++) {
            const float *from = job->from + ((line * job->out_width + column) * f->channels + c) * kernel;
            for (size_t i = 0; i < f->kernel[0]; i++)
                for (size_t j = 0; j < f->kernel[1]; j++, from++) {
                    size_t y = line * f->stride[0] + i * f->dilation[0] - f->padding[0];
                    size_t x = column * f->stride[1] + j * f->dilation[1] - f->padding[1];
                    if (y < f->height && x < f->width) channel[y * f->width + x] += *from;
                }
        }
}

static patch_job job_of(const float *from, float *to, const mk_patches *form) {
    return (patch_job){.from = from, .to = to, .form = *form, .out_height = mk_patch_count(form, 0), .out_width = mk_patch_count(form, 1)};
}

void mk_unfold(const mk_pool *pool, const float *x, float *patches, const mk_patches *form) {
    patch_job job = job_of(x, patches, form);
    mk_parallel(pool, job.out_height, unfold_line, &job);
}

void mk_fold(const mk_pool *pool, const float *patches, float *x, const mk_patches *form) {
    patch_job job = job_of(patches, x, form);
    mk_parallel(pool, form->channels, fold_channel, &job);
}
