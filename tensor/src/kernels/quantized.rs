//! The formats of quantised weights: how they are made, and how they become f32 again while they are read.

use half::bf16;
use half::slice::HalfFloatSliceExt;

use crate::kernels::gemm::lanes::{Lanes, WIDTH};
use crate::kernels::gemm::stream::{Chunk, Format, LANES, filled, nth, whole};

/// Whole numbers from -127 to 127 with one scale per row.
#[derive(Clone, Copy)]
pub(crate) struct Int8<'a> {
    /// `[rows, len]`, two's complement.
    pub(crate) codes: &'a [u8],
    pub(crate) scales: &'a [f32],
    pub(crate) len: usize,
}

impl Format for Int8<'_> {
    type Row<'b>
        = &'b [u8]
    where
        Self: 'b;

    const TO_A_LINE: usize = 2;
    const IN_FEW: usize = 1;
    const IN_MANY: usize = 4;

    #[inline(always)]
    fn at(row: &[u8], c: usize) -> *const u8 {
        row.as_ptr().wrapping_add(c * LANES)
    }
    #[inline(always)]
    fn row(&self, row: usize) -> &[u8] {
        &self.codes[row * self.len..][..self.len]
    }
    #[inline(always)]
    fn chunk<V: Lanes>(row: &[u8], c: usize) -> [V; 2] {
        whole(row, c).map(V::of_i8)
    }
    #[inline(always)]
    fn rest<V: Lanes>(row: &[u8], c: usize) -> [V; 2] {
        whole(&filled(row, c), 0).map(V::of_i8)
    }
    #[inline(always)]
    fn scale(&self, row: usize) -> f32 {
        self.scales[row]
    }
}

/// The bytes that hold a chunk of 4-bit numbers.
const BYTES: usize = WIDTH;
/// What is added to 4-bit numbers so that they are stored without a sign.
const OFFSET: u8 = 8;

/// Whole numbers from -8 to 7 with one scale per group of neighbours in a row.
///
/// Byte `j` of a chunk holds element `j` in its lower four bits and element `j + BYTES` in the upper ones. Rows are
/// filled with zeros to whole groups.
#[derive(Clone, Copy)]
pub(crate) struct Int4<'a> {
    /// `[rows, groups * group / 2]`.
    pub(crate) codes: &'a [u8],
    /// `[rows, groups]`.
    pub(crate) scales: &'a [bf16],
    /// The binary logarithm of the number of chunks that make a group.
    pub(crate) shift: u32,
    /// Groups of a row.
    pub(crate) groups: usize,
}

/// Chunks of [`Int4`] in a cache line.
const OF_LINE: usize = 4;

/// A row of [`Int4`]: its codes, its scales, and the logarithm of the chunks of a group.
type Row4<'a> = (&'a [[u8; BYTES]], &'a [bf16], u32);

