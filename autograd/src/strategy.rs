//! Strategies for property-based tests with `proptest`: shapes, layouts, tensors and leaves that break things when
//! something is wrong. Cargo feature `proptest`.
//!
//! The library's own operations are tested with these. A property-based gradient test of an operation or layer of one's
//! own takes five lines:
//!
//! ```
//! use autograd::strategy::{Domain, leaves, shapes};
//! use autograd::{Var, gradcheck};
//! use proptest::prelude::*;
//!
//! fn swish(x: &Var) -> Var {
//!     x * x.sigmoid()
//! }
//!
//! proptest!(ProptestConfig::with_cases(50), |(x in leaves(shapes(), Domain::Range(-2.0, 2.0)))| {
//!     gradcheck(|v| swish(&v[0]), &[x], Default::default()).unwrap();
//! });
//! ```
//!
//! When it fails, `proptest` shrinks the shape and the layout and shows the smallest case. `nn::strategy` does the same for
//! whole modules.

use proptest::prelude::*;
use tensor::Tensor;

use crate::var::Var;

/// Shapes of up to three dimensions of sizes 0 to 3: scalars, empty tensors and single elements included.
pub fn shapes() -> impl Strategy<Value = Vec<usize>> + Clone {
    prop::collection::vec(0usize..4, 0..4)
}

/// [`shapes`] without empty ones, for what needs an element, such as a mean or a maximum.
pub fn nonempty_shapes() -> impl Strategy<Value = Vec<usize>> + Clone {
    prop::collection::vec(1usize..4, 0..4)
}

/// Pairs of shapes that broadcast: either may have fewer dimensions, or size 1 where the other has more or nothing.
///
/// ```
/// use autograd::strategy::broadcasting_shapes;
/// use proptest::prelude::*;
/// proptest!(|((a, b) in broadcasting_shapes())| {
///     prop_assert!(tensor::broadcast_shapes("add", &a, &b).is_ok());
/// });
/// ```
pub fn broadcasting_shapes() -> impl Strategy<Value = (Vec<usize>, Vec<usize>)> + Clone {
    let pair = |(shape, seed): (Vec<usize>, u64)| {
        let mut stream = Stream::new(seed);
        let mut operand = || if stream.coin() { shape.clone() } else { stream.unbroadcast(&shape) };
        (operand(), operand())
    };
    (shapes(), any::<u64>()).prop_map(pair)
}

/// How a tensor lies in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// Row-major without gaps.
    Contiguous,
    /// Column-major.
    Transposed,
    /// A window in a larger tensor that is otherwise NaN, so that reading beside it shows.
    Sliced,
    /// Every second element of a tensor that is otherwise NaN.
    Strided,
    /// Backwards along every dimension.
    Flipped,
    /// One dimension repeats a single element.
    Expanded,
}

impl Layout {
    /// Every layout, the simplest first.
    pub const ALL: [Layout; 6] =
        [Layout::Contiguous, Layout::Transposed, Layout::Sliced, Layout::Strided, Layout::Flipped, Layout::Expanded];

    /// `t` laid out like this: with the same elements, except that `Expanded` repeats those at the start of the first
    /// dimension of more than one.
    ///
    /// ```
    /// use autograd::strategy::Layout;
    /// use tensor::Tensor;
    /// let t = Tensor::from([[1.0, 2.0], [3.0, 4.0]]);
    /// assert_eq!(Layout::Transposed.of(&t).strides(), [1, 2]);
    /// assert!(Layout::Sliced.of(&t).bit_eq(&t));
    /// assert!(Layout::Expanded.of(&t).bit_eq(&Tensor::from([[1.0, 2.0], [1.0, 2.0]])));
    /// ```
    pub fn of(self, t: &Tensor) -> Tensor {
        let all: Vec<isize> = (0..t.ndim() as isize).collect();
        let back: Vec<isize> = all.iter().rev().copied().collect();
        let strange = |shape: &[usize]| Tensor::full(shape, f64::NAN, t.dtype());
        match self {
            Layout::Contiguous => t.contiguous(),
            Layout::Transposed => t.permute(&back).contiguous().permute(&back),
            Layout::Sliced => all.iter().fold(t.contiguous(), |t, &dim| {
                let mut edge = t.dims().to_vec();
                edge[dim as usize] = 1;
                let n = t.dim(dim);
                Tensor::cat(&[strange(&edge), t, strange(&edge)], dim).narrow(dim, 1, n)
            }),
            Layout::Strided => Tensor::stack(&[t.clone(), strange(t.dims())], -1).select(-1, 0),
            Layout::Flipped => t.flip(&all).contiguous().flip(&all),
            Layout::Expanded => match t.dims().iter().position(|&n| n > 1) {
                Some(dim) => t.narrow(dim as isize, 0, 1).contiguous().expand(t.shape()),
                None => t.contiguous(),
            },
        }
    }
}

/// Every layout.
pub fn layouts() -> impl Strategy<Value = Layout> + Clone {
    prop::sample::select(&Layout::ALL[..])
}

