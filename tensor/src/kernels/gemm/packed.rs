//! The packed path: blocks of A and B are packed into panels, and tasks of C multiply them.

use super::micro::{Ahead, Kernel, Left, Tile};
use super::pack::{pack_panel, turned};
use super::{Add, Matrix, Size};
use crate::dtype::Float;
use crate::kernels::parallel::{self, SharedMut};
use crate::kernels::rows::dot_of;
use crate::kernels::simd::vectorised;
use crate::storage::Storage;

/// Depth of a packed block: a panel of A of this depth stays in the first-level cache.
const DEPTH: usize = 384;
/// Bytes of B that a thread keeps packed, for each byte of a row of its panels: with vectors of 64 bytes, and with them
/// larger caches, twice as much as with 32; they take a third to three quarters of a second-level cache.
const KEPT: usize = 6144;
/// Panels of columns of C that are worth a second reading of A.
const WIDE: usize = 16;
/// Panels of rows of C in one task.
const TASK_PANELS: usize = 4;
/// Tasks that are enough for a few threads.
const TASKS: usize = 16;
/// With more rows than this in place, each thread packs all of B; with fewer, they share B's columns.
const FEW_ROWS: usize = 320;
/// The same where A has to be packed for each share of the columns.
const FEW_PACKED: usize = 96;

/// `total` in pieces of at most `most`, nearly equal and multiples of `unit`.
pub(crate) fn piece(total: usize, most: usize, unit: usize) -> usize {
    total.div_ceil(total.div_ceil(most)).next_multiple_of(unit)
}

/// The right operand of a product, as what its panels are packed from.
pub(super) trait Panels<T>: Sync {
    /// Packs `deep` elements, from row `p` on, of `count` columns, from `column` on: see [`pack_panel`].
    fn pack(&self, column: usize, p: usize, count: usize, unit: usize, deep: usize, to: &mut [T]);

    /// Where the elements of row `p` lie, from `column` on, if they are contiguous, and how far away the next row is.
    fn row(&self, _column: usize, _p: usize) -> Option<(*const T, isize)> {
        None
    }
}

impl<T: Float> Panels<T> for Matrix<'_, T> {
    fn pack(&self, column: usize, p: usize, count: usize, unit: usize, deep: usize, to: &mut [T]) {
        pack_panel(self.from(p, column).transposed(), count, unit, deep, to);
    }

    fn row(&self, column: usize, p: usize) -> Option<(*const T, isize)> {
        (self.column == 1).then(|| (self.data.as_ptr().wrapping_add(self.at(p, column)), self.row))
    }
}

/// The left operand of a product, as blocks of its rows.
pub(super) trait Rows<T>: Sync {
    /// Whether the rows of its blocks are contiguous and are to be read where they are, if they are read so many `times`.
    fn in_rows(&self, times: usize) -> bool;

    /// How many elements of a block have to be made before they are read, if it has `all`.
    fn made(&self, all: usize) -> usize;

    /// `deep` elements, from element `p` on, of `height` rows, from row `row` on. `room` is for those that are made.
    fn block<'s>(&'s self, row: usize, p: usize, height: usize, deep: usize, room: &'s mut [T]) -> Matrix<'s, T>;
}

impl<T: Float> Rows<T> for Matrix<'_, T> {
    /// Rows that lie a multiple of a page apart would all compete for the same few lines of the first-level cache. Where
    /// they are read only once or twice that costs less than packing.
    fn in_rows(&self, times: usize) -> bool {
        self.column == 1 && (times <= 2 || !(self.row.unsigned_abs() * size_of::<T>()).is_multiple_of(4096))
    }

    fn made(&self, _: usize) -> usize {
        0
    }

    fn block<'s>(&'s self, row: usize, p: usize, _: usize, _: usize, _: &'s mut [T]) -> Matrix<'s, T> {
        self.from(row, p)
    }
}

/// What will be read next or written: groups of lines.
#[derive(Clone, Copy)]
struct Next<T> {
    from: *const T,
    /// Lines of a group, and how far apart they lie.
    lines: usize,
    apart: isize,
    /// How many groups there are, and how far apart they lie.
    groups: usize,
    step: usize,
}