impl Format for Int4<'_> {
    type Row<'b>
        = Row4<'b>
    where
        Self: 'b;

    const TO_A_LINE: usize = OF_LINE;
    const IN_FEW: usize = 1;
    const IN_MANY: usize = 2;

    #[inline(always)]
    fn at((codes, ..): Row4<'_>, c: usize) -> *const u8 {
        codes.as_ptr().wrapping_add(c).cast()
    }
    #[inline(always)]
    fn row(&self, row: usize) -> Row4<'_> {
        let bytes = (self.groups << self.shift) * BYTES;
        let codes = self.codes[row * bytes..][..bytes].as_chunks::<BYTES>().0;
        (codes, &self.scales[row * self.groups..][..self.groups], self.shift)
    }
    #[inline(always)]
    fn chunk<V: Lanes>((codes, scales, shift): Row4<'_>, c: usize) -> [V; 2] {
        // Not `to_f32`, which looks for NaN first.
        V::of_nibbles(&codes[c], f32::from_bits((scales[c >> shift].to_bits() as u32) << 16))
    }
    /// A line is taken as sixteen words of eight numbers, and the scales are applied to sums of their products.
    #[inline(always)]
    fn add_line<V: Lanes, const M: usize>(
        (codes, scales, shift): Row4<'_>,
        l: usize,
        x: &[&[Chunk]; M],
        sums: &mut [[V; 2]; M],
    ) {
        let words = nth::<_, OF_LINE>(codes, l).as_flattened().first_chunk().expect("a line");
        // The scale of each chunk: a group has one, two or all four chunks of a line.
        let scales = scales.reinterpret_cast();
        // Loaded in each case where it is: an array of its own would be put together number by number.
        let scale = match shift {
            0 => V::of_four_bf16(nth(scales, l)),
            1 => {
                let &[a, b] = nth(scales, l);
                V::of_four_bf16(&[a, a, b, b])
            }
            2 => V::of_four_bf16(&[scales[l]; OF_LINE]),
            _ => unreachable!("a group has one, two or four chunks"),
        };
        V::add_words(sums, words, std::array::from_fn(|i| nth(x[i].as_flattened(), l)), scale);
    }
    #[inline(always)]
    fn arrange<V: Lanes>(x: &mut [Chunk]) {
        V::arrange(x.as_flattened_mut().first_chunk_mut().expect("a line"));
    }
    #[inline(always)]
    fn rest<V: Lanes>(row: Row4<'_>, c: usize) -> [V; 2] {
        Self::chunk(row, c)
    }
}

/// The largest magnitude in a row, or `None` if an element is not finite.
fn largest(row: &[f32]) -> Option<f32> {
    // Not a maximum, which would pass over NaN: adding the exponents' tests keeps the loop free of branches.
    let finite = row.iter().fold(true, |all, x| all & x.is_finite());
    finite.then(|| row.iter().fold(0.0f32, |most, x| most.max(x.abs())))
}

/// Quantises a row for [`Int8`] and gives its scale, or `None` if an element is not finite.
pub(crate) fn to_int8(row: &[f32], codes: &mut [u8]) -> Option<f32> {
    let most = largest(row)?;
    if most == 0.0 {
        codes.fill(0);
        return Some(0.0);
    }
    // No smaller than the smallest normal number, below which scales have few bits; and 127 scales do not overflow.
    let scale = (most / 127.0).max(f32::MIN_POSITIVE);
    let scale = if (127.0 * scale).is_infinite() { scale.next_down() } else { scale };
    for (code, x) in codes.iter_mut().zip(row) {
        *code = (x / scale).round_ties_even().clamp(-127.0, 127.0) as i8 as u8;
    }
    Some(scale)
}

/// Quantises a row for [`Int4`], or gives `None` if an element is not finite.
pub(crate) fn to_int4(row: &[f32], group: usize, codes: &mut [u8], scales: &mut [bf16]) -> Option<()> {
    codes.fill(OFFSET | (OFFSET << 4));
    for ((row, codes), scale) in row.chunks(group).zip(codes.chunks_mut(group / 2)).zip(scales) {
        let most = largest(row)?;
        if most == 0.0 {
            *scale = bf16::ZERO;
            continue;
        }
        // The element of the largest magnitude becomes -8, the end that the codes have and the other side has not. The scale
        // is cut to a bf16, not rounded, so that 8 scales do not overflow.
        let end = row.iter().copied().find(|x| x.abs() == most).unwrap_or(most);
        let cut = ((most / 8.0).max(f32::MIN_POSITIVE).to_bits() >> 16) as u16;
        let sign = if end > 0.0 { 0x8000 } else { 0 };
        *scale = bf16::from_bits(cut | sign);
        let divisor = scale.to_f32();
        for (i, x) in row.iter().enumerate() {
            let code = ((x / divisor).round_ties_even().clamp(-8.0, 7.0) as i8 + OFFSET as i8) as u8;
            let (chunk, at) = (i / LANES, i % LANES);
            let byte = &mut codes[chunk * BYTES + at % BYTES];
            *byte = if at < BYTES { (*byte & 0xf0) | code } else { (*byte & 0x0f) | (code << 4) };
        }
    }
    Some(())
}