/// The layouts whose elements have memory of their own, as [`gradcheck`](crate::gradcheck()) wants them.
pub fn dense_layouts() -> impl Strategy<Value = Layout> + Clone {
    prop::sample::select(&Layout::ALL[..5])
}

/// Where the elements of a tensor lie. Central differences need room around each, so keep away from kinks and ties.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Domain {
    /// Evenly in a range.
    Range(f64, f64),
    /// In -2.6 to 2.6, but not within 0.1 of these points: the kinks of a function.
    Away(&'static [f64]),
    /// In -2 to 2 and all different, for functions with kinks at ties, such as a maximum.
    Distinct,
}

impl Domain {
    /// `layout`, or another where that would make ties in a domain without.
    pub(crate) fn laid_out(self, layout: Layout) -> Layout {
        match (self, layout) {
            (Domain::Distinct, Layout::Expanded) => Layout::Flipped,
            (_, layout) => layout,
        }
    }
}

/// f64 tensors with the shapes given and elements of a domain, in every layout.
///
/// ```
/// use autograd::strategy::{Domain, shapes, tensors};
/// use proptest::prelude::*;
/// proptest!(|(x in tensors(shapes(), Domain::Away(&[0.0])))| {
///     prop_assert!(x.to_vec::<f64>().iter().all(|x| x.abs() > 0.1 && x.abs() < 2.6));
/// });
/// ```
pub fn tensors(shapes: impl Strategy<Value = Vec<usize>>, domain: Domain) -> impl Strategy<Value = Tensor> {
    laid_out(shapes, domain, layouts())
}

/// Leaves that require gradients: [`tensors`] in the [`dense_layouts`].
pub fn leaves(shapes: impl Strategy<Value = Vec<usize>>, domain: Domain) -> impl Strategy<Value = Var> {
    laid_out(shapes, domain, dense_layouts()).prop_map(leaf)
}

/// Two leaves with shapes that broadcast.
///
/// ```
/// use autograd::gradcheck;
/// use autograd::strategy::{Domain, leaf_pairs};
/// use proptest::prelude::*;
/// proptest!(ProptestConfig::with_cases(16), |((a, b) in leaf_pairs(Domain::Range(-2.0, 2.0), Domain::Away(&[0.0])))| {
///     gradcheck(|v| &v[0] / &v[1], &[a, b], Default::default()).unwrap();
/// });
/// ```
pub fn leaf_pairs(a: Domain, b: Domain) -> impl Strategy<Value = (Var, Var)> {
    (broadcasting_shapes(), dense_layouts(), dense_layouts(), any::<u64>()).prop_map(
        move |((shape_a, shape_b), layout_a, layout_b, seed)| {
            let values = elements(&[a, b], &[shape_a.clone(), shape_b.clone()], &mut Stream::new(seed));
            let [x, y] = [(&values[0], shape_a), (&values[1], shape_b)].map(|(x, s)| Tensor::from_vec(x.clone(), s));
            (leaf(layout_a.of(&x)), leaf(layout_b.of(&y)))
        },
    )
}

fn laid_out(
    shapes: impl Strategy<Value = Vec<usize>>,
    domain: Domain,
    layouts: impl Strategy<Value = Layout>,
) -> impl Strategy<Value = Tensor> {
    (shapes, layouts, any::<u64>()).prop_map(move |(shape, layout, seed)| {
        let values = elements(&[domain], std::slice::from_ref(&shape), &mut Stream::new(seed)).remove(0);
        domain.laid_out(layout).of(&Tensor::from_vec(values, shape))
    })
}

fn leaf(t: Tensor) -> Var {
    Var::new(t).requires_grad_(true)
}

/// The elements of several tensors, drawn from their domains; those that are to be distinct are so across all tensors.
pub(crate) fn elements(domains: &[Domain], shapes: &[Vec<usize>], stream: &mut Stream) -> Vec<Vec<f64>> {
    let numel = |shape: &Vec<usize>| shape.iter().product::<usize>();
    let distinct = domains.iter().zip(shapes).filter(|(domain, _)| **domain == Domain::Distinct);
    let total: usize = distinct.map(|(_, shape)| numel(shape)).sum();
    let mut grid: Vec<usize> = (0..total).collect();
    stream.shuffle(&mut grid);
    let mut grid = grid.into_iter();
    let mut element = |domain: Domain| match domain {
        Domain::Range(low, high) => low + (high - low) * stream.unit(),
        Domain::Away(points) => (0..1000)
            .map(|_| -2.6 + 5.2 * stream.unit())
            .find(|x| points.iter().all(|p| (x - p).abs() > 0.1))
            .expect("Domain::Away: the points leave no room between them"),
        Domain::Distinct => {
            -2.0 + 4.0 * (grid.next().expect("one per element") as f64 + 0.2 + 0.6 * stream.unit()) / total as f64
        }
    };
    domains.iter().zip(shapes).map(|(&domain, shape)| (0..numel(shape)).map(|_| element(domain)).collect()).collect()
}

/// A stream of numbers that a seed fixes.
pub(crate) struct Stream(u64);

impl Stream {
    pub fn new(seed: u64) -> Stream {
        Stream(seed)
    }

