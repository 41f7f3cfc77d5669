import CPUKernels
import Testing

@Suite struct CommonTests {
    @Test func everyHalfSurvivesTheTripThroughFloat() {
        for bits in UInt16.min...UInt16.max {
            let value = mk_f16_to_f32(bits)
            let expected = Float(Float16(bitPattern: bits))
            if expected.isNaN {
                #expect(value.isNaN)
            } else {
                #expect(value == expected && mk_f32_to_f16(value) == bits)
            }
        }
    }

    @Test func floatsRoundToHalvesAsTheCompilerDoes() {
        var generator = SystemRandomNumberGenerator()
        for _ in 0..<200_000 {
            let value = Float(bitPattern: UInt32.random(in: 0...UInt32.max, using: &generator))
            guard !value.isNaN else { continue }
            #expect(mk_f32_to_f16(value) == Float16(value).bitPattern)
        }
    }

    @Test func brainFloatsRoundToNearestEven() {
        #expect(mk_f32_to_bf16(1) == 0x3f80)
        #expect(mk_f32_to_bf16(Float(bitPattern: 0x3f80_8000)) == 0x3f80)
        #expect(mk_f32_to_bf16(Float(bitPattern: 0x3f81_8000)) == 0x3f82)
        #expect(mk_f32_to_bf16(Float(bitPattern: 0x3f80_8001)) == 0x3f81)
        #expect(mk_f32_to_bf16(.greatestFiniteMagnitude) == 0x7f80)
        #expect(mk_bf16_to_f32(mk_f32_to_bf16(.nan)).isNaN)
    }

    @Test func hugeMemoryIsAlignedAndZeroed() throws {
        let bytes = 5 << 20
        let memory = try #require(mk_huge_alloc(bytes))
        defer { mk_huge_free(memory, bytes) }
        #expect(UInt(bitPattern: memory) % (2 << 20) == 0)
        #expect(UnsafeRawBufferPointer(start: memory, count: bytes).allSatisfy { $0 == 0 })
    }
}