impl<T> Next<T> {
    /// Elements in a cache line.
    const LINE: usize = 64 / size_of::<T>();

    /// `rows`, which lie `apart`: a column of lines is a group.
    fn rows(from: *const T, apart: isize, rows: usize, columns: usize) -> Next<T> {
        Next { from, lines: rows, apart, groups: columns.div_ceil(Self::LINE), step: Self::LINE }
    }

    /// `elements` that lie side by side, line after line, so that the CPU's own asking follows.
    fn side_by_side(from: *const T, elements: usize) -> Next<T> {
        Next { from, lines: elements.div_ceil(Self::LINE), apart: Self::LINE as isize, groups: 1, step: 0 }
    }

    /// Rows of B, if they are contiguous.
    fn of(b: &impl Panels<T>, column: usize, p: usize, rows: usize, columns: usize) -> Option<Next<T>> {
        b.row(column, p).map(|(from, apart)| Next::rows(from, apart, rows, columns))
    }

    /// The lines to ask for in the next block, of `deep` terms, when `asked` have been.
    fn part(&self, deep: usize, mr: usize, asked: &mut usize) -> Option<Ahead<T>> {
        // A micro-kernel asks for four lines, or two where it has fewer rows, while it works on a line of A.
        let each = (deep / Self::LINE * (mr / 3)).max(1);
        let per_group = self.lines.div_ceil(each);
        let (group, part) = (*asked / per_group, *asked % per_group);
        *asked += 1;
        let from = self.from.wrapping_add(group * self.step).wrapping_offset((part * each) as isize * self.apart);
        (group < self.groups).then_some(Ahead { from, apart: self.apart })
    }
}

pub(super) fn gemm<T: Float>(size: Size, a: Matrix<T>, b: impl Panels<T>, add: Add<T>, c: &mut [T], kernel: Kernel<T>) {
    multiply(size, a, b, add, c, kernel, false);
}

/// [`gemm`] with fewer rows than columns, which are contiguous in B, as the transposed product: the `columns` of B are read
/// where they are, and only the rows of A are packed.
pub(super) fn flipped<T: Float>(
    size: Size,
    a: Matrix<T>,
    columns: impl Rows<T>,
    add: Add<T>,
    c: &mut [T],
    kernel: Kernel<T>,
) {
    let Size { m, k, n } = size;
    multiply(Size { m: n, k, n: m }, columns, a.transposed(), add, c, kernel, true);
}

/// How a product is cut.
struct Cut {
    /// Terms of the sums in one pass over packed panels.
    deep: usize,
    /// Terms in one parallel region, a multiple of `deep`: so many of a task's columns of B a thread can keep packed.
    long: usize,
    /// Rows and columns of C in one task, multiples of the micro-kernel's.
    rows: usize,
    columns: usize,
}

impl Cut {
    fn new(Size { m, k, n }: Size, in_rows: bool, mr: usize, nr: usize) -> Cut {
        let deep = piece(k, DEPTH, 1);
        let kept = nr * KEPT / deep * deep;
        let columns_shared = n >= m && m <= if in_rows { FEW_ROWS } else { FEW_PACKED };
        let (rows, columns) = if columns_shared {
            let tasks = if in_rows { TASKS } else { TASKS / 4 };
            (m.next_multiple_of(mr), piece(n, (n / tasks).min(kept / deep).max(2 * nr), nr))
        } else {
            let rows = (m / TASKS).next_multiple_of(mr).clamp(mr, TASK_PANELS * mr);
            (rows, piece(n, (kept / k).max(WIDE * nr), nr))
        };
        // Where B's columns are shared, what each thread reads again and again is A.
        let long = if columns_shared && in_rows { deep } else { (kept / columns / deep).max(1) * deep };
        Cut { deep, long, rows, columns }
    }
}

