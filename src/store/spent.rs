//! Reading what runs of models used.

use rusqlite::Row;
use serde::{Deserialize, Serialize};

use super::open::user_version;
use super::{Client, StoreError};
use crate::domain::ids::FeatureId;

/// The version of the schema that has the table.
const SPENT_SINCE: i64 = 2;
/// The one that says which costs are computed.
const ESTIMATED_SINCE: i64 = 3;

/// What one run used; none is what its program did not tell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpentRun {
    /// The run.
    pub run: String,
    /// Wall clock, Unix milliseconds.
    pub wall_ms: i64,
    /// Its feature.
    pub feature: String,
    /// Its task; none for the base.
    pub task: Option<String>,
    /// Its stage.
    pub stage: Option<String>,
    /// The role of its worker.
    pub role: String,
    /// The developer's attempt.
    pub attempt: u32,
    /// The adapter.
    pub agent: String,
    /// The model that was asked for; empty: the program's own.
    pub model: String,
    /// Tokens in.
    pub input: u64,
    /// Tokens out.
    pub output: u64,
    /// Tokens from a cache.
    pub cached: Option<u64>,
    /// Millionths of a US dollar.
    pub cost_micro_usd: Option<u64>,
    /// The cost is not the program's word, but by the configured prices of this date.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub estimated: Option<String>,
}

impl Client {
    /// Every run with what it used, oldest first.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn spent(&self) -> Result<Vec<SpentRun>, StoreError> {
        self.spent_where(None)
    }

    /// The same, of one feature.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn spent_of(&self, feature: &FeatureId) -> Result<Vec<SpentRun>, StoreError> {
        self.spent_where(Some(feature))
    }

    fn spent_where(&self, feature: Option<&FeatureId>) -> Result<Vec<SpentRun>, StoreError> {
        // A database that an older sprint wrote has no such table before the next start.
        let version = user_version(&self.connection)?;
        if version < SPENT_SINCE {
            return Ok(Vec::new());
        }
        let estimated = if version < ESTIMATED_SINCE { "NULL" } else { "estimated" };
        let mut query = self.connection.prepare_cached(&format!(
            "SELECT run, wall_ms, feature, task, stage, role, attempt, agent, model, input, output, cached, cost,
                    {estimated}
             FROM spent WHERE ?1 IS NULL OR feature = ?1 ORDER BY wall_ms, run",
        ))?;
        let rows = query.query_map([feature.map(FeatureId::as_str)], read)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

fn read(row: &Row<'_>) -> rusqlite::Result<SpentRun> {
    Ok(SpentRun {
        run: row.get(0)?,
        wall_ms: row.get(1)?,
        feature: row.get(2)?,
        task: row.get(3)?,
        stage: row.get(4)?,
        role: row.get(5)?,
        attempt: row.get(6)?,
        agent: row.get(7)?,
        model: row.get(8)?,
        input: whole(row.get(9)?),
        output: whole(row.get(10)?),
        cached: row.get::<_, Option<i64>>(11)?.map(whole),
        cost_micro_usd: row.get::<_, Option<i64>>(12)?.map(whole),
        estimated: row.get(13)?,
    })
}

/// The schema takes no negative ones.
fn whole(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}
