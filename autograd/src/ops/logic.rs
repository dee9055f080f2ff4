//! Logic, bits and closeness: questions whose answers have no gradient.

use tensor::Tensor;

use crate::var::Var;

/// Methods of two operands that answer in a tensor.
macro_rules! operations {
    ($($method:ident, $doc:literal;)*) => {
        impl Var {
            $(
                #[doc = concat!($doc, " No gradient flows through it.")]
                #[track_caller]
                pub fn $method(&self, other: &Var) -> Tensor {
                    self.tensor().$method(&other.tensor())
                }
            )*
        }
    };
}

operations! {
    logical_and, "Where both `a` and `b` differ from zero, broadcast: a mask.";
    logical_or, "Where at least one of `a` and `b` differs from zero, broadcast: a mask.";
    logical_xor, "Where exactly one of `a` and `b` differs from zero, broadcast: a mask.";
    bitwise_and, "The bits that both integers have, broadcast.";
    bitwise_or, "The bits that at least one of the integers has, broadcast.";
    bitwise_xor, "The bits that exactly one of the integers has, broadcast.";
}

impl Var {
    /// Where `x` is zero: a mask, through which no gradient flows.
    #[track_caller]
    pub fn logical_not(&self) -> Tensor {
        self.tensor().logical_not()
    }

    /// All bits of integers turned over; for bools the negation. No gradient flows through it.
    #[track_caller]
    pub fn bitwise_not(&self) -> Tensor {
        self.tensor().bitwise_not()
    }

    /// Where `|a - b| <= atol + rtol |b|`, broadcast: a mask, through which no gradient flows.
    #[track_caller]
    pub fn isclose(&self, other: &Var, rtol: f64, atol: f64, equal_nan: bool) -> Tensor {
        self.tensor().isclose(&other.tensor(), rtol, atol, equal_nan)
    }

    /// Whether `|a - b| <= atol + rtol |b|` everywhere. NaN agrees with nothing.
    #[track_caller]
    pub fn allclose(&self, other: &Var, rtol: f64, atol: f64) -> bool {
        self.tensor().allclose(&other.tensor(), rtol, atol)
    }

    /// Whether both values have one shape and equal elements.
    pub fn equal(&self, other: &Var) -> bool {
        self.tensor().equal(&other.tensor())
    }
}

#[cfg(test)]
pub(crate) fn table() -> Vec<crate::testing::Sample> {
    use tensor::DType;

    use crate::testing::*;
    fn bits(v: &Var) -> Var {
        match v.dtype().is_floating_point() {
            true => Var::new((v.value() * 10.0).to_dtype(DType::I64)),
            false => v.clone(),
        }
    }
    let mut table = vec![
        sample("logical_not", &[REAL], same, |v, _| mask(v[0].floor().logical_not())),
        sample("bitwise_not", &[REAL], same, |v, _| mask(bits(&v[0]).bitwise_not())),
        sample("isclose", &[DISTINCT, DISTINCT], broadcast, |v, _| mask(v[0].isclose(&v[1], 0.0, 0.0, true))),
        sample("allclose", &[DISTINCT, DISTINCT], broadcast, |v, _| {
            mask(Tensor::scalar(v[0].allclose(&v[1], 0.0, 0.0)))
        }),
        sample("equal", &[REAL], same, |v, _| mask(Tensor::scalar(v[0].equal(&v[0].flip(&[]))))),
    ];
    macro_rules! pairs {
        ($of:expr; $($method:ident)*) => {$(
            let asked = |v: &[Var], _: &mut Pick| mask($of(&v[0]).$method(&$of(&v[1])));
            table.push(sample(stringify!($method), &[NONZERO, NONZERO], broadcast, asked));
        )*};
    }
    pairs! { Var::floor; logical_and logical_or logical_xor }
    pairs! { bits; bitwise_and bitwise_or bitwise_xor }
    table
}

#[cfg(test)]
pub(crate) fn torch() -> Vec<crate::testing::conformance::Torch> {
    use crate::testing::conformance::*;
    fn close(a: &Args) -> Result<(Var, Var, f64, f64, bool), Skip> {
        let (x, y) = (a.var(0, "input")?, a.var(1, "other")?);
        let (rtol, atol) = (a.number_or(2, "rtol", 1e-5)?, a.number_or(3, "atol", 1e-8)?);
        Ok((x, y, rtol, atol, a.flag(4, "equal_nan", false)?))
    }
    macro_rules! alike {
        ($($name:ident)*) => {
            vec![$(torch(stringify!($name), &[stringify!($name)], |a| {
                done(a.var(0, "input")?.$name(&a.var(1, "other")?))
            })),*]
        };
    }
    let mut all = alike! { logical_and logical_or logical_xor bitwise_and bitwise_or bitwise_xor };
    all.push(torch("logical_not", &["logical_not"], |a| done(a.var(0, "input")?.logical_not())));
    all.push(torch("bitwise_not", &["bitwise_not"], |a| done(a.var(0, "input")?.bitwise_not())));
    all.push(torch("isclose", &["isclose"], |a| {
        let (x, y, rtol, atol, equal_nan) = close(a)?;
        done(x.isclose(&y, rtol, atol, equal_nan))
    }));
    all.push(torch("allclose", &["allclose"], |a| {
        let (x, y, rtol, atol, equal_nan) = close(a)?;
        done(match equal_nan {
            true => x.isclose(&y, rtol, atol, true).all().item(),
            false => x.allclose(&y, rtol, atol),
        })
    }));
    all
}
