//! Small lines that show how a number went, drawn by the server.
//!
//! Here: paths of SVG from values. Not here: what the values are (the pages), charts with axes (`assets/app.js`).

use std::fmt::Write as _;

/// The size of the drawing; it is stretched to its place.
const WIDTH: f64 = 120.0;
const HEIGHT: f64 = 32.0;
/// Points of a line at most: more are not seen.
const POINTS_MAX: usize = 96;

/// A line, and the area below it, as values of the attribute `d`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Spark {
    pub(crate) line: String,
    pub(crate) area: String,
}

impl Spark {
    /// Of values at even distances, oldest first; where one is none there is a gap. None if there is nothing to draw.
    pub(crate) fn of(values: &[Option<f64>]) -> Option<Self> {
        let values = thinned(values);
        let top = values.iter().flatten().copied().fold(0.0_f64, f64::max);
        if values.iter().flatten().count() < 2 {
            return None;
        }
        let step = WIDTH / as_float((values.len() - 1).max(1));
        let mut spark = Self::default();
        let mut begun: Option<f64> = None;
        let mut last = 0.0;
        for (at, value) in values.iter().enumerate() {
            let x = as_float(at) * step;
            let Some(value) = value else {
                spark.close(begun.take(), last);
                continue;
            };
            let y = if top > 0.0 { HEIGHT - 1.0 - value / top * (HEIGHT - 2.0) } else { HEIGHT - 1.0 };
            let letter = if begun.is_some() { 'L' } else { 'M' };
            // Writing into a text does not fail.
            let _ = write!(spark.line, "{letter}{x:.1} {y:.1}");
            if begun.is_none() {
                let _ = write!(spark.area, "M{x:.1} {HEIGHT}");
                begun = Some(x);
            }
            let _ = write!(spark.area, "L{x:.1} {y:.1}");
            last = x;
        }
        spark.close(begun, last);
        Some(spark)
    }

    fn close(&mut self, begun: Option<f64>, last: f64) {
        if begun.is_some() {
            let _ = write!(self.area, "L{last:.1} {HEIGHT}Z");
        }
    }
}

/// The largest of each few, so that no peak is lost.
fn thinned(values: &[Option<f64>]) -> Vec<Option<f64>> {
    let of_one = values.len().div_ceil(POINTS_MAX).max(1);
    let largest = |some: &[Option<f64>]| some.iter().flatten().copied().reduce(f64::max);
    values.chunks(of_one).map(largest).collect()
}

#[expect(clippy::cast_precision_loss, reason = "there are not so many")]
fn as_float(number: usize) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_gaps_where_nothing_is_known() {
        let spark = Spark::of(&[Some(0.0), Some(2.0), None, Some(1.0), Some(2.0)]).expect("a line");
        assert_eq!(spark.line, "M0.0 31.0L30.0 1.0M90.0 16.0L120.0 1.0");
        assert_eq!(spark.area, "M0.0 32L0.0 31.0L30.0 1.0L30.0 32ZM90.0 32L90.0 16.0L120.0 1.0L120.0 32Z");
        assert_eq!(Spark::of(&[None, Some(1.0)]), None, "one point is no line");
        assert_eq!(Spark::of(&[Some(0.0), Some(0.0)]).expect("a line").line, "M0.0 31.0L120.0 31.0");
    }

    #[test]
    fn a_long_one_keeps_its_peaks() {
        let mut values = vec![Some(0.0); 1_440];
        values[700] = Some(9.0);
        let spark = Spark::of(&values).expect("a line");
        assert!(
            spark.line.matches('L').count() < POINTS_MAX && spark.line.contains(" 1.0"),
            "{}",
            spark.line
        );
    }
}
