//! Decompositions and solvers: what they give multiplies back to the matrix, for every size, shape of batch and dtype; and
//! matrices that are hard.
#![cfg(feature = "linalg")]

use tensor::{DType, Generator, QrMode, Tensor, Triangle, Triangular};

const DTYPES: [(DType, f64); 2] = [(DType::F64, 1e-13), (DType::F32, 5e-5)];

/// Shapes of square matrices and of batches of them, across the sizes of blocks.
const SQUARES: [&[usize]; 10] =
    [&[0, 0], &[1, 1], &[2, 2], &[5, 5], &[33, 33], &[70, 70], &[200, 200], &[0, 3, 3], &[2, 0, 0], &[2, 3, 4, 4]];
const OBLONGS: [&[usize]; 9] =
    [&[3, 0], &[0, 3], &[5, 2], &[2, 5], &[200, 70], &[70, 200], &[2, 0, 4], &[0, 4, 2], &[3, 1, 6, 4]];

fn random(shape: &[usize], dtype: DType) -> Tensor {
    Tensor::randn_with(shape, DType::F64, &mut Generator::new(7)).to_dtype(dtype)
}

fn mt(x: &Tensor) -> Tensor {
    x.transpose(-1, -2)
}

fn eye_like(x: &Tensor) -> Tensor {
    Tensor::eye(x.dim(-1), x.dtype()).expand(x.shape())
}

/// The elements of `x` lie within `tolerance` of those of `y`, in units of the greatest of `y` (at least 1) times the size.
#[track_caller]
fn close(what: &str, x: &Tensor, y: &Tensor, tolerance: f64) {
    assert_eq!((x.shape(), x.dtype()), (y.shape(), y.dtype()), "{what}");
    if x.numel() == 0 {
        return;
    }
    let scale = y.abs().max().item::<f64>().max(1.0) * x.dims().last().copied().unwrap_or(1) as f64;
    let error = (x - y).abs().max().item::<f64>();
    assert!(error <= tolerance * scale, "{what} {:?} {}: off by {error:e}", x.shape(), x.dtype());
}

#[test]
fn cholesky_factors_multiply_back() {
    for (shape, (dtype, tolerance)) in SQUARES.iter().flat_map(|&s| DTYPES.map(|d| (s, d))) {
        let x = random(shape, dtype);
        let a = x.matmul(&mt(&x)) + eye_like(&x);
        // The other triangle is not read.
        let l = a.tril(0).cholesky(false);
        close("lower", &l.matmul(&mt(&l)), &a, tolerance);
        assert!(l.bit_eq(&l.tril(0)));
        let u = a.triu(0).cholesky(true);
        close("upper", &mt(&u).matmul(&u), &a, tolerance);
        let b = random(shape, dtype);
        close("solution", &a.matmul(&b.cholesky_solve(&l, false)), &b, tolerance * 100.0);
        close("upper solution", &b.cholesky_solve(&u, true), &b.cholesky_solve(&l, false), tolerance * 10.0);
    }
}

#[test]
fn solutions_solve() {
    for (shape, (dtype, tolerance)) in SQUARES.iter().flat_map(|&s| DTYPES.map(|d| (s, d))) {
        // Far from singular.
        let a = random(shape, dtype) + eye_like(&random(shape, dtype)) * (2.0 * (shape[shape.len() - 1] as f64).sqrt());
        let b = random(&[&shape[..shape.len() - 1], &[3]].concat(), dtype);
        close("left", &a.matmul(&a.solve(&b, true)), &b, tolerance * 10.0);
        close("right", &a.solve(&mt(&b), false).matmul(&a), &mt(&b), tolerance * 10.0);
        close("inverse", &a.matmul(&a.inv()), &eye_like(&a), tolerance * 10.0);
        let (sign, log) = a.slogdet();
        if shape[shape.len() - 1] <= 5 {
            close("determinant", &(sign * log.exp()), &a.det(), tolerance * 100.0);
        }
        for how in [false, true].map(|upper| Triangular { upper, ..Triangular::default() }) {
            let triangle = if how.upper { a.triu(0) } else { a.tril(0) };
            close("triangular", &triangle.matmul(&a.solve_triangular(&b, how)), &b, tolerance * 10.0);
            let how = Triangular { unitriangular: true, left: false, ..how };
            let small = &a * 0.05;
            let strict = if how.upper { small.triu(1) } else { small.tril(-1) } + eye_like(&a);
            let x = small.solve_triangular(&mt(&b), how);
            close("unitriangular", &x.matmul(&strict), &mt(&b), tolerance * 1e3);
        }
    }
}

