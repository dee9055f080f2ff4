//! Mistakes with images, embeddings and similarities.

use tensor::{DType, Interpolate, InterpolateMode, Tensor};

#[test]
fn images() {
    let m = |shape: &[usize]| Tensor::full(shape, 0.5, DType::F32);
    let size = |size: &[usize]| Interpolate { size: Some(size.to_vec()), ..Default::default() };
    panics! {
        m(&[2, 3]).interpolate(&size(&[4])) => "interpolate: there are not one to three dimensions to resize", "input [2, 3]";
        m(&[2, 3, 4]).interpolate(&size(&[4, 4])) => "interpolate: there is not one size or factor for each dimension";
        m(&[2, 3, 4]).interpolate(&size(&[0])) => "interpolate: a size is 0";
        m(&[2, 3, 4]).interpolate(&Interpolate::default()) => "interpolate: needs a size or a scale_factor, and not both";
        m(&[2, 3, 4]).interpolate(&Interpolate { scale_factor: Some(vec![2.0]), ..size(&[4]) }) => "and not both";
        m(&[2, 3, 4]).interpolate(&Interpolate { align_corners: true, ..size(&[4]) }) => "interpolate: align_corners is for the linear and the cubic mode";
        Tensor::interpolate_backward(&m(&[2, 3, 4]), &[2, 3, 4], &size(&[5])) => "interpolate_backward: the gradient does not have the shape";
        m(&[2, 3, 4]).to_dtype(DType::I64).interpolate(&Interpolate { mode: InterpolateMode::Linear, ..size(&[4]) }) => "interpolate: needs a floating-point tensor, got i64";
        m(&[2, 3, 4]).to_dtype(DType::U8).interpolate(&Interpolate { mode: InterpolateMode::Cubic, ..size(&[4]) }) => "interpolate: needs a floating-point tensor, got u8";
        m(&[2, 3]).pixel_shuffle(2) => "pixel_shuffle: fewer than 3 dimensions";
        m(&[6, 3, 3]).pixel_shuffle(2) => "pixel_shuffle: 6 channels do not make squares of 2 by 2 pixels";
        m(&[2, 3]).pixel_unshuffle(2) => "pixel_unshuffle: fewer than 3 dimensions";
        m(&[1, 4, 3]).pixel_unshuffle(2) => "pixel_unshuffle: 4 by 3 pixels do not make squares of 2 by 2";
        m(&[1, 4, 3]).channel_shuffle(3) => "channel_shuffle: there are no 3 groups of channels", "input [1, 4, 3]";
        m(&[2, 3]).normalize(2.0, 2, 1e-12) => "dimension 2 is out of range";
        m(&[2, 3]).to_dtype(DType::I64).normalize(2.0, 1, 1e-12) => "needs a floating-point tensor";
        m(&[2, 3]).cosine_similarity(&m(&[2, 4]), 1, 1e-8) => "cosine_similarity: cannot broadcast, 3 != 4";
        m(&[2, 3]).cosine_similarity(&m(&[2, 3]), 2, 1e-8) => "dimension 2 is out of range";
        m(&[2, 3]).pairwise_distance(&m(&[2, 4]), 2.0, 1e-6, false) => "sub: cannot broadcast";
    }
}
