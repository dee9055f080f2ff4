//! The speed of a training run, and the number of steps that its time allows.

use std::time::{Duration, Instant};

use crate::train::Length;

/// The first steps fill the memory pool and wake the threads: they are slower than the others.
const COLD: usize = 5;
/// The part of the time after which the number of steps is fixed.
const MEASURED: f64 = 0.015;
/// The part of the time that is planned for; the rest is for a machine that becomes slower.
const PLANNED: f64 = 0.93;

/// Counts steps and decides how many there are.
pub(crate) struct Pace {
    started: Instant,
    /// The time that the run took in earlier processes.
    before: Duration,
    /// The number of steps: without limit while the speed of a run within a time is being measured.
    total: usize,
    budget: Option<Budget>,
    /// Steps of the run.
    done: usize,
    /// Steps of this process, whose speed is measured.
    steps: usize,
    training: Duration,
    /// The part of `training` that the cold steps took.
    cold: Duration,
}

/// A run within a time.
struct Budget {
    time: Duration,
    fixed: bool,
    evaluation: Evaluation,
    /// The time of one estimate of the validation loss, once there was one.
    measured: Option<Duration>,
}

/// How much evaluation a run does.
#[derive(Clone, Copy)]
pub(crate) struct Evaluation {
    /// Steps between estimates.
    pub every: usize,
    /// Forward passes in an estimate, as a multiple of those in a step.
    pub batches: f64,
    /// How many times as long as an estimate the whole validation split takes.
    pub whole: f64,
}

impl Pace {
    pub fn new(length: Length, evaluation: Evaluation, started: Instant) -> Pace {
        let (total, budget) = match length {
            Length::Steps(steps) => (steps, None),
            Length::Within(time) => (usize::MAX, Some(Budget { time, fixed: false, evaluation, measured: None })),
        };
        let none = Duration::ZERO;
        Pace { started, before: none, total, budget, done: 0, steps: 0, training: none, cold: none }
    }

    /// Goes on with a run that did `done` steps in the time `before`, with `total` as the number of the last where it
    /// was fixed. The speed is measured anew: the machine may be another one.
    pub fn resume(&mut self, done: usize, total: Option<usize>, before: Duration) {
        (self.done, self.before) = (done, before);
        self.total = total.unwrap_or(usize::MAX);
        if let Some(budget) = &mut self.budget {
            budget.fixed = total.is_some();
        }
    }

    /// The time that the run has taken, in all processes.
    pub fn elapsed(&self) -> Duration {
        self.before.saturating_add(self.started.elapsed())
    }

    /// The number of the last step.
    pub fn total(&self) -> usize {
        self.total
    }

    /// The number of the last step, once it is fixed.
    pub fn fixed(&self) -> Option<usize> {
        match &self.budget {
            Some(budget) if !budget.fixed => None,
            _ => Some(self.total),
        }
    }

    /// The mean time of a step so far, the cold ones left out where there are others.
    pub fn step_time(&self) -> Duration {
        match self.steps.checked_sub(COLD) {
            Some(warm @ 1..) => (self.training - self.cold).div_f64(warm as f64),
            _ => self.training.div_f64(self.steps.max(1) as f64),
        }
    }

    /// Counts a step that took `time`.
    pub fn after_step(&mut self, time: Duration) {
        self.done = self.done.saturating_add(1);
        self.steps += 1;
        self.training += time;
        if self.steps == COLD {
            self.cold = self.training;
        }
        let elapsed = self.elapsed();
        let due = self
            .budget
            .as_ref()
            .is_some_and(|budget| !budget.fixed && self.steps > COLD && elapsed >= budget.time.mul_f64(MEASURED));
        if due {
            self.plan();
        }
    }

    /// Counts an estimate of the validation loss that took `time`.
    pub fn after_evaluation(&mut self, time: Duration) {
        if let Some(budget) = &mut self.budget {
            budget.measured = Some(time);
            self.plan();
        }
    }