/// What a thread packs for itself: it reads the panels from its own caches, and waits for nobody else's.
struct Packed {
    /// A panel of A.
    a: Storage,
    /// A block of A that has to be made.
    made: Storage,
    /// Columns of B, `long` deep, and the column from which each `deep` of them were packed.
    b: Storage,
    column: Vec<Option<usize>>,
    /// A block of C that is turned before it is written, and room for that.
    block: Storage,
}

/// `c = a b`; or, `flipped`, its transpose, whose bias then belongs to the rows of the product.
fn multiply<T: Float>(
    size: Size,
    a: impl Rows<T>,
    b: impl Panels<T>,
    add: Add<T>,
    c: &mut [T],
    kernel: Kernel<T>,
    flipped: bool,
) {
    let Size { m, k, n } = size;
    assert_eq!(c.len(), m * n, "the output of a product has m * n elements");
    let Kernel { mr, nr, .. } = kernel;
    let in_rows = a.in_rows(n / nr + usize::from(n % nr > 1));
    let Cut { deep, long, rows, columns } = Cut::new(size, in_rows, mr, nr);
    let (down, across) = (m.div_ceil(rows), n.div_ceil(columns));
    let out = SharedMut::new(c);
    for start in (0..k).step_by(long) {
        let end = (start + long).min(k);
        let add = if start == 0 { add } else { Add::Output };
        let make = || Packed {
            a: Storage::new(T::DTYPE, mr * deep),
            made: Storage::new(T::DTYPE, a.made(rows * deep)),
            b: Storage::new(T::DTYPE, columns * (end - start)),
            column: vec![None; (end - start).div_ceil(deep)],
            block: Storage::new(T::DTYPE, if flipped { 2 * rows * columns } else { 0 }),
        };
        let task = |own: &mut Packed, task: usize| {
            let (row, column) = (task % down * rows, task / down * columns);
            let (height, width) = (rows.min(m - row), columns.min(n - column));
            let (product, turned) =
                own.block.as_slice_mut::<T>().split_at_mut(if flipped { height * width } else { 0 });
            let mut first = add;
            if flipped {
                first = turned_start(add, row, width, product);
            }
            let product = SharedMut::new(product);
            for (part, p) in (start..end).step_by(deep).enumerate() {
                let deep = deep.min(end - p);
                let b_panels = &mut own.b.as_slice_mut::<T>()[columns * (p - start)..][..columns * deep];
                // A last column that would be alone in its panel is packed without one, and multiplied with the rows of A.
                let lone = in_rows && width % nr == 1;
                if own.column[part].replace(column) != Some(column) {
                    let others = width - usize::from(lone);
                    b.pack(column, p, others, nr, deep, b_panels);
                    if lone {
                        b.pack(column + others, p, 1, 1, deep, &mut b_panels[others * deep..]);
                    }
                }
                let rest = deep.min(end - p - deep);
                let next = if flipped {
                    // These lines of C are written when the block is done.
                    let from = out.as_ptr().wrapping_add(column * m + row);
                    (p + deep == end).then(|| Next::rows(from, m as isize, width, height))
                } else if rest > 0 {
                    (own.column[part + 1] != Some(column))
                        .then(|| Next::of(&b, column, p + deep, rest, width))
                        .flatten()
                } else if down == 1 && column + columns < n {
                    Next::of(&b, column + columns, start, deep.min(end - start), columns)
                } else {
                    None
                };
                let (out, to, stride) = if flipped { (&product, 0, width) } else { (&out, row * n + column, n) };
                let block_of_a = a.block(row, p, height, deep, own.made.as_slice_mut::<T>());
                block_of_a.check(height, deep);
                let block = Block {
                    height,
                    width,
                    deep,
                    a: block_of_a,
                    in_rows,
                    lone,
                    b: b_panels,
                    next,
                    add: if p == start { first.from(column) } else { Add::Output },
                    out,
                    to,
                    stride,
                };
                // SAFETY: the blocks of C are disjoint, the panels of B complete, A was checked, and whoever chose the kernel
                // has asked the CPU.
                unsafe { block.multiply(kernel, own.a.as_slice_mut::<T>()) };
            }
            if flipped {
                // SAFETY: the products are done.
                let product = unsafe { product.slice(0, height * width) };
                // SAFETY: these columns of C, which is the transpose, are this task's alone.
                unsafe { turn(add, product, (height, width), turned, &out, (column, row), m) };
            }
        };
        if down * across == 1 || m * n * (end - start) < 4 * parallel::GRAIN {
            let mut own = make();
            (0..down * across).for_each(|i| task(&mut own, i));
        } else {
            parallel::for_each_block_with(down * across, make, task);
        }
    }
}

