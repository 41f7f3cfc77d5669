// x -> exp((x - largest) * factor), for one instruction set; gives the largest.
static float MK_F(exponentials)(float *x, size_t n, float factor) {
    vf top = vset(-__builtin_inff());
    for (size_t i = 0; i < n; i += VF) top = vmax(vload_part(x + i, mk_min(VF, n - i), -__builtin_inff()), top);
    float largest = vmaximum(top), base = largest == -INFINITY ? 0 : largest;
    for (size_t i = 0; i < n; i += VF) {
        size_t count = mk_min(VF, n - i);
        vf s = vload_part(x + i, count, 0) - base;
        vstore_part(x + i, count, vselect(s == -__builtin_inff(), vset(0), vexp(s * factor)));
    }
    return largest;
}