#[test]
fn right_hand_sides_follow_the_rules_for_vectors_and_batches() {
    let (one, two) = (random(&[3, 3], DType::F64), random(&[2, 3, 3], DType::F64));
    let shape = |a: &Tensor, b: &[usize]| a.solve(&random(b, DType::F64), true).shape().to_vec();
    assert_eq!(shape(&one, &[3]), [3]);
    assert_eq!(shape(&one, &[3, 2]), [3, 2]);
    assert_eq!(shape(&two, &[3]), [2, 3]);
    assert_eq!(shape(&two, &[2, 3]), [2, 3]);
    assert_eq!(shape(&two, &[3, 3]), [2, 3, 3]);
    assert_eq!(shape(&two, &[5, 1, 3, 4]), [5, 2, 3, 4]);
    assert_eq!(shape(&random(&[1, 1, 1], DType::F64), &[1]), [1, 1]);
    // One factorisation for many.
    let b = random(&[4, 2, 3, 2], DType::F64);
    close("folded", &one.matmul(&one.solve(&b, true)), &b, 1e-12);
}

#[test]
fn qr_factors_multiply_back() {
    for (shape, (dtype, tolerance)) in SQUARES.iter().chain(&OBLONGS).flat_map(|&s| DTYPES.map(|d| (s, d))) {
        let a = random(shape, dtype);
        for mode in [QrMode::Reduced, QrMode::Complete] {
            let (q, r) = a.qr(mode);
            close("product", &q.matmul(&r), &a, tolerance);
            close(
                "orthonormal",
                &mt(&q).matmul(&q),
                &Tensor::eye(q.dim(-1), dtype).expand(mt(&q).matmul(&q).shape()),
                tolerance,
            );
            assert!(r.bit_eq(&r.triu(0)), "R has a triangle");
        }
        let (q, r) = a.qr(QrMode::R);
        assert_eq!(q.dims(), [0]);
        assert!(r.bit_eq(&a.qr(QrMode::Reduced).1));
    }
}

#[test]
fn singular_vectors_multiply_back() {
    for (shape, (dtype, tolerance)) in SQUARES.iter().chain(&OBLONGS).flat_map(|&s| DTYPES.map(|d| (s, d))) {
        let a = random(shape, dtype);
        let (u, s, vh) = a.svd(false);
        close("product", &(&u * s.unsqueeze(-2)).matmul(&vh), &a, tolerance);
        close("values", &a.svdvals(), &s, tolerance * 10.0);
        let (u, full, vh) = a.svd(true);
        close("full values", &full, &s, tolerance * 10.0);
        for x in [u, mt(&vh)] {
            let (square, eye) = (mt(&x).matmul(&x), eye_like(&x));
            close("orthonormal", &square, &eye, tolerance);
        }
        let k = s.dim(-1);
        assert!(k == 0 || s.narrow(-1, 0, k - 1).ge(&s.narrow(-1, 1, k - 1)).all().item::<bool>(), "descending");
    }
}

#[test]
fn eigenvectors_multiply_back() {
    for (shape, (dtype, tolerance)) in SQUARES.iter().flat_map(|&s| DTYPES.map(|d| (s, d))) {
        let x = random(shape, dtype);
        let a = &x + mt(&x);
        for (triangle, half) in [(Triangle::Lower, a.tril(0)), (Triangle::Upper, a.triu(0))] {
            let (w, v) = half.eigh(triangle);
            close("product", &(&v * w.unsqueeze(-2)).matmul(&mt(&v)), &a, tolerance);
            close("orthonormal", &mt(&v).matmul(&v), &eye_like(&v), tolerance);
            close("values", &half.eigvalsh(triangle), &w, tolerance * 10.0);
            let n = w.dim(-1);
            assert!(n == 0 || w.narrow(-1, 0, n - 1).le(&w.narrow(-1, 1, n - 1)).all().item::<bool>(), "ascending");
        }
    }
}

