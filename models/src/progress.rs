//! What a long run shows while it goes: a bar on a terminal, now and then a line elsewhere.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// A run whose output is no terminal prints no more than one line in this time.
const BETWEEN_LINES: Duration = Duration::from_secs(5);

/// Progress on stderr: what is done, how it goes, and the time left.
///
/// A bar on a terminal; plain lines, at most one in five seconds, when stderr goes to a file or a pipe. A stderr that
/// nobody reads any more is ignored.
///
/// ```
/// let mut progress = models::progress::Progress::new();
/// for epoch in 0..2 {
///     for batch in 0..5 {
///         progress.update(epoch * 5 + batch + 1, 2 * 5, &format!("epoch {epoch}  loss {:.3}", 0.5));
///     }
///     progress.line(&format!("epoch {epoch}  validation loss 0.500  accuracy 90.0%"));
/// }
/// progress.finish();
/// ```
pub struct Progress {
    bar: Option<ProgressBar>,
    started: Instant,
    /// What was done before, of which the time that is left must not be told.
    before: usize,
    last_line: Option<Instant>,
}

impl Progress {
    /// Starts to show a run; each step says how many there are.
    pub fn new() -> Progress {
        Progress::after(0)
    }

    /// Starts to show a run that goes on after `done`, as another process has left it: the time left follows from what
    /// is done from now on.
    ///
    /// ```
    /// let mut progress = models::progress::Progress::after(900);
    /// progress.update(901, 1000, "loss 0.500"); // the time left is 99 times that of step 901
    /// progress.finish();
    /// ```
    pub fn after(done: usize) -> Progress {
        let bar = io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(0);
            let style = ProgressStyle::with_template("[{bar:30}] {pos}/{len}  {msg}");
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("=> "));
            bar
        });
        Progress { bar, started: Instant::now(), before: done, last_line: None }
    }

    /// Shows that `done` of `total` is done, with `message` (the loss, say) and the time left.
    pub fn update(&mut self, done: usize, total: usize, message: &str) {
        if self.speaks(done, total) {
            self.show(done, Some(total), &format!("{message}  {} left", human(self.left(done, total))));
        }
    }

    /// Shows that `step` of `total` is done (`usize::MAX` while that is still being measured), with the loss of that
    /// step and the speed so far.
    pub fn step(&mut self, step: usize, total: usize, loss: f64, tokens_per_s: f64) {
        let speed = format!("loss {loss:.3}  {tokens_per_s:.0} tokens/s");
        if total != usize::MAX {
            self.update(step, total, &speed);
        } else if self.speaks(step, total) {
            self.show(step, None, &format!("{speed}  measuring"));
        }
    }

    /// Whether something is shown now: always on a terminal, else for the last step and when the last line is old.
    fn speaks(&self, done: usize, total: usize) -> bool {
        self.bar.is_some() || self.last_line.is_none_or(|at| at.elapsed() >= BETWEEN_LINES) || done >= total
    }

    fn show(&mut self, done: usize, total: Option<usize>, message: &str) {
        match &self.bar {
            Some(bar) => {
                bar.set_length(total.unwrap_or(0) as u64);
                bar.set_position(done as u64);
                bar.set_message(message.to_owned());
            }
            None => {
                let total = total.map_or(String::new(), |total| format!("/{total}"));
                self.line(&format!("step {done}{total}  {message}"));
            }
        }
    }

    /// The time that the remaining steps take at the speed so far; the longest there is where it is longer.
    fn left(&self, step: usize, total: usize) -> Duration {
        let done = step.saturating_sub(self.before).max(1) as f64;
        let left = self.started.elapsed().as_secs_f64() * (total.saturating_sub(step) as f64 / done);
        Duration::try_from_secs_f64(left).unwrap_or(Duration::MAX)
    }

    /// Prints `line` above the bar, or as it is.
    pub fn line(&mut self, line: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| to_stderr(line)),
            None => {
                self.last_line = Some(Instant::now());
                to_stderr(line);
            }
        }
    }

    /// Ends the bar and leaves the lines above it.
    pub fn finish(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }
}

impl Default for Progress {
    fn default() -> Progress {
        Progress::new()
    }
}

/// Prints a line on stderr; unlike `eprintln!`, it does not panic when nobody reads it.
pub(crate) fn to_stderr(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// A duration as people say it: `42s`, `3m05s`, `2h07m`.
pub(crate) fn human(time: Duration) -> String {
    let s = time.as_secs_f64().round() as u64;
    match s {
        0..60 => format!("{s}s"),
        60..3600 => format!("{}m{:02}s", s / 60, s % 60),
        _ => format!("{}h{:02}m", s / 3600, s % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_short() {
        let human = |s: f64| human(Duration::from_secs_f64(s));
        assert_eq!(human(0.2), "0s");
        assert_eq!(human(59.4), "59s");
        assert_eq!(human(59.6), "1m00s");
        assert_eq!(human(185.0), "3m05s");
        assert_eq!(human(7620.0), "2h07m");
    }

    #[test]
    fn the_time_left_follows_the_speed() {
        let mut progress = ten_seconds_ago(0);
        let left = progress.left(100, 300).as_secs_f64();
        assert!((20.0..20.5).contains(&left), "{left}");
        assert_eq!(progress.left(300, 300), Duration::ZERO);
        // More seconds than a duration has.
        assert_eq!(progress.left(1, usize::MAX - 1), Duration::MAX);
        progress.update(1, usize::MAX - 1, "loss 0.5");
    }

    #[test]
    fn steps_of_an_earlier_process_took_none_of_the_time() {
        // Ten steps in ten seconds, and ninety to go.
        let left = ten_seconds_ago(900).left(910, 1000).as_secs_f64();
        assert!((90.0..100.0).contains(&left), "{left}");
        let left = ten_seconds_ago(900).left(900, 1000);
        assert!(left >= Duration::from_secs(1000), "{left:?}");
        assert_eq!(Progress::after(900).before, 900);
    }

    fn ten_seconds_ago(before: usize) -> Progress {
        Progress { bar: None, started: Instant::now() - Duration::from_secs(10), before, last_line: None }
    }

    #[test]
    fn without_a_terminal_lines_are_rare_but_for_the_last() {
        let mut progress = Progress { bar: None, started: Instant::now(), before: 0, last_line: None };
        assert!(progress.speaks(1, 10));
        progress.update(1, 10, "loss 0.5");
        assert!(!progress.speaks(2, 10) && progress.speaks(10, 10));
        progress.last_line = Some(Instant::now() - BETWEEN_LINES);
        assert!(progress.speaks(2, 10));
    }
}
