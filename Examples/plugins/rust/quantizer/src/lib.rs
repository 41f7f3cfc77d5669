//! GGUF's Q8_0: blocks of 32 weights of a row, an f16 scale (the largest magnitude / 127) before 32 signed bytes.

use martlet::{Document, Failure, Plan, Quantizer};

const BLOCK: usize = 32;
const BLOCK_BYTES: usize = 34;

struct ByteBlock;

/// IEEE 754 binary16 of a number from 0 to below 65520, rounded to nearest even.
fn half(size: f32) -> u16 {
    if size < f32::from_bits(0x3880_0000) {
        // Below 2^-14: whole steps of 2^-24. What is added leaves no bits behind the point, and the sum is rounded to even.
        return (size * 16_777_216.0 + 8_388_608.0 - 8_388_608.0) as u16;
    }
    let bits = size.to_bits();
    ((bits + 0xFFF + (bits >> 13 & 1) - 0x3800_0000) >> 13) as u16
}

impl Quantizer for ByteBlock {
    fn new(_settings: &Document) -> Result<Self, Failure> {
        Ok(ByteBlock)
    }

    fn plan(&self, _name: &str, shape: &[i64]) -> Option<Plan> {
        let (rows, columns) = match *shape {
            [rows, columns] if rows > 0 && columns > 0 && columns % BLOCK as i64 == 0 => (rows, columns),
            _ => return None,
        };
        let blocks = usize::try_from(rows.checked_mul(columns / BLOCK as i64)?).ok()?;
        // A step is at most a 127th of the largest of 32, and rounding loses a twelfth of its square.
        Some(Plan { layout: "q8_0", bytes: blocks.checked_mul(BLOCK_BYTES)?, maximum_relative_error: 0.001 })
    }

    fn quantize(&self, name: &str, weight: &[f32], _columns: usize, out: &mut [u8]) -> Result<(), Failure> {
        for (block, out) in weight.chunks_exact(BLOCK).zip(out.chunks_exact_mut(BLOCK_BYTES)) {
            let largest = block.iter().fold(0.0f32, |largest, x| largest.max(x.abs()));
            let scale = largest / 127.0;
            if block.iter().any(|x| !x.is_finite()) || scale >= 65520.0 {
                return Err(Failure::invalid("found a number beyond what a block can scale", name));
            }
            out[..2].copy_from_slice(&half(scale).to_le_bytes());
            let inverse = if scale > 0.0 { 1.0 / scale } else { 0.0 };
            for (code, x) in out[2..].iter_mut().zip(block) {
                *code = (x * inverse).round().clamp(-127.0, 127.0) as i8 as u8;
            }
        }
        Ok(())
    }
}

martlet::plugin!(
    "example.byteblock", "0.1.0", "martlet.quantizer/1", "byteblock", "Eight bits a weight, blocks of 32",
    martlet::abi::QuantizerTable = martlet::quantizer::<ByteBlock>()
);
