/* GGUF's Q4_0: blocks of 32 weights of a row, an f16 scale (the largest by magnitude / -8) before 32 codes of four bits, the
 * first half of a block in the low ones. kinds/quantizer.h says what each function promises. */
#include <martlet/define.h>
#include <martlet/martlet.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define BLOCK 32
#define BLOCK_BYTES 18

static mt_status plan(void *ctx, mt_str settings, mt_str name, const int64_t *shape, size_t rank, mt_sink out, mt_error *error) {
    (void)ctx;
    (void)settings;
    (void)name;
    char json[160];
    int size;
    if (rank != 2 || shape[0] < 1 || shape[1] < 1 || shape[1] % BLOCK || shape[0] > INT64_MAX / shape[1])
        size = snprintf(json, sizeof json, "{\"layout\": null}"); /* left alone */
    else /* A step is an eighth of the largest of 32; what rounding loses is a twelfth of its square, and the end opposite is cut. */
        size = snprintf(json, sizeof json, "{\"layout\": \"q4_0\", \"bytes\": %lld, \"statistics\": \"none\", \"max_relative_error\": 0.02}",
                        (long long)(shape[0] * shape[1] / BLOCK * BLOCK_BYTES));
    return out.write(out.ctx, json, (size_t)size, error);
}

/* IEEE 754 binary16, rounded to nearest even; the magnitude is below 65520. */
static uint16_t half(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    uint16_t sign = (uint16_t)(bits >> 16 & 0x8000);
    float size = fabsf(value);
    if (size < 0x1p-14f) return (uint16_t)(sign | (uint16_t)lrintf(size * 0x1p24f));
    bits &= 0x7fffffff;
    return (uint16_t)(sign | (bits + 0xfff + (bits >> 13 & 1) - 0x38000000) >> 13);
}

static mt_status quantize(void *ctx, mt_str settings, mt_str name, const float *weight, int64_t rows, int64_t columns,
                          const float *statistics, void *out, uint64_t size, mt_error *error) {
    (void)ctx;
    (void)settings;
    (void)name;
    (void)statistics;
    if (rows < 1 || columns < 1 || columns % BLOCK || size != (uint64_t)rows * (uint64_t)columns / BLOCK * BLOCK_BYTES)
        return mt_fail(error, MT_INVALID, "this is not the weight that was planned", "size");
    uint8_t *block = out;
    for (const float *x = weight, *end = weight + rows * columns; x < end; x += BLOCK, block += BLOCK_BYTES) {
        float largest = 0;
        for (int i = 0; i < BLOCK; i++) {
            if (!isfinite(x[i])) return mt_fail(error, MT_INVALID, "found a number that is not finite", "weight");
            if (fabsf(x[i]) > fabsf(largest)) largest = x[i];
        }
        float scale = largest / -8, inverse = scale != 0 ? 1 / scale : 0;
        if (fabsf(scale) >= 65520) return mt_fail(error, MT_INVALID, "found a number beyond what a block can scale", "weight");
        uint16_t code = half(scale);
        memcpy(block, &code, sizeof code);
        for (int i = 0; i < BLOCK / 2; i++) {
            float low = x[i] * inverse + 8.5f, high = x[i + BLOCK / 2] * inverse + 8.5f;
            block[2 + i] = (uint8_t)((low < 15 ? (int)low : 15) | (high < 15 ? (int)high : 15) << 4);
        }
    }
    return MT_OK;
}

static const mt_quantizer_table table = {sizeof table, 0, plan, quantize};

static const mt_component components[] = {
    MT_COMPONENT(MT_KIND_QUANTIZER, "roundfour", "Four bits a weight, blocks of 32", &table),
};

MT_DEFINE_PLUGIN("example.roundfour", "0.1.0", components, NULL)
