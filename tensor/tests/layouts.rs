//! Every operation gives the same for any layout: strided, flipped and stretched operands against contiguous copies,
//! and both against a plain loop over indices.

use proptest::prelude::*;
use tensor::{DType, Generator, Tensor};

/// A tensor of shape `shape` that lies in memory in one of several ways, with values from a seed.
fn tensor_of(shape: &[usize], layout: u8, seed: u64) -> Tensor {
    let mut g = Generator::new(seed);
    let n = shape.len() as isize;
    match layout % 5 {
        1 if n >= 2 => {
            let mut swapped = shape.to_vec();
            swapped.swap(0, shape.len() - 1);
            Tensor::randn_with(swapped, DType::F64, &mut g).transpose(0, -1)
        }
        2 if n >= 1 => {
            let mut wider = shape.to_vec();
            wider[0] = 2 * wider[0] + 1;
            Tensor::randn_with(wider, DType::F64, &mut g).slice(0, 1, usize::MAX, 2)
        }
        3 if n >= 1 => Tensor::randn_with(shape, DType::F64, &mut g).flip(&(0..n).collect::<Vec<_>>()),
        4 if n >= 1 => {
            let mut thin = shape.to_vec();
            thin[shape.len() - 1] = 1;
            Tensor::randn_with(thin, DType::F64, &mut g).expand(shape)
        }
        _ => Tensor::randn_with(shape, DType::F64, &mut g),
    }
}

fn shapes() -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(0usize..4, 0..4)
}

fn indices(shape: &[usize]) -> Vec<Vec<usize>> {
    shape.iter().fold(vec![vec![]], |all, &n| {
        all.iter().flat_map(|i| (0..n).map(move |k| [i.as_slice(), &[k]].concat())).collect()
    })
}

/// `f` of every index, in row-major order.
fn by_index(shape: &[usize], f: impl Fn(&[usize]) -> f64) -> Vec<f64> {
    indices(shape).iter().map(|i| f(i)).collect()
}

fn check(holds: bool) -> Result<(), TestCaseError> {
    if holds { Ok(()) } else { Err(TestCaseError::fail("the tensors differ")) }
}