/// What a product is added to that is turned later: its rows begin with what belongs to their column of C.
fn turned_start<'a, T: Float>(add: Add<'a, T>, row: usize, width: usize, product: &mut [T]) -> Add<'a, T> {
    let Add::Bias(bias) = add else { return Add::Nothing };
    product.chunks_exact_mut(width).zip(&bias[row..]).for_each(|(row, &b)| row.fill(b));
    Add::Output
}

/// The largest block of a micro-kernel, in elements.
const LARGEST: usize = 12 * 32;

/// A block of C, and what it is the product of.
struct Block<'a, T> {
    height: usize,
    width: usize,
    deep: usize,
    a: Matrix<'a, T>,
    /// Whether the rows of A are contiguous and read where they are.
    in_rows: bool,
    /// Whether the last column of B is packed without a panel; then the rows of A are contiguous.
    lone: bool,
    b: &'a [T],
    /// What is worth asking for meanwhile.
    next: Option<Next<T>>,
    /// A bias is the one of the block's columns.
    add: Add<'a, T>,
    out: &'a SharedMut<T>,
    /// Where the block begins in C, and how far apart its rows lie.
    to: usize,
    stride: usize,
}

impl<T: Float> Block<'_, T> {
    /// Multiplies. `panel` has room for a panel of A.
    ///
    /// # Safety
    /// The block of C must lie inside `out` and belong to the caller alone, that of A inside its matrix, `b` hold complete
    /// panels, and the CPU have the kernel's instructions.
    unsafe fn multiply(&self, kernel: Kernel<T>, panel: &mut [T]) {
        let Kernel { mr, nr, routine, smaller } = kernel;
        let &Block { height, width, deep, a, b, add, stride, .. } = self;
        let mut edge = [T::ZERO; LARGEST];
        let panel = &mut panel[..mr * deep];
        let mut asked = 0;
        for i in (0..height).step_by(mr) {
            let whole = i + mr <= height;
            // SAFETY: element (i, 0) of A.
            let from = unsafe { a.data.as_ptr().add(a.at(i, 0)) };
            let first = if whole && self.in_rows {
                Left::Rows { from, apart: a.row, below: true }
            } else if whole && a.row == 1 {
                Left::Columns { from, apart: a.column, to: panel.as_mut_ptr() }
            } else {
                pack_panel(a.from(i, 0), mr.min(height - i), mr, deep, panel);
                Left::Panel(panel.as_ptr())
            };
            let (others, below) = match first {
                Left::Columns { to, .. } => {
                    // The next panel's columns, of which each begins in the middle of a line.
                    let columns = mr + 64 / size_of::<T>();
                    let below = Next::rows(from.wrapping_add(mr), a.column, deep, columns);
                    (Left::Panel(to.cast_const()), Some(below))
                }
                Left::Rows { from, apart, .. } => (Left::Rows { from, apart, below: kernel.asks_below(false) }, None),
                left => (left, None),
            };
            // Where there is nothing else to ask for, the rows of C below, if they are whole ones.
            let rows_of_c = (width == stride && i + mr < height).then(|| {
                let from = self.out.as_ptr().wrapping_add(self.to + (i + mr) * stride);
                Next::side_by_side(from.cast_const(), mr.min(height - i - mr) * stride)
            });
            let (mut asked_below, mut asked_of_c) = (0, 0);
            for j in (0..width).step_by(nr) {
                let b = &b[j * deep..][..nr * deep];
                let (height, width) = (mr.min(height - i), nr.min(width - j));
                let at = self.to + i * stride + j;
                if self.lone && width == 1 {
                    let sums = &mut edge[..height];
                    dots(a.from(i, 0), &b[..deep], sums);
                    for (r, sum) in sums.iter().enumerate() {
                        // SAFETY: an element of the block.
                        let c = unsafe { self.out.slice(at + r * stride, 1) };
                        put(add.from(j), std::slice::from_ref(sum), c);
                    }
                    continue;
                }
                let left = if j == 0 { first } else { others };
                let ahead = match left {
                    // It asks for its own columns.
                    Left::Columns { .. } => None,
                    _ => below
                        .and_then(|below| below.part(deep, mr, &mut asked_below))
                        .or_else(|| self.next.and_then(|next| next.part(deep, mr, &mut asked)))
                        .or_else(|| rows_of_c.and_then(|rows| rows.part(deep, mr, &mut asked_of_c))),
                };
                let tile = Tile { ahead, ..Tile::new(deep, left, b.as_ptr(), edge.as_mut_ptr(), nr, false) };
                if whole && width == nr {
                    // SAFETY: the block lies inside C, whose rows are `stride` long, and is ours alone.
                    let acc = unsafe { self.out.as_ptr().add(at) };
                    let more = match add {
                        Add::Nothing => None,
                        Add::Bias(bias) => Some((bias[j..][..nr].as_ptr(), 0)),
                        Add::Output => Some((acc.cast_const(), stride)),
                    };
                    // SAFETY: as above; whole panels of A lie inside it, by the caller's promise.
                    unsafe { routine(Tile { acc, stride, add: more, ..tile }) };
                    continue;
                }
                let routine = if matches!(left, Left::Columns { .. }) { routine } else { smaller(height, width) };
                // SAFETY: `edge` has room for the whole block.
                unsafe { routine(tile) };
                for r in 0..height {
                    // SAFETY: a part of a row of the block.
                    let c = unsafe { self.out.slice(at + r * stride, width) };
                    put(add.from(j), &edge[r * nr..][..width], c);
                }
            }
        }
    }
}