    /// Fixes the number of steps. Later it is only lowered, and not by a little: the learning rate jumps with it.
    fn plan(&mut self) {
        let (step, elapsed) = (self.step_time().as_secs_f64(), self.elapsed().as_secs_f64());
        let Some(budget) = &mut self.budget else { return };
        let Evaluation { every, batches, whole } = budget.evaluation;
        // A forward pass takes about a third of a step.
        let estimate = budget.measured.map_or(batches * step / 3.0, |time| time.as_secs_f64());
        let left = budget.time.as_secs_f64() * PLANNED - elapsed - estimate * whole;
        let more = (left / (step + estimate / every as f64)).max(1.0);
        let planned = self.done.saturating_add(more as usize);
        if !budget.fixed || (planned as f64) < 0.97 * self.total as f64 {
            self.total = planned.min(self.total);
            budget.fixed = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVALUATION: Evaluation = Evaluation { every: 100, batches: 10.0, whole: 2.0 };

    fn seconds(s: f64) -> Duration {
        Duration::from_secs_f64(s)
    }

    #[test]
    fn a_number_of_steps_stays() {
        let mut pace = Pace::new(Length::Steps(7), EVALUATION, Instant::now());
        pace.after_step(seconds(100.0));
        pace.after_evaluation(seconds(100.0));
        assert_eq!((pace.total(), pace.fixed()), (7, Some(7)));
        // That of a run within a time is none as long as it is measured; the largest number is one.
        let within = Pace::new(Length::Within(seconds(100.0)), EVALUATION, Instant::now());
        assert_eq!((within.total(), within.fixed()), (usize::MAX, None));
        assert_eq!(Pace::new(Length::Steps(usize::MAX), EVALUATION, Instant::now()).fixed(), Some(usize::MAX));
    }

    #[test]
    fn cold_steps_do_not_count_for_the_speed() {
        let mut pace = Pace::new(Length::Steps(100), EVALUATION, Instant::now());
        pace.after_step(seconds(9.0));
        assert_eq!(pace.step_time(), seconds(9.0));
        for _ in 1..COLD {
            pace.after_step(seconds(9.0));
        }
        for _ in 0..10 {
            pace.after_step(seconds(0.5));
        }
        assert_eq!(pace.step_time(), seconds(0.5));
    }

    #[test]
    fn a_time_is_filled_and_kept() {
        // Ten seconds have passed of a hundred, with steps of 0.1 s.
        let started = Instant::now() - seconds(10.0);
        let mut pace = Pace::new(Length::Within(seconds(100.0)), EVALUATION, started);
        for step in 1..=6 {
            assert_eq!(pace.total(), usize::MAX, "step {step} is not measured yet");
            pace.after_step(seconds(0.1));
        }
        // 93 s less the 10 s and 0.67 s of the last evaluation, at 0.1 s and a hundredth of 0.33 s.
        let first = pace.total();
        assert!((790..=806).contains(&first), "{first}");
        // Evaluations that turn out a little slower change nothing, much slower ones do.
        pace.after_evaluation(seconds(0.4));
        assert_eq!(pace.total(), first);
        pace.after_evaluation(seconds(10.0));
        assert!((300..=325).contains(&pace.total()), "{}", pace.total());
        // A faster machine does not make the run longer, and time that has run out ends it with the next step.
        pace.after_evaluation(seconds(0.1));
        assert!(pace.total() < 330);
        pace.started -= seconds(200.0);
        pace.after_evaluation(seconds(0.1));
        assert_eq!(pace.total(), pace.steps + 1);
    }

    #[test]
    fn a_run_goes_on_with_the_time_that_is_left() {
        let within = || Pace::new(Length::Within(seconds(100.0)), EVALUATION, Instant::now());
        // Half of the time is gone, with 50 steps; the number of steps was not fixed.
        let mut pace = within();
        pace.resume(50, None, seconds(50.0));
        assert!(pace.elapsed() >= seconds(50.0));
        for _ in 0..COLD {
            pace.after_step(seconds(0.1));
            assert_eq!(pace.total(), usize::MAX);
        }
        pace.after_step(seconds(0.1));
        // 93 s less 50 s and 0.67 s, at 0.1 s and a hundredth of 0.33 s, after 56 steps.
        assert!((460..=470).contains(&pace.total()), "{}", pace.total());
        // A plan stays, whatever the speed, until an evaluation shows that there is no time for it.
        let mut pace = within();
        pace.resume(50, Some(80), seconds(50.0));
        (0..20).for_each(|_| pace.after_step(seconds(9.0)));
        assert_eq!(pace.total(), 80);
        pace.after_evaluation(seconds(1.0));
        assert_eq!(pace.total(), 74);
        // A time that no run has taken is no reason to panic.
        let mut pace = within();
        pace.resume(1, None, Duration::MAX);
        pace.after_evaluation(seconds(1.0));
        assert_eq!(pace.total(), 2);
    }
}
