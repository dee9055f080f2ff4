//! Pooling of many planes against one window at a time.

use tensor::{AvgPool, DType, Generator, MaxPool, Tensor};

/// The windows along one dimension as lists of indices, by the definition: rounding up, the last one may leave the padded
/// input, but it starts before the padding at the end.
fn windows(n: isize, kernel: isize, stride: isize, padding: isize, dilation: isize, ceil: bool) -> Vec<Vec<isize>> {
    let extent = dilation * (kernel - 1) + 1;
    (0..)
        .map(|o| o * stride - padding)
        .take_while(|start| match ceil {
            false => start + extent <= n + padding,
            // The window before this one ends inside the padded input.
            true => start + extent - stride < n + padding && *start < n,
        })
        .map(|start| (0..kernel).map(|t| start + t * dilation).collect())
        .collect()
}

fn inputs() -> Tensor {
    // Many planes, so that several tasks share them.
    Tensor::randn_with([3, 40, 31, 30], DType::F64, &mut Generator::new(1))
}

#[test]
fn the_largest_element_of_each_window() {
    let x = inputs();
    for (kernel, stride, padding, dilation, ceil) in [
        ([2, 3], [2, 2], [0, 1], [1, 1], false),
        ([3, 3], [2, 1], [1, 1], [2, 1], false),
        ([3, 2], [3, 4], [1, 0], [1, 3], true),
    ] {
        let options = MaxPool {
            stride: Some(stride.into()),
            padding: padding.into(),
            dilation: dilation.into(),
            ceil_mode: ceil,
        };
        let (y, indices) = x.max_pool2d_with_indices(kernel, &options);
        let along = |d: usize, n: usize| {
            let [k, s, p, l] = [kernel[d], stride[d], padding[d], dilation[d]].map(|n| n as isize);
            windows(n as isize, k, s, p, l, ceil)
        };
        let (down, across) = (along(0, 31), along(1, 30));
        assert_eq!(y.dims(), [3, 40, down.len(), across.len()]);
        let (values, places) = (y.to_vec::<f64>(), indices.to_vec::<i64>());
        let flat = x.to_vec::<f64>();
        let mut dx = vec![0.0; flat.len()];
        for plane in 0..120 {
            for (o, (rows, columns)) in down.iter().flat_map(|r| across.iter().map(move |c| (r, c))).enumerate() {
                let inside = |&(r, c): &(isize, isize)| (0..31).contains(&r) && (0..30).contains(&c);
                let all = rows.iter().flat_map(|&r| columns.iter().map(move |&c| (r, c))).filter(inside);
                let at = |(r, c): (isize, isize)| (r * 30 + c) as usize;
                let best = all.map(at).reduce(|a, b| if flat[plane * 930 + b] > flat[plane * 930 + a] { b } else { a });
                let best = best.expect("an element");
                let o = plane * down.len() * across.len() + o;
                assert_eq!((values[o], places[o]), (flat[plane * 930 + best], best as i64));
                dx[plane * 930 + best] += (o as f64).sin();
            }
        }
        let shape: Vec<isize> = y.dims().iter().map(|&n| n as isize).collect();
        let dy = Tensor::arange(0.0, values.len() as f64, 1.0, DType::F64).sin().reshape(&shape[..]);
        let got = Tensor::max_pool_backward(&dy, &indices, x.dims(), 2);
        assert!(got.allclose(&Tensor::from_vec(dx, x.dims()), 1e-12, 1e-12));
        assert!(x.max_pool_gather(&indices, 2).bit_eq(&y));
        assert!(x.max_pool2d(kernel, &options).bit_eq(&y));
    }
}

#[test]
fn the_mean_of_each_window() {
    let x = inputs();
    for (kernel, stride, padding, ceil) in
        [([2, 3], [2, 2], [0, 1], false), ([3, 3], [2, 1], [1, 1], false), ([3, 2], [3, 4], [1, 1], true)]
    {
        for (count_include_pad, divisor_override) in [(true, None), (false, None), (true, Some(-7))] {
            let options = AvgPool {
                stride: Some(stride.into()),
                padding: padding.into(),
                ceil_mode: ceil,
                count_include_pad,
                divisor_override,
            };
            let y = x.avg_pool2d(kernel, &options);
            let along = |d: usize, n: usize| {
                let [k, s, p] = [kernel[d], stride[d], padding[d]].map(|n| n as isize);
                windows(n as isize, k, s, p, 1, ceil)
            };
            let (down, across) = (along(0, 31), along(1, 30));
            assert_eq!(y.dims(), [3, 40, down.len(), across.len()]);
            let (flat, values) = (x.to_vec::<f64>(), y.to_vec::<f64>());
            let mut dx = vec![0.0; flat.len()];
            for plane in 0..120 {
                for (o, (rows, columns)) in down.iter().flat_map(|r| across.iter().map(move |c| (r, c))).enumerate() {
                    let among = |list: &[isize], low: isize, high: isize| -> Vec<usize> {
                        list.iter().filter(|i| (low..high).contains(*i)).map(|&i| i as usize).collect()
                    };
                    let (r, c) = (among(rows, 0, 31), among(columns, 0, 30));
                    let [p, q] = padding.map(|n| n as isize);
                    let padded =
                        rows.iter().filter(|r| **r < 31 + p).count() * columns.iter().filter(|c| **c < 30 + q).count();
                    let divisor = match (divisor_override, count_include_pad) {
                        (Some(divisor), _) => divisor as f64,
                        (None, true) => padded as f64,
                        (None, false) => (r.len() * c.len()) as f64,
                    };
                    let places: Vec<usize> =
                        r.iter().flat_map(|r| c.iter().map(move |c| plane * 930 + r * 30 + c)).collect();
                    let o = plane * down.len() * across.len() + o;
                    let mean = places.iter().map(|&i| flat[i]).sum::<f64>() / divisor;
                    assert!((values[o] - mean).abs() < 1e-12);
                    places.iter().for_each(|&i| dx[i] += (o as f64).sin() / divisor);
                }
            }
            let shape: Vec<isize> = y.dims().iter().map(|&n| n as isize).collect();
            let dy = Tensor::arange(0.0, values.len() as f64, 1.0, DType::F64).sin().reshape(&shape[..]);
            let got = Tensor::avg_pool2d_backward(&dy, x.dims(), kernel, &options);
            assert!(got.allclose(&Tensor::from_vec(dx, x.dims()), 1e-12, 1e-12));
        }
    }
}

#[test]
fn adaptive_windows_cover_the_plane() {
    let x = inputs();
    assert!(x.adaptive_avg_pool2d(1).allclose(&x.mean_dim([2, 3], true), 1e-12, 1e-12));
    for output in [[1, 1], [7, 4], [31, 30], [40, 2]] {
        let (mean, most) = (x.adaptive_avg_pool2d(output), x.adaptive_max_pool2d(output));
        for oy in 0..output[0] {
            for ox in 0..output[1] {
                let part = |n: usize, o: usize, of: usize| (o * n / of, ((o + 1) * n).div_ceil(of));
                let ((top, bottom), (left, right)) = (part(31, oy, output[0]), part(30, ox, output[1]));
                let window = x.narrow(2, top, bottom - top).narrow(3, left, right - left);
                let at = |t: &Tensor| t.select(2, oy as isize).select(2, ox as isize);
                assert!(at(&mean).allclose(&window.mean_dim([2, 3], false), 1e-12, 1e-12));
                assert!(at(&most).bit_eq(&window.amax([2, 3], false)));
            }
        }
    }
}