fn same(a: &Tensor, b: &[f64]) -> bool {
    let a = a.to_dtype(DType::F64).to_vec::<f64>();
    a.len() == b.len() && a.iter().zip(b).all(|(x, y)| (x - y).abs() <= 1e-12 * y.abs().max(1.0) || x == y)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn unary_functions(shape in shapes(), layout in 0u8..5, seed in 0u64..1000) {
        let x = tensor_of(&shape, layout, seed);
        let at = |i: &[usize]| x.get::<f64>(i);
        check(same(&x, &by_index(&shape, at)))?;
        check(same(&x.exp(), &by_index(&shape, |i| at(i).exp())))?;
        check(same(&x.tanh(), &by_index(&shape, |i| at(i).tanh())))?;
        check(same(&x.abs(), &by_index(&shape, |i| at(i).abs())))?;
        check(same(&-&x, &by_index(&shape, |i| -at(i))))?;
        check(same(&x.square(), &by_index(&shape, |i| at(i) * at(i))))?;
        check(same(&x.relu(), &by_index(&shape, |i| at(i).max(0.0))))?;
        check(same(&x.clamp(Some(-0.5), Some(0.5)), &by_index(&shape, |i| at(i).clamp(-0.5, 0.5))))?;
        check(same(&x.to_dtype(DType::I64), &by_index(&shape, |i| at(i).trunc())))?;
        check(same(&x.gt_scalar(0.0), &by_index(&shape, |i| (at(i) > 0.0) as u8 as f64)))?;
    }

    #[test]
    fn binary_functions_broadcast(
        shape in shapes(), thin in prop::collection::vec(any::<bool>(), 3), drop in 0usize..3,
        layouts in (0u8..5, 0u8..5), seed in 0u64..1000,
    ) {
        // The second operand has some sizes of 1 and may lack leading dimensions.
        let other: Vec<usize> = shape.iter().enumerate().map(|(d, &n)| if thin[d % 3] { 1 } else { n }).collect();
        let other = &other[drop.min(other.len())..];
        let (a, b) = (tensor_of(&shape, layouts.0, seed), tensor_of(other, layouts.1, seed + 1));
        let lead = shape.len() - other.len();
        let b_at = |i: &[usize]| {
            let j: Vec<usize> = i[lead..].iter().zip(other).map(|(&i, &n)| if n == 1 { 0 } else { i }).collect();
            b.get::<f64>(&j)
        };
        let at = |i: &[usize]| a.get::<f64>(i);
        check(same(&(&a + &b), &by_index(&shape, |i| at(i) + b_at(i))))?;
        check(same(&(&b - &a), &by_index(&shape, |i| b_at(i) - at(i))))?;
        check(same(&(&a * &b), &by_index(&shape, |i| at(i) * b_at(i))))?;
        check(same(&(&a / &b), &by_index(&shape, |i| at(i) / b_at(i))))?;
        check(same(&a.maximum(&b), &by_index(&shape, |i| at(i).max(b_at(i)))))?;
        check(same(&a.lt(&b), &by_index(&shape, |i| (at(i) < b_at(i)) as u8 as f64)))?;
        let chosen = Tensor::where_(&a.gt_scalar(0.0), &a, &b);
        check(same(&chosen, &by_index(&shape, |i| if at(i) > 0.0 { at(i) } else { b_at(i) })))?;
        let mut c = a.clone();
        c.add_(&b);
        c.add_scaled_(&b, -2.0);
        check(same(&c, &by_index(&shape, |i| at(i) - b_at(i))))?;
        // The operators on owned operands reuse memory, and still nobody sees a tensor change.
        let kept = a.clone();
        check(same(&(a.copy() + &b), &by_index(&shape, |i| at(i) + b_at(i))))?;
        prop_assert!(kept.bit_eq(&a));
    }

    #[test]
    fn reductions(shape in shapes(), which in prop::collection::vec(any::<bool>(), 3), layout in 0u8..5, seed in 0u64..1000) {
        let x = tensor_of(&shape, layout, seed);
        let dims: Vec<isize> = (0..shape.len()).filter(|&d| which[d % 3]).map(|d| d as isize).collect();
        prop_assume!(!dims.is_empty());
        let reduced = |d: usize| dims.contains(&(d as isize));
        let kept: Vec<usize> = shape.iter().enumerate().map(|(d, &n)| if reduced(d) { 1 } else { n }).collect();
        let group = |i: &[usize]| -> Vec<f64> {
            let members = indices(&shape).into_iter().filter(|j| (0..shape.len()).all(|d| reduced(d) || i[d] == j[d]));
            members.map(|j| x.get::<f64>(&j)).collect()
        };
        check(same(&x.sum_dim(&dims[..], true), &by_index(&kept, |i| group(i).iter().sum())))?;
        check(same(&x.prod_dim(&dims[..], true), &by_index(&kept, |i| group(i).iter().product())))?;
        check(same(&x.any_dim(&dims[..], true), &by_index(&kept, |i| group(i).iter().any(|&v| v != 0.0) as u8 as f64)))?;
        check(same(&x.logsumexp(&dims[..], true), &by_index(&kept, |i| group(i).iter().map(|v| v.exp()).sum::<f64>().ln())))?;
        if dims.iter().all(|&d| shape[d as usize] > 0) {
            check(same(&x.amax(&dims[..], true), &by_index(&kept, |i| group(i).into_iter().fold(f64::MIN, f64::max))))?;
            check(same(&x.amin(&dims[..], true), &by_index(&kept, |i| group(i).into_iter().fold(f64::MAX, f64::min))))?;
        }
        prop_assert_eq!(x.sum_dim(&dims[..], false).ndim(), shape.len() - dims.len());
        check(same(&x.sum_to(&kept[..]), &by_index(&kept, |i| group(i).iter().sum())))?;
    }

    #[test]
    fn order_and_indexing(shape in prop::collection::vec(1usize..4, 1..4), layout in 0u8..4, dim in 0usize..3, seed in 0u64..1000) {
        let x = tensor_of(&shape, layout, seed);
        let dim = dim % shape.len();
        let d = dim as isize;
        let line = |i: &[usize]| -> Vec<f64> {
            (0..shape[dim]).map(|k| { let mut j = i.to_vec(); j[dim] = k; x.get::<f64>(&j) }).collect()
        };
        let sorted = |i: &[usize]| { let mut l = line(i); l.sort_by(f64::total_cmp); l };
        let (values, positions) = x.sort(d, false);
        check(same(&values, &by_index(&shape, |i| sorted(i)[i[dim]])))?;
        check(same(&x.gather(d, &positions), &by_index(&shape, |i| sorted(i)[i[dim]])))?;
        check(same(&x.cumsum(d), &by_index(&shape, |i| line(i)[..=i[dim]].iter().sum())))?;
        let (top, _) = x.topk(1, d, true);
        check(same(&top, &x.amax(d, true).to_vec::<f64>()))?;
        let (max, at) = x.max_dim(d, false);
        check(same(&max, &x.amax(d, false).to_vec::<f64>()))?;
        check(same(&x.gather(d, &at.unsqueeze(d)), &max.to_vec::<f64>()))?;
        let ids = Tensor::randint_with(0, shape[dim] as i64, [4], &mut Generator::new(seed));
        let id = ids.to_vec::<i64>();
        let picked = x.index_select(d, &ids);
        check(same(&picked, &by_index(picked.dims(), |i| { let mut j = i.to_vec(); j[dim] = id[i[dim]] as usize; x.get(&j) })))?;
        let added = x.index_add(d, &ids, &picked);
        let times = |k: usize| id.iter().filter(|&&j| j as usize == k).count() as f64;
        check(same(&added, &by_index(&shape, |i| x.get::<f64>(i) * (1.0 + times(i[dim])))))?;
        let zeros = Tensor::zeros(&shape[..], DType::F64);
        check(same(&zeros.scatter_add(d, &positions, &values), &x.to_vec::<f64>()))?;
    }

    #[test]
    fn views_and_joins(shape in prop::collection::vec(1usize..4, 1..4), layout in 0u8..5, dim in 0usize..3, seed in 0u64..1000) {
        let x = tensor_of(&shape, layout, seed);
        let d = (dim % shape.len()) as isize;
        for view in [x.transpose(0, d), x.flip(&[d]), x.unsqueeze(d), x.movedim(d, 0), x.slice(d, 0, 9, 2), x.unfold(d, 1, 2)] {
            prop_assert!(view.shares_storage_with(&x));
            prop_assert!(view.bit_eq(&view.contiguous()));
        }
        prop_assert!(x.reshape([-1]).bit_eq(&x.contiguous().reshape([-1])));
        prop_assert!(Tensor::cat(&x.split(1, d), d).bit_eq(&x));
        prop_assert!(Tensor::cat(&x.chunk(2, d), d).bit_eq(&x));
        prop_assert!(Tensor::stack(&x.unbind(d), d).bit_eq(&x));
        let twice = Tensor::cat(&[x.clone(), x.clone()], d);
        prop_assert!(twice.narrow(d, shape[d as usize], shape[d as usize]).bit_eq(&x));
    }
}

