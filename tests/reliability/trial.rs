//! One disturbance of one run: at a point, its process is killed, or the call fails.

use std::fmt;
use std::str::FromStr;

use nix::errno::Errno;

use crate::point::{Counter, Point, Recording};
use crate::scene::{Scene, Size};
use crate::tracer::{Deed, FORK};

/// Says that the feature is the larger one.
const SIX: &str = "six ";

/// What is done, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Trial {
    pub(crate) size: Size,
    pub(crate) deed: Deed,
    pub(crate) point: Point,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Came {
    /// Everything is as it must be.
    Right,
    /// The run did not come to that point: another one finished first.
    Missed,
    /// What was wrong.
    Wrong(String),
}

const DEEDS: [(&str, Deed); 3] =
    [("kill", Deed::Kill), ("ENOSPC", Deed::Fail(Errno::ENOSPC)), ("EIO", Deed::Fail(Errno::EIO))];

impl fmt::Display for Trial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = DEEDS.iter().find(|(_, deed)| *deed == self.deed).map_or("nothing", |(name, _)| name);
        let size = if self.size == Size::Six { SIX } else { "" };
        write!(f, "{size}{name} {}", self.point)
    }
}

impl FromStr for Trial {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (size, text) = text.strip_prefix(SIX).map_or((Size::Two, text), |text| (Size::Six, text));
        let (name, point) = text.split_once(' ').ok_or_else(|| format!("`{text}` is not a trial"))?;
        let deed = DEEDS.iter().find(|(known, _)| *known == name);
        let (_, deed) = deed.ok_or_else(|| format!("`{name}` cannot be done"))?;
        Ok(Self { size, deed: *deed, point: point.parse()? })
    }
}

impl Trial {
    /// Does it, and judges what comes of it.
    pub(crate) fn run(&self) -> Came {
        self.run_in(&Scene::of(self.size))
    }

    /// The same in a scene that is there.
    pub(crate) fn run_in(&self, scene: &Scene) -> Came {
        let (mut counter, mut met) = (Counter::default(), false);
        let status = scene.play(&mut |call| {
            if counter.is_at(call, &self.point) {
                met = true;
                return self.deed;
            }
            Deed::Let
        });
        let code = status.and_then(|status| status.code());
        // Who types `start` sees that it failed, or that the supervisor could not begin, and says it once more.
        let process = &self.point.process;
        let by = process.strip_prefix(FORK).unwrap_or(process);
        let told = self.deed != Deed::Kill && by == "supervise" && code == Some(3);
        let again = met && (told || (by.ends_with("start") && code != Some(0)));
        // It would have become the agent, and an agent that is killed has failed.
        let failed = u32::from(self.deed == Deed::Kill && *process == format!("{FORK}worker developer"));
        match scene.judge_after(failed, status, again) {
            Ok(()) if met => Came::Right,
            Ok(()) => Came::Missed,
            Err(why) => {
                eprintln!("{}", scene.world.log());
                Came::Wrong(why)
            }
        }
    }
}

/// An undisturbed run, which must be right.
pub(crate) fn record(size: Size) -> Recording {
    record_in(&Scene::of(size))
}

/// The same in a scene that is there.
pub(crate) fn record_in(scene: &Scene) -> Recording {
    let mut recording = Recording::default();
    let status = scene.play(&mut |call| {
        recording.add(call);
        Deed::Let
    });
    scene.judge(status, false).unwrap();
    recording
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trial_is_read_as_it_is_written() {
        for text in ["kill start|write|state|1", "six EIO supervise|fsync|database-log|3"] {
            assert_eq!(text.parse::<Trial>().unwrap().to_string(), text);
        }
        assert!("maim start|write|state|1".parse::<Trial>().is_err());
    }
}
