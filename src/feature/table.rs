//! Tables of tasks: `| T001 | Set up | src/a.py | Done |`.

use super::forms::{Mark, title};
use super::refs::{story_id, task_id};
use crate::domain::ids::TaskId;

/// Cells looked at in one row.
const CELLS_MAX: usize = 32;

/// A row whose first cell with text is a task id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) id: TaskId,
    pub(super) title: String,
    pub(super) state: Mark,
    pub(super) parallel: bool,
    pub(super) stories: Vec<String>,
    /// The cells under "Depends on", to be read as prose.
    pub(super) needs: String,
    /// The cells under "Blocks".
    pub(super) blocks: String,
    /// All cells but the id: where paths may be.
    pub(super) text: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Column {
    Id,
    Title,
    State,
    Needs,
    Blocks,
    Parallel,
    Story,
    Other,
}

/// Follows the tables of a file, line by line.
#[derive(Debug, Default)]
pub(super) struct Tables {
    /// The head of the table that we are in.
    columns: Option<Vec<Column>>,
}

pub(super) fn is_row(text: &str) -> bool {
    text.trim_start().starts_with('|')
}

impl Tables {
    /// Takes any line; a row of a task comes back.
    pub(super) fn read(&mut self, text: &str) -> Option<Row> {
        if !is_row(text) {
            self.columns = None;
            return None;
        }
        let cells = cells(text);
        match &self.columns {
            None => {
                let row = task_row(&cells, &[]);
                self.columns = Some(if row.is_some() { Vec::new() } else { columns(&cells) });
                row
            }
            Some(columns) => task_row(&cells, columns),
        }
    }
}

fn cells(text: &str) -> Vec<&str> {
    let text = text.trim();
    let text = text.strip_prefix('|').unwrap_or(text);
    let text = text.strip_suffix('|').unwrap_or(text);
    text.split('|').take(CELLS_MAX).map(str::trim).collect()
}

fn columns(cells: &[&str]) -> Vec<Column> {
    let column = |cell: &&str| {
        let name = cell.to_lowercase();
        let has = |words: &[&str]| words.iter().any(|w| name.contains(w));
        if has(&["depend", "requires", "after", "blocked", "prereq", "依赖"]) {
            Column::Needs
        } else if has(&["blocks"]) {
            Column::Blocks
        } else if has(&["status", "done", "state", "estado", "statut", "状态"]) {
            Column::State
        } else if has(&["[p]", "parallel", "并行"]) || name == "p" {
            Column::Parallel
        } else if has(&["story", "故事"]) {
            Column::Story
        } else if has(&["description", "title", "summary", "name", "what", "描述", "descripción"]) {
            Column::Title
        } else if matches!(name.as_str(), "id" | "#" | "task" | "task id" | "no." | "任务") {
            Column::Id
        } else {
            Column::Other
        }
    };
    cells.iter().map(column).collect()
}

fn task_row(cells: &[&str], columns: &[Column]) -> Option<Row> {
    let at = cells.iter().position(|c| !is_filling(c))?;
    let (id, struck) = id_cell(cells[at])?;
    let of = |column: Column| {
        let cells = cells
            .iter()
            .enumerate()
            .filter(|(n, c)| *n != at && !is_filling(c) && columns.get(*n) == Some(&column));
        cells.map(|(_, c)| *c).collect::<Vec<_>>().join(", ")
    };
    let rest: Vec<&str> = cells.iter().enumerate().filter(|(n, _)| *n != at).map(|(_, c)| *c).collect();
    // A row with an id alone names a task, it does not describe one.
    let first = rest.iter().copied().find(|c| c.chars().any(char::is_alphabetic) && *c != "[P]")?;
    let named = of(Column::Title);
    let raw = if named.is_empty() { first } else { &named };
    let (state, all) = (of(Column::State), rest.join(" "));
    let box_state = cells[..at].iter().chain(&rest).find_map(|c| box_cell(c));
    let state = if struck || is_dropped(&state) {
        Mark::Dropped
    } else if is_done(&state) || box_state == Some(true) {
        Mark::Done
    } else {
        Mark::Open
    };
    let story = of(Column::Story);
    Some(Row {
        id,
        title: title(raw.trim_start_matches("[P]").trim_start()),
        state,
        parallel: rest.iter().any(|c| c.contains("[P]")) || is_yes(&of(Column::Parallel)),
        stories: story.split([',', '+', ' ', '/']).filter_map(|s| story_id(s).map(|(id, _)| id)).collect(),
        needs: of(Column::Needs),
        blocks: of(Column::Blocks),
        text: all,
    })
}

/// Nothing to read: empty, a number, a box.
fn is_filling(cell: &str) -> bool {
    !cell.chars().any(char::is_alphanumeric)
        || cell.chars().all(|c| c.is_ascii_digit())
        || box_cell(cell).is_some()
}

fn box_cell(cell: &str) -> Option<bool> {
    match cell {
        "[ ]" => Some(false),
        "[x]" | "[X]" => Some(true),
        _ => None,
    }
}

/// A cell that is an id and nothing else, and whether it is struck out.
fn id_cell(cell: &str) -> Option<(TaskId, bool)> {
    let bare = cell.trim_matches(['*', '`', '~', '_', '[', ']', ' ']);
    let (id, rest) = task_id(bare)?;
    rest.is_empty().then(|| (id, cell.contains("~~")))
}

fn is_done(state: &str) -> bool {
    let lower = state.to_lowercase();
    let not = ["not ", "un", "in progress", "to do", "todo"].iter().any(|w| lower.starts_with(w));
    let words =
        ["done", "complete", "[x]", "✅", "✓", "✔", "☑", "finished", "fait", "hecho", "完成", "merged"];
    !not && words.iter().any(|w| lower.contains(w))
        && !lower.contains("未完成")
        && !lower.contains("incomplete")
}

fn is_dropped(state: &str) -> bool {
    let lower = state.to_lowercase();
    ["dropped", "removed", "cancel", "skipped", "obsolete", "[~]"].iter().any(|w| lower.contains(w))
}

fn is_yes(cell: &str) -> bool {
    matches!(
        cell.trim_matches(['*', '`', '[', ']']).to_lowercase().as_str(),
        "p" | "y" | "yes" | "x" | "✓" | "✅" | "true" | "oui" | "是"
    )
}
