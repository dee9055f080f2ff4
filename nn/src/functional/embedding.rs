//! Rows of a table, and sums, means and maxima of bags of them.

use autograd::{Var, no_grad};
use tensor::{DType, Tensor};

use crate::{EmbeddingBagMode, EmbeddingBagOptions, EmbeddingOptions};

/// `y[..] = weight[ids[..]]`: [`Var::embedding_with`], after [`embedding_renorm_`] if there is a `max_norm`. The `dtype` of
/// the options is not used: the table has one.
///
/// # Panics
/// When an index is no row of the table, or `padding_idx` is none.
///
/// ```
/// use nn::prelude::*;
///
/// let table = Var::new(Tensor::from([[3f64, 4.0], [0.0, 0.5]]));
/// let options = EmbeddingOptions { max_norm: Some(1.0), ..Default::default() };
/// let y = functional::embedding(&Tensor::from([0i64]), &table, &options).value();
/// assert!(y.allclose(&Tensor::from([[0.6, 0.8]]), 0.0, 1e-6));
/// ```
#[track_caller]
pub fn embedding(ids: &Tensor, weight: &Var, options: &EmbeddingOptions) -> Var {
    let EmbeddingOptions { padding_idx, max_norm, norm_type, scale_grad_by_freq, dtype: _ } = *options;
    if let Some(max_norm) = max_norm {
        embedding_renorm_(weight, ids, max_norm, norm_type);
    }
    match (padding_idx, scale_grad_by_freq) {
        (None, false) => weight.embedding(ids),
        _ => weight.embedding_with(ids, padding_idx, scale_grad_by_freq),
    }
}

/// Shortens in place, without recording it, each row of the table `weight` that `ids` names and whose `norm_type`-norm is
/// above `max_norm`: `row = row max_norm / (norm + 1e-7)`.
///
/// # Panics
/// When an index is no row of the table or no i64 or i32, or the table is the result of a recorded operation.
///
/// ```
/// use nn::prelude::*;
///
/// let table = Var::new(Tensor::from([[2f64], [3.0]]));
/// functional::embedding_renorm_(&table, &Tensor::from([1i64, 1]), 0.5, 2.0);
/// assert!(table.value().allclose(&Tensor::from([[2.0], [0.5]]), 0.0, 1e-6));
/// ```
#[track_caller]
pub fn embedding_renorm_(weight: &Var, ids: &Tensor, max_norm: f64, norm_type: f64) {
    let rows = whole("embedding_renorm_", ids).unique(None).values;
    let norms = weight.value().embedding(&rows).vector_norm(norm_type, 1, false).to_dtype(DType::F64);
    let (rows, norms) = (rows.to_vec::<i64>(), norms.to_vec::<f64>());
    let long: Vec<(i64, f64)> = rows.into_iter().zip(norms).filter(|&(_, norm)| norm > max_norm).collect();
    if long.is_empty() {
        return;
    }
    no_grad(|| {
        weight.update(|table| {
            for (row, norm) in long {
                let shorter = table.narrow(0, row as usize, 1) * (max_norm / (norm + 1e-7));
                table.assign_(|table| table.narrow(0, row as usize, 1), &shorter);
            }
        })
    });
}

