//! Repeating, shifting and padding.

use tensor::{Padding, Repeats, Shape};

use crate::var::Var;

impl Var {
    /// Copies side by side: `counts[i]` of them along dimension `i`, new dimensions in front.
    ///
    /// # Gradient
    /// `dy` summed over the copies.
    #[track_caller]
    pub fn repeat(&self, counts: impl Into<Shape>) -> Var {
        let (counts, shape) = (counts.into(), self.shape());
        Var::record_unary("repeat", self.tensor().repeat(&counts), self, move |dy| {
            // Each dimension is a pair: the copies, then the elements.
            let lead = counts.len() - shape.len();
            let size = |d: usize| if d < lead { 1 } else { shape[d - lead] };
            let pairs: Vec<usize> = (0..counts.len()).flat_map(|d| [counts[d], size(d)]).collect();
            let copies: Vec<isize> = (0..counts.len() as isize).map(|d| 2 * d).collect();
            if copies.is_empty() { dy.clone() } else { dy.reshape(pairs).sum_dim(copies, false).reshape(&shape) }
        })
    }

    /// [`Var::repeat`] in which missing counts in front are 1.
    ///
    /// # Gradient
    /// As [`Var::repeat`].
    #[track_caller]
    pub fn tile(&self, counts: impl Into<Shape>) -> Var {
        let counts = counts.into();
        let missing = self.ndim().saturating_sub(counts.len());
        self.repeat(std::iter::repeat_n(1, missing).chain(counts.iter().copied()).collect::<Shape>())
    }

    /// Each slice along `dim` repeated; without `dim`, each element.
    ///
    /// # Gradient
    /// `dy` summed over the repetitions.
    #[track_caller]
    pub fn repeat_interleave(&self, repeats: impl Into<Repeats>, dim: impl Into<Option<isize>>) -> Var {
        let repeats = repeats.into();
        match dim.into() {
            Some(dim) => self.index_select(dim, &repeats.positions(self.dim(dim))),
            None => self.ravel().index_select(0, &repeats.positions(self.numel())),
        }
    }

    /// The elements carried on by `shifts[i]` places along `dims[i]`, round the end; without `dims`, along all elements.
    ///
    /// # Gradient
    /// `dy` carried back.
    #[track_caller]
    pub fn roll(&self, shifts: &[isize], dims: &[isize]) -> Var {
        let back: Vec<isize> = shifts.iter().map(|shift| shift.saturating_neg()).collect();
        let dims = dims.to_vec();
        Var::record_unary("roll", self.tensor().roll(shifts, &dims), self, move |dy| dy.roll(&back, &dims))
    }

    /// Elements added before and after the last dimensions, or cut away where `pad` is negative.
    ///
    /// # Gradient
    /// Of a constant: the part of `dy` where `x` is. Else: `dy` added up where its elements came from.
    ///
    /// ```
    /// use autograd::Var;
    /// use tensor::{Padding, Tensor};
    /// let x = Var::new(Tensor::from([1.0, 2.0, 3.0])).requires_grad_(true);
    /// x.pad(&[2, 0], Padding::Reflect).sum().backward();
    /// assert_eq!(x.grad().unwrap().to_vec::<f64>(), [1.0, 2.0, 2.0]);
    /// ```
    #[track_caller]
    pub fn pad(&self, pad: &[isize], mode: Padding) -> Var {
        if let Padding::Constant(_) = mode {
            let back: Vec<isize> = pad.iter().map(|n| -n).collect();
            let value = self.tensor().pad(pad, mode);
            return Var::record_unary("pad", value, self, move |dy| dy.pad(&back, Padding::Constant(0.0)));
        }
        let positions = self.tensor().pad_positions(pad, mode);
        positions.iter().fold(self.clone(), |x, (dim, positions)| x.index_select(*dim, positions))
    }
}