/// `1 / (i + j + 1)`: nearly singular already for a few rows.
fn hilbert(n: usize) -> Tensor {
    Tensor::from_vec((0..n * n).map(|at| 1.0 / (at / n + at % n + 1) as f64).collect(), [n, n])
}

#[test]
fn a_hilbert_matrix() {
    let h = hilbert(6);
    let relative = |x: f64, y: f64| (x / y - 1.0).abs();
    // 1 / 186313420339200000, and corners of the inverse, which is whole.
    assert!(relative(h.det().item(), 1.0 / 186313420339200000.0) < 1e-8);
    let inverse = h.inv();
    assert!(relative(inverse.get(&[0, 0]), 36.0) < 1e-8 && relative(inverse.get(&[5, 5]), 698544.0) < 1e-8);
    assert!(relative(inverse.get(&[3, 4]), -3969000.0) < 1e-8);
    let ones = h.solve(&h.sum_dim(-1, false), true);
    assert!(ones.allclose(&Tensor::ones([6], DType::F64), 1e-9, 1e-9), "{ones}");
    let s = h.svdvals();
    assert!(relative(s.get::<f64>(&[0]) / s.get::<f64>(&[5]), 1.495105864e7) < 1e-6);
    assert_eq!(h.cholesky_ex(false).1.item::<i64>(), 0);
    // In f32 the 13th order is beyond the precision.
    assert_ne!(hilbert(13).to_dtype(DType::F32).cholesky_ex(false).1.item::<i64>(), 0);
}

#[test]
fn matrices_without_full_rank() {
    let (x, y) = (random(&[40, 3], DType::F64), random(&[3, 50], DType::F64));
    let repeated = Tensor::from([[1.0, 1.0, 2.0], [1.0, 1.0, 2.0], [1.0, 1.0, 5.0]]);
    for a in [x.matmul(&y), Tensor::zeros([4, 4], DType::F64), Tensor::ones([5, 5], DType::F64), repeated.clone()] {
        let (q, r) = a.qr(QrMode::Complete);
        close("qr", &q.matmul(&r), &a, 1e-13);
        close("qr", &mt(&q).matmul(&q), &eye_like(&q), 1e-13);
        let (u, s, vh) = a.svd(false);
        close("svd", &(&u * s.unsqueeze(-2)).matmul(&vh), &a, 1e-13);
        close("svd", &mt(&u).matmul(&u), &Tensor::eye(u.dim(-1), DType::F64), 1e-13);
        let p = a.pinv(None);
        for (left, right) in [(a.matmul(&p).matmul(&a), &a), (p.matmul(&a).matmul(&p), &p)] {
            close("penrose", &left, right, 1e-12);
        }
        close("penrose", &mt(&a.matmul(&p)), &a.matmul(&p), 1e-12);
        close("penrose", &mt(&p.matmul(&a)), &p.matmul(&a), 1e-12);
    }
    let (s, d) = (repeated.svdvals(), repeated.det());
    assert!(s.get::<f64>(&[2]) < 1e-15 && d.item::<f64>() == 0.0, "{s} {d}");
    let (sign, log) = repeated.slogdet();
    assert_eq!((sign.item::<f64>(), log.item::<f64>()), (0.0, f64::NEG_INFINITY));
    let batch = Tensor::stack(&[Tensor::eye(3, DType::F64), repeated.clone()], 0);
    assert_eq!(batch.inv_ex().1.to_vec::<i64>(), [0, 2]);
    assert_eq!((-batch).cholesky_ex(false).1.to_vec::<i64>(), [1, 1]);
    assert_eq!(repeated.pinv(Some(0.9)).svdvals().gt_scalar(1e-9).to_dtype(DType::I64).sum().item::<i64>(), 1);
}