    fn next(&mut self) -> u64 {
        // SplitMix64 (Steele, Lea and Flood, 2014).
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Evenly in 0 to 1.
    pub fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// 0 to `n - 1`; 0 for `n = 0`.
    pub fn below(&mut self, n: usize) -> usize {
        (self.unit() * n as f64) as usize
    }

    pub fn coin(&mut self) -> bool {
        self.below(2) == 1
    }

    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            items.swap(i, self.below(i + 1));
        }
    }

    /// A shape that broadcasts to `shape`.
    pub fn unbroadcast(&mut self, shape: &[usize]) -> Vec<usize> {
        let tail = &shape[self.below(shape.len() + 1)..];
        tail.iter().map(|&n| if self.coin() { 1 } else { n }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tensor::broadcast_shapes;

    use crate::gradcheck;

    #[test]
    fn layouts_hold_the_same_elements() {
        let t = Tensor::arange(0.0, 24.0, 1.0, tensor::DType::F64).reshape([2, 3, 4]);
        for layout in Layout::ALL {
            let laid = layout.of(&t);
            assert_eq!(laid.is_contiguous(), layout == Layout::Contiguous, "{layout:?}");
            assert_eq!(laid.bit_eq(&t), layout != Layout::Expanded, "{layout:?}");
        }
        assert!(Layout::Flipped.of(&t).strides().iter().all(|&s| s < 0));
        assert_eq!(Layout::Expanded.of(&t).strides()[0], 0);
    }

    #[test]
    #[should_panic(expected = "Domain::Away: the points leave no room between them")]
    fn a_domain_needs_room() {
        const EVERYWHERE: [f64; 53] = {
            let mut points = [0.0; 53];
            let mut i = 0;
            while i < 53 {
                points[i] = -2.6 + 0.1 * i as f64;
                i += 1;
            }
            points
        };
        elements(&[Domain::Away(&EVERYWHERE)], &[vec![1]], &mut Stream::new(0));
    }

    /// What a strategy gives in some runs.
    fn seen<T: std::fmt::Debug>(strategy: impl Strategy<Value = T>, what: impl Fn(&T) -> bool) -> usize {
        use proptest::test_runner::TestRunner;
        let mut runner = TestRunner::deterministic();
        (0..500).filter(|_| what(&strategy.new_tree(&mut runner).expect("a value").current())).count()
    }

    use proptest::strategy::ValueTree;

    #[test]
    fn the_corners_come_up() {
        assert!(seen(shapes(), Vec::is_empty) > 20);
        assert!(seen(shapes(), |s| s.contains(&0)) > 50 && seen(shapes(), |s| s.contains(&1)) > 50);
        assert_eq!(seen(nonempty_shapes(), |s| s.contains(&0)), 0);
        assert!(seen(broadcasting_shapes(), |(a, b)| a.len() != b.len()) > 50);
        assert!(seen(broadcasting_shapes(), |(a, b)| a == b) > 50);
        for layout in Layout::ALL {
            assert!(seen(layouts(), |l| *l == layout) > 20, "{layout:?}");
        }
        assert_eq!(seen(dense_layouts(), |l| *l == Layout::Expanded), 0);
        let (tensors, leaves) = (tensors(shapes(), Domain::Distinct), leaves(shapes(), Domain::Distinct));
        let ties = |t: &Tensor| {
            let mut values = t.to_vec::<f64>();
            values.sort_by(f64::total_cmp);
            values.windows(2).any(|pair| pair[0] == pair[1])
        };
        assert_eq!(seen(tensors, ties), 0);
        assert!(seen(leaves, |x| !x.value().is_contiguous() && x.requires_grad()) > 100);
    }

    #[test]
    fn a_wrong_gradient_shrinks_to_a_small_case() {
        use proptest::test_runner::{Config, TestError, TestRunner};
        let wrong = |v: &[Var]| Var::record_unary("wrong", v[0].value().exp(), &v[0], |dy| dy * 1.0);
        let mut runner = TestRunner::new_with_rng(
            Config { failure_persistence: None, ..Config::default() },
            TestRunner::deterministic().rng().clone(),
        );
        let found = runner.run(&leaves(shapes(), Domain::Range(0.5, 2.0)), |x| {
            gradcheck(wrong, &[x], Default::default()).map_err(|e| TestCaseError::fail(e.to_string()))
        });
        let Err(TestError::Fail(reason, smallest)) = found else { panic!("{found:?}") };
        assert!(smallest.numel() == 1 && smallest.value().is_contiguous(), "{smallest}");
        assert!(reason.message().contains("output 0 at"), "{reason}");
    }

    proptest! {
        #[test]
        fn pairs_broadcast((a, b) in leaf_pairs(Domain::Range(-1.0, 1.0), Domain::Away(&[0.0]))) {
            let shape = broadcast_shapes("add", &a.shape(), &b.shape()).unwrap();
            prop_assert_eq!((&a + &b).shape(), shape);
            prop_assert!(b.to_vec::<f64>().iter().all(|x| x.abs() > 0.1));
        }
    }
}