/// The sum, the mean or the largest elements of the rows `weight[ids]` of each bag, as
/// `embedding(..).sum/mean/max(dim)` gives them.
///
/// # Shape
/// weight `[rows, d]`; ids `[b, n]` without offsets, a bag for each row; or ids `[l]` and offsets `[b]`, where each bag
/// begins (with `include_last_offset` `[b + 1]`, and the last is where the last bag ends). `per_sample_weights`, factors of
/// the rows for the sum, has the shape of the ids. `-> [b, d]`. A bag with nothing in it, or only padding, gives zeros.
///
/// # Gradient
/// Of the sum `per_sample_weights dy`, of the mean `dy / n`, each to the rows read; of the maximum `dy` to the first row that
/// has it. `dper_sample_weights = dy · row`. The row `padding_idx` gets none.
///
/// # Panics
/// When the offsets do not fit the ids: missing or not wanted, not starting at 0, descending, or beyond the end; when
/// factors are given for another mode than the sum or do not have the shape of the ids; when `padding_idx` or an index is no
/// row of the table; when indices or offsets are no i64 or i32; when `scale_grad_by_freq` is on for the maximum.
///
/// # Differs
/// Descending offsets are refused, and so is a last offset that is not the number of ids where `include_last_offset` says
/// that it ends the last bag: PyTorch takes both on a CPU, and in the second case gives the last bag all the rest.
///
/// ```
/// use nn::prelude::*;
///
/// let table = Var::new(Tensor::from([[1f64], [10.0], [100.0]]));
/// let (ids, offsets) = (Tensor::from([0i64, 2, 1]), Tensor::from([0i64, 2]));
/// let sum = EmbeddingBagOptions { mode: EmbeddingBagMode::Sum, ..Default::default() };
/// let y = functional::embedding_bag(&ids, &table, Some(&offsets), None, &sum);
/// assert_eq!(y.to_vec::<f64>(), [101.0, 10.0]);
/// ```
#[track_caller]
pub fn embedding_bag(
    ids: &Tensor,
    weight: &Var,
    offsets: Option<&Tensor>,
    per_sample_weights: Option<&Var>,
    options: &EmbeddingBagOptions,
) -> Var {
    let &EmbeddingBagOptions {
        max_norm, norm_type, scale_grad_by_freq, mode, include_last_offset, padding_idx, ..
    } = options;
    assert!(
        mode != EmbeddingBagMode::Max || !scale_grad_by_freq,
        "embedding_bag: scale_grad_by_freq is for the sum and the mean"
    );
    if let Some(factors) = per_sample_weights {
        assert!(
            mode == EmbeddingBagMode::Sum,
            "embedding_bag: per_sample_weights are for the sum, the mode is {mode:?}"
        );
        assert!(
            factors.shape() == *ids.shape(),
            "embedding_bag: there is not one factor for each index\n  ids {:?}   per_sample_weights {:?}   rule equal shapes",
            ids.dims(),
            &factors.shape()[..],
        );
    }
    let (flat, bounds) = (whole("embedding_bag", ids), bounds(ids, offsets, include_last_offset));
    if let Some(max_norm) = max_norm {
        embedding_renorm_(weight, ids, max_norm, norm_type);
    }

    // Padding is left out: it counts in no mean and gets no gradient.
    let flat = flat.to_vec::<i64>();
    let padding = padding_row(padding_idx, weight.dim(0));
    let (mut kept, mut bags) = (Vec::new(), Vec::new());
    for (bag, bound) in bounds.windows(2).enumerate() {
        let places = (bound[0]..bound[1]).filter(|&place| padding != Some(flat[place]));
        for place in places {
            kept.push(place as i64);
            bags.push(bag as i64);
        }
    }
    let count = bounds.len() - 1;
    let read = Tensor::from_vec(kept.iter().map(|&place| flat[place as usize]).collect(), [kept.len()]);
    let kept = Tensor::from_vec(kept, [read.numel()]);
    let mut rows = weight.embedding_with(&read, None, scale_grad_by_freq);
    if let Some(factors) = per_sample_weights {
        rows = rows * factors.reshape([flat.len()]).index_select(0, &kept).unsqueeze(1);
    }
    let empty = Var::new(Tensor::zeros([count, weight.dim(1)], weight.dtype()));
    let places = Tensor::from_vec(bags.clone(), [bags.len()]);
    match mode {
        EmbeddingBagMode::Sum => empty.index_add(0, &places, &rows),
        EmbeddingBagMode::Mean => {
            let mut sizes = vec![0f64; count];
            bags.iter().for_each(|&bag| sizes[bag as usize] += 1.0);
            let sizes: Vec<f64> = sizes.into_iter().map(|size| size.max(1.0)).collect();
            let sizes = Tensor::from_vec(sizes, [count, 1]).to_dtype(weight.dtype());
            empty.index_add(0, &places, &rows) / Var::new(sizes)
        }
        EmbeddingBagMode::Max => largest(&rows, &bags, &empty),
    }
}

