//! The programs that are measured: agents of a sprint, and the reference's worker.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::Connection;

use crate::Outcome;

/// Plays the part that the words name; false if they name none.
pub(crate) fn play(now: i64, words: &[String]) -> Outcome<bool> {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        // Says when it began.
        ["stamp", file] => stamp(now, Path::new(file))?,
        // An agent: says when it began, and makes the task's change.
        ["agent-stamp", directory, task] => {
            stamp(now, &Path::new(directory).join(task))?;
            std::fs::write(PathBuf::from("src").join(format!("{task}.txt")), "done\n")?;
        }
        // An agent that takes its time.
        ["agent-sleep", directory, task] => {
            stamp(now, &Path::new(directory).join(task))?;
            std::thread::sleep(Duration::from_mins(10));
        }
        // An agent that asks its model once, and then the person.
        ["agent-request", port, directory] => {
            std::net::TcpStream::connect(("127.0.0.1", port.parse::<u16>()?))?;
            stamp(now, &Path::new(directory).join(std::process::id().to_string()))?;
            println!("BLOCKED: which way?");
        }
        // A program on a screen: leaves what it was given where the measurement finds it, and stays.
        ["screen", directory, ..] => {
            let own = std::env::vars().filter(|(name, _)| name.starts_with("SPRINT_"));
            let own = own.filter(|(_, value)| !value.contains('\n'));
            let lines: Vec<String> = own.map(|(name, value)| format!("{name}={value}")).collect();
            println!("at work");
            let file = Path::new(directory).join("environment");
            std::fs::write(file.with_extension("part"), lines.join("\n"))?;
            std::fs::rename(file.with_extension("part"), file)?;
            std::thread::sleep(Duration::from_mins(10));
        }
        // A model's program that prints a stream for a second, and makes the task's change.
        ["talk"] => {
            let until = std::time::Instant::now() + Duration::from_secs(1);
            for line in 0..200 {
                println!("{{\"type\":\"text\",\"text\":\"line {line}\"}}");
                std::thread::sleep(Duration::from_millis(5));
            }
            std::thread::sleep(until.saturating_duration_since(std::time::Instant::now()));
            let task = std::env::var("SPRINT_TASK_ID")?;
            std::fs::create_dir_all("src")?;
            std::fs::write(format!("src/{task}.txt"), "done\n")?;
        }
        // An agent that cannot go on.
        ["agent-ask"] => println!("BLOCKED: which way?"),
        // The least that idles: what an idle worker calls, and nothing else.
        ["wake", directory] => wake(Path::new(directory))?,
        // The reference's worker: opens a database and commits one row, then stays.
        ["row", database] => {
            let connection = open(Path::new(database))?;
            connection.execute("INSERT INTO rows (pid) VALUES (?1)", [std::process::id()])?;
            std::thread::sleep(Duration::from_mins(10));
        }
        _ => return Ok(false),
    }
    Ok(true)
}

/// A beat and three looks every five seconds, for ten minutes.
fn wake(directory: &Path) -> Outcome<()> {
    for _ in 0..120 {
        std::thread::sleep(Duration::from_secs(5));
        let beat = std::fs::File::options().create(true).append(true).open(directory.join("beat"))?;
        beat.set_modified(std::time::SystemTime::now())?;
        for _ in 0..3 {
            std::fs::metadata(directory)?;
        }
    }
    Ok(())
}

/// Whole or not at all: somebody waits for the file.
fn stamp(now: i64, file: &Path) -> Outcome<()> {
    let part = file.with_extension("part");
    std::fs::write(&part, now.to_string())?;
    Ok(std::fs::rename(part, file)?)
}

/// A database with the settings of sprint's.
pub(crate) fn open(path: &Path) -> Outcome<Connection> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(Duration::from_secs(10))?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.execute("CREATE TABLE IF NOT EXISTS rows (id INTEGER PRIMARY KEY, pid INTEGER)", [])?;
    Ok(connection)
}