#[cfg(test)]
pub(crate) fn table() -> Vec<crate::testing::Sample> {
    use crate::testing::*;
    fn counts(p: &mut Pick, n: usize) -> Vec<usize> {
        (0..n).map(|_| p.below(3)).collect()
    }
    vec![
        sample("repeat", &[REAL], same, |v, p| {
            let n = v[0].ndim() + p.below(2);
            v[0].repeat(counts(p, n)).into()
        }),
        sample("tile", &[REAL], same, |v, p| {
            let n = p.below(3);
            v[0].tile(counts(p, n)).into()
        }),
        sample("repeat_interleave", &[REAL], at_least_1d, |v, p| {
            let dim = p.dim(v[0].ndim());
            v[0].repeat_interleave(&p.ids(&[v[0].dim(dim)], 3), dim).into()
        }),
        sample("repeat_interleave", &[REAL], same, |v, p| v[0].repeat_interleave(p.below(3), None).into()),
        sample("roll", &[REAL], at_least_1d, |v, p| {
            let shifts = [p.below(9) as isize - 4, p.below(9) as isize - 4];
            v[0].roll(&shifts, &[p.dim(v[0].ndim()), p.dim(v[0].ndim())]).into()
        }),
        sample("roll", &[REAL], same, |v, p| v[0].roll(&[p.below(9) as isize - 4], &[]).into()),
        sample("pad", &[REAL], rows, |v, p| {
            let pad: Vec<isize> = (0..2 * (1 + p.below(v[0].ndim()))).map(|_| p.below(4) as isize - 1).collect();
            // A dimension of one element can lose one only.
            let pad: Vec<isize> = pad.chunks(2).flat_map(|pad| [pad[0], pad[1].max(0)]).collect();
            v[0].pad(&pad, Padding::Constant(1.5)).into()
        }),
        sample("pad", &[REAL], several, |v, p| {
            v[0].pad(&[p.below(3) as isize - 1, p.below(2) as isize], Padding::Reflect).into()
        }),
        sample("pad", &[REAL], several, |v, p| {
            v[0].pad(&[p.below(5) as isize - 1, p.below(5) as isize], Padding::Replicate).into()
        }),
        sample("pad", &[REAL], several, |v, p| {
            v[0].pad(&[p.below(3) as isize - 1, p.below(2) as isize], Padding::Circular).into()
        }),
    ]
}

#[cfg(test)]
pub(crate) fn torch() -> Vec<crate::testing::conformance::Torch> {
    use crate::testing::conformance::*;
    fn counts(a: &Args, name: &str) -> Result<Vec<usize>, Skip> {
        let counts: Option<Vec<usize>> = a.rest(1, name)?.into_iter().map(|n| n.try_into().ok()).collect();
        counts.map_or_else(|| skip("negative counts, which `usize` excludes"), Ok)
    }
    fn padded(a: &Args) -> Outcome {
        let mode = match &*a.text(2, "mode", "constant")? {
            "reflect" => Padding::Reflect,
            "replicate" => Padding::Replicate,
            "circular" => Padding::Circular,
            _ => Padding::Constant(a.number_or(3, "value", 0.0)?),
        };
        done(a.var(0, "input")?.pad(&a.ints(1, "pad")?, mode))
    }
    vec![
        torch("repeat", &["repeat"], |a| done(a.var(0, "input")?.repeat(counts(a, "repeats")?))),
        torch("tile", &["tile"], |a| done(a.var(0, "input")?.tile(counts(a, "dims")?))),
        torch("repeat_interleave", &["repeat_interleave"], |a| {
            let (x, dim) = (a.var(0, "input")?, a.opt_int(2, "dim")?);
            // The size of the result follows from the counts.
            a.opt_int(3, "output_size")?;
            done(match a.is_tensor(1, "repeats") {
                true => x.repeat_interleave(&a.tensor(1, "repeats")?, dim),
                false => x.repeat_interleave(a.size(1, "repeats")?, dim),
            })
        }),
        torch("roll", &["roll"], |a| done(a.var(0, "input")?.roll(&a.ints(1, "shifts")?, &a.dims(2, "dims")?))),
        torch("nn.functional.pad:constant", &["pad"], padded),
        torch("nn.functional.pad:reflect", &["pad"], padded),
        torch("nn.functional.pad:replicate", &["pad"], padded),
        torch("nn.functional.pad:replicate_negative", &["pad"], padded),
        torch("nn.functional.pad:circular", &["pad"], padded),
    ]
}
