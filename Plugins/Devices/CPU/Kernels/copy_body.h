// Transposition of a tile, for one instruction set.

/// Copies a tile of the last two axes; its rows are dense in the target, its columns are in the source.
static void MK_F(copy_tile)(void *arg, size_t index, size_t thread) {
    (void)thread;
    const copy_job *job = arg;
    size_t column = index % job->column_tiles * TRANSPOSE_TILE, rest = index / job->column_tiles;
    size_t row = rest % job->row_tiles * TRANSPOSE_TILE;
    int64_t from_at, to_at;
    offsets(job, rest / job->row_tiles, job->rank - 2, &from_at, &to_at);
    size_t rows = mk_min(TRANSPOSE_TILE, (size_t)job->shape[job->rank - 2] - row);
    size_t columns = mk_min(TRANSPOSE_TILE, (size_t)job->shape[job->rank - 1] - column);
    int64_t across = job->from_strides[job->rank - 1], down = job->to_strides[job->rank - 2];
    const float *from = (const float *)(const void *)job->from + from_at + (int64_t)row + (int64_t)column * across;
    float *to = (float *)(void *)job->to + to_at + (int64_t)row * down + (int64_t)column;
    bool stream = job->stream && (uintptr_t)to % sizeof(vf) == 0 && down % VF == 0;
    for (size_t r = 0; r < rows; r += VF)
        for (size_t c = 0; c < columns; c += VF) {
            size_t height = mk_min(VF, rows - r), width = mk_min(VF, columns - c);
            vf lines[VF];
            if (height == VF && width == VF) {
#pragma clang loop unroll(full)
                for (size_t i = 0; i < VF; i++) lines[i] = vload(from + (int64_t)(c + i) * across + (int64_t)r);
                vtranspose(lines);
                if (stream) {
#pragma clang loop unroll(full)
                    for (size_t i = 0; i < VF; i++) __builtin_nontemporal_store(lines[i], (vf *)(to + (int64_t)(r + i) * down + (int64_t)c));
                } else {
#pragma clang loop unroll(full)
                    for (size_t i = 0; i < VF; i++) vstore(to + (int64_t)(r + i) * down + (int64_t)c, lines[i]);
                }
                continue;
            }
            for (size_t i = 0; i < height; i++)
                for (size_t j = 0; j < width; j++)
                    to[(int64_t)(r + i) * down + (int64_t)(c + j)] = from[(int64_t)(c + j) * across + (int64_t)(r + i)];
        }
#if defined(__x86_64__)
    if (stream) _mm_sfence();
#endif
}
