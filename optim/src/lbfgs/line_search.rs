//! The line search of L-BFGS: a step length that fulfils the strong Wolfe conditions.

use tensor::Tensor;

/// The loss must fall by this part of what the slope promises.
const C1: f64 = 1e-4;
/// The slope must fall to this part.
const C2: f64 = 0.9;

/// What is known at one step length.
#[derive(Debug, Clone)]
pub(super) struct Point {
    /// The step length.
    pub t: f64,
    /// The loss.
    pub f: f64,
    /// The gradient.
    pub g: Tensor,
    /// The derivative of the loss by `t`.
    pub slope: f64,
}

/// The result of a search.
pub(super) struct Search {
    pub point: Point,
    /// How often the loss was computed.
    pub evals: usize,
}

/// Searches from `start` (at length 0) with the first try `t`; `size` is the largest magnitude in the direction. After
/// `most` tries beyond the first, or when the bracket is shorter than `tolerance_change`, the best point so far will do.
pub(super) fn strong_wolfe(
    mut evaluate: impl FnMut(f64) -> Point,
    start: Point,
    t: f64,
    size: f64,
    tolerance_change: f64,
    most: usize,
) -> Search {
    let high = |point: &Point| point.f > start.f + C1 * point.t * start.slope;
    let flat = |point: &Point| point.slope.abs() <= -C2 * start.slope;

    // Longer and longer steps, until two of them have a good one between them.
    let mut previous = start.clone();
    let mut point = evaluate(t);
    let mut tries = 0;
    let mut bracket = loop {
        if tries >= most {
            break [start.clone(), point];
        }
        if high(&point) || (tries > 1 && point.f >= previous.f) {
            break [previous, point];
        }
        if flat(&point) {
            return Search { point, evals: tries + 1 };
        }
        if point.slope >= 0.0 {
            break [previous, point];
        }
        let bounds = (point.t + 0.01 * (point.t - previous.t), point.t * 10.0);
        let next = cubic_minimum(&previous, &point, bounds);
        previous = point;
        point = evaluate(next);
        tries += 1;
    };

    // Shorter and shorter brackets around a good step; `low` is the end with the lower loss.
    let lower_end = |bracket: &[Point; 2]| if bracket[0].f <= bracket[1].f { 0 } else { 1 };
    let mut low = lower_end(&bracket);
    let mut slow = false;
    while tries < most {
        let [a, b] = &bracket;
        let (least, most_t) = (a.t.min(b.t), a.t.max(b.t));
        if (b.t - a.t).abs() * size < tolerance_change {
            break;
        }
        let mut t = cubic_minimum(a, b, (least, most_t));
        // A try too near to an end would hardly shorten the bracket: let it pass once, then move it inwards.
        let margin = 0.1 * (most_t - least);
        let near = (most_t - t).min(t - least) < margin;
        if near && (slow || t >= most_t || t <= least) {
            t = if (t - most_t).abs() < (t - least).abs() { most_t - margin } else { least + margin };
            slow = false;
        } else {
            slow = near;
        }
        let point = evaluate(t);
        tries += 1;
        if high(&point) || point.f >= bracket[low].f {
            bracket[1 - low] = point;
            low = lower_end(&bracket);
        } else {
            let done = flat(&point);
            if !done && point.slope * (bracket[1 - low].t - bracket[low].t) >= 0.0 {
                bracket[1 - low] = bracket[low].clone();
            }
            bracket[low] = point;
            if done {
                break;
            }
        }
    }
    let [a, b] = bracket;
    Search { point: if low == 0 { a } else { b }, evals: tries + 1 }
}

/// Where the cubic through two points with their slopes is lowest, within bounds; their middle if there is no such place.
///
/// # Source
/// Nocedal, Wright, "Numerical Optimization", 2006, equation 3.59.
fn cubic_minimum(a: &Point, b: &Point, (least, most): (f64, f64)) -> f64 {
    let (a, b) = if a.t <= b.t { (a, b) } else { (b, a) };
    let d1 = a.slope + b.slope - 3.0 * (a.f - b.f) / (a.t - b.t);
    let under_root = d1 * d1 - a.slope * b.slope;
    if under_root >= 0.0 {
        let d2 = under_root.sqrt();
        let t = b.t - (b.t - a.t) * ((b.slope + d2 - d1) / (b.slope - a.slope + 2.0 * d2));
        t.max(least).min(most)
    } else {
        (least + most) / 2.0
    }
}