/// Turns a block of `height` rows on its way to row and column `to` of C, whose rows lie `stride` apart. What it began
/// with is a bias already.
///
/// # Safety
/// The block must lie inside C and belong to the caller alone.
unsafe fn turn<T: Float>(
    add: Add<T>,
    product: &[T],
    (height, width): (usize, usize),
    room: &mut [T],
    out: &SharedMut<T>,
    to: (usize, usize),
    stride: usize,
) {
    // SAFETY: the block lies inside C.
    let start = unsafe { out.as_ptr().add(to.0 * stride + to.1) };
    let rows = Matrix { data: product, offset: 0, row: width as isize, column: 1 };
    let add = if matches!(add, Add::Output) { add } else { Add::Nothing };
    // SAFETY: the block is the caller's, and `start` where it begins in C.
    if matches!(add, Add::Nothing) && unsafe { turned(rows, height, width, start, stride) } {
        return;
    }
    pack_panel(rows, height, height, width, room);
    for (q, sums) in room[..height * width].chunks_exact(height).enumerate() {
        // SAFETY: a part of a row of the block.
        let c = unsafe { out.slice((to.0 + q) * stride + to.1, height) };
        put(add, sums, c);
    }
}

vectorised! {
    /// `sums[i] = sum over p of a[i][p] * column[p]`, with contiguous rows of A.
    fn dots<S, T: Float>(a: Matrix<T>, column: &[T], sums: &mut [T]) {
        for (i, sum) in sums.iter_mut().enumerate() {
            *sum = dot_of::<S, T>(&a.data[a.at(i, 0)..][..column.len()], column);
        }
    }
}

/// Puts sums into a row of C.
fn put<T: Float>(add: Add<T>, sums: &[T], c: &mut [T]) {
    match add {
        Add::Nothing => c.copy_from_slice(sums),
        Add::Bias(bias) => {
            let bias = &bias[..c.len()];
            c.iter_mut().zip(sums).zip(bias).for_each(|((c, &s), &b)| *c = s + b);
        }
        Add::Output => c.iter_mut().zip(sums).for_each(|(c, &s)| *c += s),
    }
}