/// Sizes that need several blocks, segments and threads give what small ones give, with any number of threads.
#[test]
fn large_reductions_are_exact_and_do_not_depend_on_threads() {
    let x = Tensor::randn_with([300, 1000], DType::F32, &mut Generator::new(5));
    let wide = x.to_dtype(DType::F64);
    let check = |f: &dyn Fn(&Tensor) -> Tensor| {
        let results: Vec<Tensor> = [1, 2, 3]
            .map(|threads| {
                tensor::set_num_threads(threads);
                f(&x)
            })
            .into();
        tensor::set_num_threads(0);
        assert!(results[0].bit_eq(&results[1]) && results[0].bit_eq(&results[2]));
        let reference = f(&wide);
        assert!(results[0].to_dtype(DType::F64).allclose(&reference, 1e-5, 1e-3), "{} {reference}", results[0]);
    };
    check(&|x| x.sum());
    check(&|x| x.sum_dim(0, false));
    check(&|x| x.sum_dim(1, false));
    check(&|x| x.t().sum_dim(1, false));
    check(&|x| x.reshape([3, 100, 1000]).sum_dim([0, 2], false));
    check(&|x| x.reshape([3, 100, 1000]).sum_dim(1, true));
    check(&|x| x.reshape([100, 3, 1000]).flip(&[0]).sum_dim(0, true));
    // Rows that lie over one another, each one element before the last.
    check(&|x| x.reshape([-1]).narrow(0, 0, 20_000).unfold(0, 256, 1).flip(&[0]).sum_dim(0, false));
    // So many rows that more of them than of a few share a partial sum.
    check(&|x| x.narrow(0, 0, 1).expand([20_000, 1000]).sum_dim(0, false));
    check(&|x| x.amax(0, false));
    check(&|x| (x * 2.0 + x).exp());
    check(&|x| Tensor::cat(&[x.t(), x.t()], 0));
    let draws = [1, 3].map(|threads| {
        tensor::set_num_threads(threads);
        Tensor::randn_with([100_000], DType::F32, &mut Generator::new(9))
    });
    tensor::set_num_threads(0);
    assert!(draws[0].bit_eq(&draws[1]));
}

/// The error of an f32 sum stays within a millionth of the sum of absolute values.
#[test]
fn long_f32_sums_are_accurate() {
    let x = Tensor::uniform_with(-1.0, 1.0, [10_000_000], DType::F32, &mut Generator::new(8));
    let exact: f64 = x.as_slice::<f32>().unwrap().iter().map(|&v| v as f64).sum();
    let magnitude: f64 = x.abs().sum().item();
    assert!((x.sum().item::<f64>() - exact).abs() <= 1e-6 * magnitude);
}
