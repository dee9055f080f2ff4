//! The loss curve of a training run, as a table and as a picture.

use plotters::prelude::*;

use crate::{Error, Result};

/// One training step of a [`Curve`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// The number of the step, from 1.
    pub step: usize,
    /// The loss of the step's batch.
    pub loss: f64,
    /// The learning rate of the step.
    pub lr: f64,
    /// The validation loss after the step, where it was measured.
    pub val_loss: Option<f64>,
}

/// The first line of the table.
pub(crate) const HEADER: &str = "step,loss,lr,val_loss\n";

impl Point {
    /// The row of the table.
    pub(crate) fn to_csv(self) -> String {
        let Point { step, loss, lr, val_loss } = self;
        let val_loss = val_loss.map(|loss| format!("{loss:.6}")).unwrap_or_default();
        format!("{step},{loss:.6},{lr},{val_loss}\n")
    }

    /// Reads a row without the end of its line.
    pub(crate) fn from_csv(row: &str) -> Option<Point> {
        let mut columns = row.split(',');
        let (step, loss, lr) = (columns.next()?, columns.next()?, columns.next()?);
        let (val_loss, None) = (columns.next()?, columns.next()) else { return None };
        let val_loss = if val_loss.is_empty() { None } else { Some(val_loss.parse().ok()?) };
        Some(Point { step: step.parse().ok()?, loss: loss.parse().ok()?, lr: lr.parse().ok()?, val_loss })
    }
}

/// The losses of a training run in the order of its steps.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Curve {
    /// One entry per step.
    pub points: Vec<Point>,
}

impl Curve {
    /// The mean training loss of the last `n` steps; NaN without steps.
    pub fn mean_of_last(&self, n: usize) -> f64 {
        mean(&self.points[self.points.len().saturating_sub(n.max(1))..])
    }

    /// The table `step,loss,lr,val_loss`: one row per step, the last column empty where it was not measured.
    ///
    /// ```
    /// use models::curve::{Curve, Point};
    ///
    /// let curve = Curve { points: vec![Point { step: 1, loss: 4.25, lr: 1e-3, val_loss: Some(4.0) }] };
    /// assert_eq!(curve.to_csv(), "step,loss,lr,val_loss\n1,4.250000,0.001,4.000000\n");
    /// ```
    pub fn to_csv(&self) -> String {
        let mut csv = String::from(HEADER);
        csv.extend(self.points.iter().copied().map(Point::to_csv));
        csv
    }

    /// Reads what [`Curve::to_csv`] writes; losses have the six decimals of the table.
    ///
    /// # Errors
    /// The first line that is none of such a table.
    pub fn from_csv(text: &str) -> Result<Curve> {
        let Some(rows) = text.strip_prefix(HEADER) else {
            return Err(Error::invalid(format!("line 1 is not {:?}", HEADER.trim_end())));
        };
        let point = |(at, row): (usize, &str)| {
            Point::from_csv(row).ok_or_else(|| Error::invalid(format!("line {} is no row of a loss table", at + 2)))
        };
        Ok(Curve { points: rows.lines().enumerate().map(point).collect::<Result<_>>()? })
    }

    /// The picture: training loss (averaged over neighbouring steps in a long run) and validation loss against the
    /// step. Losses that are not finite are left out, those beyond a billion drawn there.
    ///
    /// # Errors
    /// When the drawing library refuses, which no finite curve provokes.
    pub fn to_svg(&self, title: &str) -> Result<String> {
        let mut svg = String::new();
        self.draw(&mut svg, title).map_err(|e| Error::invalid(format!("the loss curve cannot be drawn: {e}")))?;
        Ok(svg)
    }

    fn draw(&self, svg: &mut String, title: &str) -> std::result::Result<(), Box<dyn std::error::Error>> {
        const BLUE: RGBColor = RGBColor(31, 119, 180);
        const ORANGE: RGBColor = RGBColor(255, 127, 14);
        // A picture has no room for more points than this; averaging also shows the trend through the noise.
        const MOST: usize = 400;
        let group = self.points.len().div_ceil(MOST).max(1);
        // Beyond this, which no loss reaches, the axis would have no room for its labels or overflow.
        const HIGHEST: f64 = 1e9;
        let shown = |(step, loss): (f64, f64)| loss.is_finite().then(|| (step, loss.clamp(-HIGHEST, HIGHEST)));
        let train = self.points.chunks(group).map(|steps| (middle(steps), mean(steps)));
        let train: Vec<(f64, f64)> = train.filter_map(shown).collect();
        let single = if train.len() == 1 { 3 } else { 0 };
        let validation = self.points.iter().filter_map(|p| Some((p.step as f64, p.val_loss?)));
        let validation: Vec<(f64, f64)> = validation.filter_map(shown).collect();
        let losses = || train.iter().chain(&validation).map(|&(_, loss)| loss);
        let (low, high) = losses().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), x| (low.min(x), high.max(x)));
        let (low, high) = if low <= high { (low, high) } else { (0.0, 1.0) };
        // Enough for labels of two decimals to differ.
        let margin = ((high - low) * 0.05).max(0.05);
        let last = self.points.last().map_or(1, |p| p.step).max(1) as f64;

        let root = SVGBackend::with_string(svg, (800, 480)).into_drawing_area();
        root.fill(&WHITE)?;
        let mut chart = ChartBuilder::on(&root)
            .caption(title, ("sans-serif", 20))
            .margin(12)
            .x_label_area_size(40)
            .y_label_area_size(56)
            .build_cartesian_2d(0.0..last, (low - margin)..(high + margin))?;
        chart
            .configure_mesh()
            .x_desc("step")
            .y_desc("loss (nats per token)")
            .x_labels((last as usize).min(10) + 1) // whole steps
            .x_label_formatter(&|x| format!("{x:.0}"))
            .y_label_formatter(&|y| format!("{y:.2}"))
            .light_line_style(TRANSPARENT)
            .draw()?;
        chart
            // A single step would make no line.
            .draw_series(LineSeries::new(train, BLUE.stroke_width(2)).point_size(single))?
            .label("training")
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 20, y)], BLUE.stroke_width(2)));
        chart
            .draw_series(LineSeries::new(validation, ORANGE.stroke_width(2)).point_size(3))?
            .label("validation")
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 20, y)], ORANGE.stroke_width(2)));
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::UpperRight)
            .background_style(WHITE)
            .border_style(BLACK.mix(0.3))
            .draw()?;
        root.present()?;
        Ok(())
    }
}