#[test]
fn closed_forms() {
    let t = |values: [[f64; 2]; 2]| Tensor::from(values);
    let a = t([[2.0, 1.0], [1.0, 2.0]]);
    assert!(a.eigvalsh(Triangle::Lower).allclose(&Tensor::from([1.0, 3.0]), 1e-14, 0.0));
    assert!(a.svdvals().allclose(&Tensor::from([3.0, 1.0]), 1e-14, 0.0));
    assert!((a.logdet().item::<f64>() - 3f64.ln()).abs() < 1e-14);
    assert!(a.neg().narrow(0, 0, 1).narrow(1, 0, 1).logdet().item::<f64>().is_nan());
    assert!(a.matrix_power(-2).allclose(&t([[5.0, -4.0], [-4.0, 5.0]]).div_scalar(9.0), 1e-13, 1e-13));
    assert!(a.matrix_power(3).allclose(&t([[14.0, 13.0], [13.0, 14.0]]), 1e-14, 0.0));
    assert!(a.matrix_power(0).bit_eq(&Tensor::eye(2, DType::F64)));
    // One swap: odd.
    assert_eq!(t([[0.0, 1.0], [1.0, 0.0]]).det().item::<f64>(), -1.0);
    assert_eq!(Tensor::eye(3, DType::F64).roll_rows().det().item::<f64>(), 1.0);
    assert_eq!(Tensor::zeros([2, 0, 0], DType::F64).det().to_vec::<f64>(), [1.0, 1.0]);
    // Householder's signs, LAPACK's: the last reflection of a square matrix is none.
    let (q, r) = t([[3.0, 0.0], [4.0, 5.0]]).qr(QrMode::Reduced);
    assert!(r.allclose(&t([[-5.0, -4.0], [0.0, 3.0]]), 1e-14, 1e-14) && q.get::<f64>(&[0, 0]) < 0.0, "{r}");
    // A zero on a diagonal.
    let x =
        Tensor::zeros([2, 2], DType::F64).solve_triangular(&Tensor::ones([2, 1], DType::F64), Triangular::default());
    assert!(!x.isfinite().any().item::<bool>(), "{x}");
}

/// Test matrices whose rows go round.
trait Roll {
    fn roll_rows(&self) -> Tensor;
}
impl Roll for Tensor {
    fn roll_rows(&self) -> Tensor {
        let n = self.dim(0);
        Tensor::cat(&[self.narrow(0, 1, n - 1), self.narrow(0, 0, 1)], 0)
    }
}

#[test]
fn numbers_near_the_limits_and_none_at_all() {
    let a = Tensor::from([[4.0, 2.0, 1.0], [2.0, 1.0, 3.0], [1.0, 3.0, 5.0]]);
    let (s, w) = (a.svdvals(), a.eigvalsh(Triangle::Lower));
    for scale in [1e-300, 1e-200, 1e200, 1e300] {
        let scaled = &a * scale;
        assert!((scaled.svdvals() / scale).allclose(&s, 1e-12, 0.0), "{scale:e}");
        assert!((scaled.eigvalsh(Triangle::Upper) / scale).allclose(&w, 1e-12, 0.0), "{scale:e}");
        let (u, s, vh) = scaled.svd(true);
        assert!(((u * s.unsqueeze(-2)).matmul(&vh) / scale).allclose(&a, 1e-12, 1e-12));
    }
    for scale in [1e-37, 1e37] {
        let scaled = a.to_dtype(DType::F32) * scale;
        assert!((scaled.svdvals() / scale).allclose(&s.to_dtype(DType::F32), 1e-5, 0.0), "{scale:e}");
    }
    let nan = Tensor::from([[1.0, f64::NAN], [0.0, 1.0]]);
    assert!(nan.det().isnan().item::<bool>() && nan.inv().isnan().any().item::<bool>());
    assert!(nan.eigvalsh(Triangle::Upper).isnan().all().item::<bool>());
    assert_eq!(nan.eigvalsh(Triangle::Lower).to_vec::<f64>(), [1.0, 1.0]);
    assert_eq!(nan.tril(0).cholesky_ex(true).1.item::<i64>(), 0);
    assert_eq!(mt(&nan).cholesky_ex(false).1.item::<i64>(), 2);
}

#[test]
fn the_bits_do_not_depend_on_the_number_of_threads() {
    let (a, b) = (random(&[40, 12, 12], DType::F32), random(&[1, 150, 150], DType::F64));
    let run = |threads: usize| {
        tensor::set_num_threads(threads);
        let (u, s, vh) = a.svd(false);
        let (q, r) = b.qr(QrMode::Reduced);
        let (w, v) = a.eigh(Triangle::Lower);
        let results = vec![u, s, vh, q, r, w, v, a.inv(), b.inv(), a.det(), b.slogdet().1, b.svdvals()];
        tensor::set_num_threads(0);
        results
    };
    for (one, four) in run(1).iter().zip(&run(4)) {
        assert!(one.bit_eq(four));
    }
}