/// Indices as one list of i64.
#[track_caller]
fn whole(op: &str, ids: &Tensor) -> Tensor {
    assert!(
        matches!(ids.dtype(), DType::I64 | DType::I32),
        "{op}: indices and offsets must be i64 or i32, got {}",
        ids.dtype()
    );
    ids.reshape([ids.numel()]).to_dtype(DType::I64)
}

/// Where the bags begin, and where the last one ends.
#[track_caller]
fn bounds(ids: &Tensor, offsets: Option<&Tensor>, include_last_offset: bool) -> Vec<usize> {
    let offsets = match (ids.dims(), offsets) {
        (&[b, n], None) => return (0..=b).map(|bag| bag * n).collect(),
        ([_], Some(offsets)) if offsets.ndim() == 1 => offsets,
        (dims, offsets) => panic!(
            "embedding_bag: the indices are no bags\n  ids {dims:?}   offsets {:?}   rule [b, n] alone, or [l] and [b]",
            offsets.map(Tensor::dims)
        ),
    };
    let offsets = whole("embedding_bag", offsets).to_vec::<i64>();
    let mut bounds = offsets.clone();
    let l = ids.numel() as i64;
    if include_last_offset {
        assert!(
            bounds.last() == Some(&l),
            "embedding_bag: the last offset is not the number of indices\n  offsets {bounds:?}   indices {l}"
        );
    } else {
        bounds.push(l);
    }
    let starts = bounds.len() == 1 || bounds[0] == 0;
    assert!(
        starts && bounds.is_sorted(),
        "embedding_bag: the offsets do not cut the indices into bags\n  offsets {offsets:?}   indices {l}   \
         rule 0 <= .. <= {l}",
    );
    bounds.into_iter().map(|bound| bound as usize).collect()
}

/// The number of the row `padding_idx`, if there is one; it may count from the end.
#[track_caller]
pub(crate) fn padding_row(padding_idx: Option<isize>, rows: usize) -> Option<i64> {
    let padding_idx = padding_idx?;
    let row = if padding_idx < 0 { padding_idx + rows as isize } else { padding_idx };
    assert!(
        (0..rows as isize).contains(&row),
        "embedding: the padding is no row of the table\n  padding_idx {padding_idx}   rows {rows}"
    );
    Some(row as i64)
}

/// For each bag and column the largest element of the rows in that bag: the first of several, as PyTorch takes it.
fn largest(rows: &Var, bags: &[i64], empty: &Var) -> Var {
    let (count, d) = (empty.dim(0), empty.dim(1));
    if bags.is_empty() || d == 0 {
        return empty.index_add(0, &Tensor::from_vec(bags.to_vec(), [bags.len()]), rows);
    }
    let values = rows.value().to_dtype(DType::F64).to_vec::<f64>();
    let mut winners: Vec<Option<usize>> = vec![None; count * d];
    for (row, &bag) in bags.iter().enumerate() {
        for column in 0..d {
            let winner = &mut winners[bag as usize * d + column];
            if winner.is_none_or(|first| values[row * d + column] > values[first * d + column]) {
                *winner = Some(row);
            }
        }
    }
    let nothing: Vec<bool> = winners.iter().map(Option::is_none).collect();
    let winners = Tensor::from_vec(winners.iter().map(|w| w.unwrap_or(0) as i64).collect(), [count, d]);
    rows.gather(0, &winners).masked_fill(&Tensor::from_vec(nothing, [count, d]), 0.0)
}