fn mean(points: &[Point]) -> f64 {
    points.iter().map(|p| p.loss).sum::<f64>() / points.len() as f64
}

/// The middle of the steps of `points`, which is not empty.
fn middle(points: &[Point]) -> f64 {
    (points[0].step as f64 + points[points.len() - 1].step as f64) / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn falling(n: usize) -> Curve {
        let point = |step: usize| Point {
            step,
            loss: 4.0 / (1.0 + step as f64 / 50.0),
            lr: 1e-3,
            val_loss: step.is_multiple_of(10).then_some(2.0),
        };
        Curve { points: (1..=n).map(point).collect() }
    }

    #[test]
    fn the_table_has_a_row_per_step() {
        let csv = falling(20).to_csv();
        assert_eq!(csv.lines().count(), 21);
        assert_eq!(csv.lines().nth(9), Some("9,3.389831,0.001,"));
        assert_eq!(csv.lines().nth(10), Some("10,3.333333,0.001,2.000000"));
        let read = Curve::from_csv(&csv).unwrap();
        assert_eq!((read.points[9].val_loss, read.points[8].val_loss), (Some(2.0), None));
        assert_eq!(read.to_csv(), csv);
        for (broken, says) in [("", "line 1"), ("a,b\n", "line 1"), ("1,2\n", "line 2"), ("1,2,3,x\n", "line 2")] {
            let text = if says == "line 1" { broken.to_string() } else { format!("{HEADER}{broken}") };
            let message = Curve::from_csv(&text).unwrap_err().to_string();
            assert!(message.contains(says), "{message}");
        }
    }

    #[test]
    fn the_picture_has_both_curves() {
        let svg = falling(1000).to_svg("a run").unwrap();
        assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"));
        for text in ["a run", "training", "validation", "step", "#1F77B4", "#FF7F0E", "polyline"] {
            assert!(svg.contains(text), "{text} is missing");
        }
        assert!(svg.len() < 60_000, "{} bytes", svg.len());
    }

    #[test]
    fn short_and_odd_runs_are_drawn_too() {
        for n in [0, 1, 2] {
            falling(n).to_svg("short").unwrap();
        }
        let odd = Point { step: 1, loss: f64::NAN, lr: 0.0, val_loss: Some(f64::INFINITY) };
        let svg = Curve { points: vec![odd] }.to_svg("a<b> & \"c\"").unwrap();
        assert!(svg.contains("a&lt;b&gt; &amp;"), "{svg}");
    }

    #[test]
    fn numbers_of_any_size_are_drawn() {
        let at = |step, loss: f64| Point { step, loss, lr: 0.0, val_loss: Some(loss) };
        for extreme in [1e308, f64::MAX, f64::MIN, 1e-308, f64::INFINITY, f64::NAN] {
            for (steps, others) in [([1, 2, 3], 2.0), ([1, 2, 3], extreme), ([1, usize::MAX - 1, usize::MAX], -extreme)]
            {
                let curve = Curve { points: vec![at(steps[0], extreme), at(steps[1], others), at(steps[2], extreme)] };
                let svg = curve.to_svg("a run").unwrap();
                assert!(svg.len() < 60_000 && !svg.contains("NaN") && !svg.contains("inf"), "{extreme}: {svg}");
            }
            // The sum of two is more than a number can be.
            let many = (1..=900).map(|step| at(step, extreme)).collect();
            assert!(Curve { points: many }.to_svg("a run").unwrap().len() < 200_000);
        }
    }

    #[test]
    fn no_two_labels_of_an_axis_are_equal() {
        for n in [1, 2, 3, 5, 8, 11, 14, 30, 1000, 123_456] {
            let mut curve = falling(n);
            // Hardly any change.
            curve.points.iter_mut().for_each(|point| point.loss = 4.0 + point.loss / 1e3);
            curve.points.iter_mut().for_each(|point| point.val_loss = None);
            let svg = curve.to_svg("a run").unwrap();
            let numbers = svg.lines().map(str::trim).filter(|line| line.parse::<f64>().is_ok());
            let (losses, steps): (Vec<&str>, Vec<&str>) = numbers.partition(|label| label.contains('.'));
            for labels in [losses, steps] {
                let different: std::collections::BTreeSet<&str> = labels.iter().copied().collect();
                assert!(labels.len() >= 2 && different.len() == labels.len(), "{n}: {labels:?}");
            }
            assert_eq!(svg.contains("<circle"), n == 1);
        }
    }

    #[test]
    fn the_last_steps_are_averaged() {
        let at = |step, loss| Point { step, loss, lr: 0.0, val_loss: None };
        let curve = Curve { points: vec![at(1, 9.0), at(2, 1.0), at(3, 2.0)] };
        assert_eq!(curve.mean_of_last(2), 1.5);
        assert_eq!(curve.mean_of_last(100), 4.0);
        assert!(Curve::default().mean_of_last(3).is_nan());
    }
}
