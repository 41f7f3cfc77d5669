/// Sixteen values that 4-bit codes stand for.
public enum Codebook4 {
    /// Quantiles of the normal distribution, and zero (Dettmers et al. 2023, 2305.14314, appendix E), by code.
    public static let nf4: [Float] = [
        -1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635,
        -0.18477343022823334,
        -0.09105003625154495, 0.0, 0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224,
        0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0,
    ]

    /// bitsandbytes' float of one sign, two exponent and one mantissa bit, over its largest value, by code.
    public static let fp4: [Float] = [
        0, 0.0052083334885537624, 0.6666666865348816, 1, 0.3333333432674408, 0.5, 0.1666666716337204, 0.25, 0,
        -0.0052083334885537624, -0.6666666865348816, -1, -0.3333333432674408, -0.5, -0.1666666716337204, -0.25,
    ]
}
