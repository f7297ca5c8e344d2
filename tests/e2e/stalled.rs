//! The disk of the state directory is full: nothing is decided until there is room, and then it goes on
//! by itself. On a file system of its own in memory; only root can mount one.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::common::World;

/// More than what must be free before it goes on.
const SIZE: &str = "size=160m";

struct Mounted(PathBuf);

impl Mounted {
    /// `None` where this is not allowed.
    fn at(path: &Path) -> Option<Self> {
        fs::create_dir_all(path).unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", SIZE, "tmpfs"]).arg(path).stderr(Stdio::null());
        mount.status().is_ok_and(|status| status.success()).then(|| Self(path.to_owned()))
    }

    /// Leaves no byte.
    fn fill(&self) {
        let mut file = File::create(self.0.join("fill")).unwrap();
        for block in [1 << 20, 4096, 1] {
            while file.write_all(&vec![0; block]).is_ok() {}
        }
    }

    fn make_room(&self) {
        fs::remove_file(self.0.join("fill")).unwrap();
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        if let Err(error) = Command::new("umount").arg("-l").arg(&self.0).status() {
            eprintln!("{}: {error}", self.0.display());
        }
    }
}

#[test]
fn a_full_disk_stops_everything_but_the_telling_and_it_goes_on_by_itself() {
    let mut world = World::with(
        "- [ ] T001 write a.txt\n- [ ] T002 write b.txt\n",
        "if [ $1 = T001 ]; then touch $W/working; until [ -e $W/full ]; do sleep 0.1; done; fi\n\
         echo $1 > $1.txt; git add -A; git commit -qm $1",
    );
    let Some(disk) = Mounted::at(&world.path().join("s")) else {
        eprintln!("skipped: no file system can be mounted here");
        return;
    };
    world.be_patient(std::time::Duration::from_mins(3));
    world.detach();
    world.wait_until("T001 is at work", || world.exists("working"));
    let supervisor = world.supervisor().unwrap();
    disk.fill();
    world.touch("full");
    let problem = || {
        let health = world.sprint(&["health", "--json"]).json();
        health["problems"].to_string().contains("nothing is decided or landed: ")
    };
    world.wait_until("it is told", problem);
    assert_eq!(world.landed(), "");
    let shown = world.sprint(&["status"]).expect(0).stdout;
    assert!(shown.contains("it goes on by itself when 64 MB are free"), "{shown}");
    assert_eq!(world.supervisor(), Some(supervisor), "the same process waits");
    disk.make_room();
    world.wait_until("the sprint has ended", || world.supervisor().is_none());
    assert_eq!(world.landed(), "T001:1 T002:1");
    world.sprint(&["verify"]).expect(0);
    world.assert_nothing_left();
}
