//! What attention has seen: the keys and values of earlier positions, so that decoding computes each of them once.
//!
//! Dimensions: `b` batch, `h` heads of the queries, `g` heads of the keys, `t` new positions, `s` all positions, `d` the
//! width of a head.

use autograd::Var;
use tensor::{Attention, DType, Tensor};

/// Keys and values of one attention layer, in memory that is reserved once and written in place.
///
/// For inference: what enters it must not need a gradient, see [`no_grad`](autograd::no_grad).
///
/// ```
/// use nn::KeyValueCache;
/// use nn::prelude::*;
///
/// let [q, k, v] = [0; 3].map(|_| Var::new(Tensor::randn([1, 2, 5, 4], DType::F64))); // [b, h, t, d]
/// let causal = Attention { is_causal: true, ..Default::default() };
/// let whole = q.scaled_dot_product_attention(&k, &v, &causal).value();
///
/// let mut cache = KeyValueCache::new(8);
/// let part = |x: &Var, from, len| x.narrow(2, from, len);
/// cache.attend(&part(&q, 0, 4), &part(&k, 0, 4), &part(&v, 0, 4), None); // the first four positions
/// let last = cache.attend(&part(&q, 4, 1), &part(&k, 4, 1), &part(&v, 4, 1), None); // the fifth, which sees them all
/// assert!(last.value().allclose(&whole.narrow(2, 4, 1), 1e-12, 1e-12));
/// assert_eq!(cache.len(), 5);
/// ```
#[derive(Debug, Clone)]
pub struct KeyValueCache {
    /// `[b, g, capacity, d]` each, from the first positions on.
    memory: Option<[Tensor; 2]>,
    len: usize,
    capacity: usize,
}

impl KeyValueCache {
    /// Room for `capacity` positions.
    pub fn new(capacity: usize) -> KeyValueCache {
        KeyValueCache { memory: None, len: 0, capacity }
    }

    /// The number of positions seen.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing was seen yet.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The number of positions that there is room for.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Forgets everything; the memory stays reserved.
    pub fn clear(&mut self) {
        self.len = 0;
    }

    /// Takes the rows `rows` (i64 `[n]`) of the batch, in this order; a row may be taken several times, as beam search
    /// does with the continuations that it follows.
    ///
    /// # Panics
    /// When there is no such row.
    #[track_caller]
    pub fn select(&mut self, rows: &Tensor) {
        if let Some(memory) = &mut self.memory {
            let seen = |x: &Tensor| x.narrow(2, 0, self.len).index_select(0, rows);
            let chosen = [seen(&memory[0]), seen(&memory[1])];
            for (memory, chosen) in memory.iter_mut().zip(&chosen) {
                *memory = reserved(chosen, self.capacity);
                memory.assign_(|all| all.narrow(2, 0, self.len), chosen);
            }
        }
    }

    /// Adds the keys and values of `t` new positions and gives the attention of their queries to everything up to
    /// themselves; with a `mask` (bool, true where a query may look, broadcast to `[b, h, t, s]`) to what that allows
    /// instead.
    ///
    /// # Shape
    /// q `[b, h, t, d]`, k `[b, g, t, d]`, v `[b, g, t, d] -> [b, h, t, d]`, where `g` divides `h`.
    ///
    /// # Panics
    /// When there is no room left, the shapes do not fit what was seen, or a key or value needs a gradient.
    #[track_caller]
    pub fn attend(&mut self, q: &Var, k: &Var, v: &Var, mask: Option<&Tensor>) -> Var {
        let [keys, values] = self.append(k, v);
        let (t, s) = (q.dim(-2), self.len);
        let mask = match mask {
            // The queries are the last positions: from the second one on each sees one key more than the one before.
            None if t > 1 && t < s => Some(Tensor::ones([t, s], DType::Bool).tril((s - t) as isize)),
            mask => mask.cloned(),
        };
        let is_causal = mask.is_none() && t > 1;
        let options = Attention { mask, is_causal, enable_gqa: true, ..Attention::default() };
        q.scaled_dot_product_attention(&Var::new(keys), &Var::new(values), &options)
    }

    /// Writes the new keys and values behind those seen and gives views of all.
    #[track_caller]
    fn append(&mut self, k: &Var, v: &Var) -> [Tensor; 2] {
        assert!(
            !k.requires_grad() && !v.requires_grad(),
            "KeyValueCache: the keys or values need a gradient, which ends here; compute them under no_grad"
        );
        let (t, new) = (k.dim(-2), [k.value(), v.value()]);
        let len = self.len + t;
        assert!(
            len <= self.capacity,
            "KeyValueCache: there is room for {} positions, {} are seen and {t} more do not fit",
            self.capacity,
            self.len
        );
        let memory = self.memory.get_or_insert_with(|| [0, 1].map(|i| reserved(&new[i], self.capacity)));
        if self.len == 0 && (0..2).any(|i| memory[i].dim(0) != new[i].dim(0)) {
            // Another batch after `clear`.
            *memory = [0, 1].map(|i| reserved(&new[i], self.capacity));
        }
        for (memory, new) in memory.iter_mut().zip(&new) {
            let at = |all: &Tensor| all.narrow(2, self.len as isize, t);
            assert!(
                at(memory).shape() == new.shape(),
                "KeyValueCache: the new positions do not fit those seen\n  new {}   rule {}",
                new.shape(),
                at(memory).shape()
            );
            memory.assign_(at, new);
        }
        self.len = len;
        [0, 1].map(|i| memory[i].narrow(2, 0, len))
    }
}

/// Memory for `capacity` positions like those of `new`, `[b, g, t, d]`.
fn reserved(new: &Tensor, capacity: usize) -> Tensor {
    Tensor::zeros([new.dim(0), new.dim(1), capacity, new.dim(3)], new.dtype())
}
