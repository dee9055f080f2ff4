//! What attention has seen: the keys and values of earlier positions, so that decoding computes each of them once.
//!
//! Dimensions: `b` batch, `h` heads of the queries, `g` heads of the keys, `t` new positions, `s` all positions, `d` the
//! width of a head.

use autograd::Var;
use tensor::{Attention, DType, Tensor};

/// Keys and values of one attention layer, in memory that doubles when it is full and is written in place.
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
    /// `[b, g, n, d]` each with `n` at most `capacity`, the first `len` of which are in use.
    memory: Option<[Tensor; 2]>,
    len: usize,
    capacity: usize,
}

impl KeyValueCache {
    /// Room for `capacity` positions, for which memory is reserved as they come.
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
            for memory in memory {
                let room = memory.dim(2);
                *memory = reserved(&memory.narrow(2, 0, self.len).index_select(0, rows), self.len, room);
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
        // After `clear` another batch may come.
        let fits =
            |memory: &[Tensor; 2]| memory[0].dim(2) >= len && (self.len > 0 || memory[0].dim(0) == new[0].dim(0));
        if !self.memory.as_ref().is_some_and(fits) {
            let room = len.next_power_of_two().max(LEAST).min(self.capacity);
            let seen = self.memory.take().filter(|_| self.len > 0);
            self.memory =
                Some([0, 1].map(|i| reserved(seen.as_ref().map_or(&new[i], |seen| &seen[i]), self.len, room)));
        }
        let memory = self.memory.as_mut().expect("reserved just now");
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

/// The fewest positions that memory is reserved for.
const LEAST: usize = 64;

/// Memory for `room` positions, of which the first `len` are those of `seen`, `[b, g, .., d]`.
fn reserved(seen: &Tensor, len: usize, room: usize) -> Tensor {
    let mut memory = Tensor::zeros([seen.dim(0), seen.dim(1), room, seen.dim(3)], seen.dtype());
    memory.assign_(|all| all.narrow(2, 0, len), &seen.narrow(2, 0, len));
    memory
}
