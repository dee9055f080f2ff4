//! Digits drawn with a pen: strokes of other sizes, slants, places, widths and wobbles in each image, on noise.

use tensor::{DType, Generator, Tensor};

/// Height and width of an image.
const SIZE: usize = 28;

/// For each digit its strokes, polygons through points (x, y) of the unit square, y downwards.
const STROKES: [&[&[(f64, f64)]]; 10] = [
    &[&[
        (0.5, 0.1),
        (0.3, 0.22),
        (0.24, 0.5),
        (0.3, 0.78),
        (0.5, 0.9),
        (0.7, 0.78),
        (0.76, 0.5),
        (0.7, 0.22),
        (0.5, 0.1),
    ]],
    &[&[(0.36, 0.26), (0.54, 0.1), (0.54, 0.9)]],
    &[&[(0.25, 0.3), (0.36, 0.13), (0.6, 0.1), (0.74, 0.3), (0.6, 0.52), (0.24, 0.9), (0.78, 0.9)]],
    &[&[(0.26, 0.16), (0.54, 0.1), (0.72, 0.28), (0.46, 0.47), (0.74, 0.68), (0.55, 0.9), (0.25, 0.82)]],
    &[&[(0.62, 0.9), (0.62, 0.1), (0.2, 0.62), (0.82, 0.62)]],
    &[&[(0.74, 0.1), (0.32, 0.1), (0.28, 0.46), (0.55, 0.42), (0.75, 0.65), (0.58, 0.9), (0.25, 0.84)]],
    &[&[(0.68, 0.1), (0.38, 0.36), (0.26, 0.68), (0.46, 0.9), (0.72, 0.76), (0.62, 0.56), (0.3, 0.62)]],
    &[&[(0.22, 0.12), (0.78, 0.12), (0.42, 0.9)], &[(0.36, 0.5), (0.7, 0.5)]],
    &[&[
        (0.5, 0.48),
        (0.3, 0.3),
        (0.5, 0.1),
        (0.7, 0.3),
        (0.5, 0.48),
        (0.26, 0.7),
        (0.5, 0.9),
        (0.74, 0.7),
        (0.5, 0.48),
    ]],
    &[&[(0.7, 0.34), (0.48, 0.47), (0.29, 0.28), (0.48, 0.1), (0.7, 0.2), (0.7, 0.36), (0.6, 0.9)]],
];

/// `n` images, u8 `[n, 28, 28]`, and the digits on them, u8 `[n]`.
pub fn draw(n: usize, rng: &mut Generator) -> (Tensor, Tensor) {
    let digits = Tensor::randint_with(0, 10, [n], rng).to_dtype(DType::U8);
    let noise = Tensor::normal_with(0.0, 0.08, [n, SIZE * SIZE], DType::F64, rng);
    let mut pixels = Vec::with_capacity(n * SIZE * SIZE);
    for (i, digit) in digits.to_vec::<u8>().into_iter().enumerate() {
        let noise = noise.select(0, i as isize).to_vec::<f64>();
        let pen = Pen::draw(digit, rng);
        for (at, noise) in noise.into_iter().enumerate() {
            let ink = pen.ink(((at % SIZE) as f64 + 0.5, (at / SIZE) as f64 + 0.5));
            pixels.push(((ink + noise).clamp(0.0, 1.0) * 255.0) as u8);
        }
    }
    (Tensor::from_vec(pixels, [n, SIZE, SIZE]), digits)
}

/// The lines of a digit, in pixels.
struct Pen {
    lines: Vec<[(f64, f64); 2]>,
    width: f64,
    strength: f64,
}

impl Pen {
    /// A digit as nobody has drawn it before.
    fn draw(digit: u8, rng: &mut Generator) -> Pen {
        let mut between = |low: f64, high: f64| low + (high - low) * rng.uniform();
        let (turn, slant) = (between(-0.25, 0.25), between(-0.25, 0.25));
        let (wide, high) = (between(0.6, 1.0), between(0.65, 1.0));
        let (right, down) = (between(-3.0, 3.0), between(-3.0, 3.0));
        let (width, strength) = (between(0.6, 1.5), between(0.6, 1.0));
        let mut place = |&(x, y): &(f64, f64)| {
            let (x, y) = ((x - 0.5 + between(-0.04, 0.04)) * wide, (y - 0.5 + between(-0.04, 0.04)) * high);
            let x = x - slant * y;
            let (x, y) = (x * turn.cos() - y * turn.sin(), x * turn.sin() + y * turn.cos());
            let middle = SIZE as f64 / 2.0;
            (middle + right + x * 24.0, middle + down + y * 24.0)
        };
        let mut lines = Vec::new();
        for stroke in STROKES[digit as usize] {
            let points: Vec<(f64, f64)> = stroke.iter().map(&mut place).collect();
            lines.extend(points.windows(2).map(|pair| [pair[0], pair[1]]));
        }
        Pen { lines, width, strength }
    }

    /// How dark the paper is at a place, from 0 to 1: full near a line, fading over a pixel.
    fn ink(&self, (x, y): (f64, f64)) -> f64 {
        let distance = |&[(ax, ay), (bx, by)]: &[(f64, f64); 2]| {
            let (dx, dy) = (bx - ax, by - ay);
            let along = (((x - ax) * dx + (y - ay) * dy) / (dx * dx + dy * dy).max(1e-9)).clamp(0.0, 1.0);
            (x - ax - along * dx).hypot(y - ay - along * dy)
        };
        let nearest = self.lines.iter().map(distance).fold(f64::INFINITY, f64::min);
        self.strength * (1.0 + self.width - nearest).clamp(0.0, 1.0)
    }
}
