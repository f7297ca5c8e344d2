//! The protocol: `rmcp` over standard input and output, one thread, each tool on a thread of its
//! own so that the program may ask something else meanwhile.

use std::io::IsTerminal as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, Implementation,
    InitializeRequestParams, InitializeResult, ListToolsResult, PaginatedRequestParams, ServerCapabilities,
    ServerConfig,
};
use rmcp::service::{RequestContext, ServerInitializeError};
use rmcp::transport::async_rw::AsyncRwTransport;
use rmcp::{ErrorData, RoleServer, ServerHandler, ServiceExt as _};

use super::bound::{Bound, told};
use super::tools;
use crate::error::{CliError, exit};

/// Bytes of one message from the program; a claim has 16 KiB, a verdict a hundred findings.
const MESSAGE_BYTES_MAX: usize = 4 << 20;
/// Bytes of one answer; what is longer is cut, and says so.
const ANSWER_BYTES_MAX: usize = 64 << 10;

const INSTRUCTIONS: &str = "You work on one task of a feature, in a git worktree of your own. These tools \
    are about that task alone. When you have finished, call task_done; when you cannot go on without a \
    person's decision, call task_blocked; then end your turn.";

/// Serves until the program closes its end.
///
/// # Errors
/// It is not called inside a run; the program is told so in the protocol too.
pub fn run() -> Result<u8, CliError> {
    let bound = Bound::of(|name| std::env::var(name).ok()).map(Arc::new);
    if std::io::stdin().is_terminal() {
        let outside = CliError::refused("a program speaks to this, not a person")
            .hint("`sprint agent done|fail|blocked|comment|verdict` says the same by hand, inside a run");
        return Err(bound.err().unwrap_or(outside));
    }
    let refused = bound.as_ref().err().map(told);
    let over = Arc::new(AtomicBool::new(false));
    let server = Server { bound: bound.as_ref().ok().cloned(), refused, over };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| CliError::environment("the server cannot run").because(error))?;
    let ended = runtime.block_on(serve(server));
    bound.and(ended)
}

async fn serve(server: Server) -> Result<u8, CliError> {
    let over = Arc::clone(&server.over);
    let (input, output) = rmcp::transport::stdio();
    let transport = AsyncRwTransport::new(input, output).with_max_line_length(MESSAGE_BYTES_MAX);
    let running = match server.serve(transport).await {
        Ok(running) => running,
        // It went away before it said anything: nobody is there to be told.
        Err(ServerInitializeError::ConnectionClosed(_)) => return Ok(exit::DONE),
        Err(error) => return Err(CliError::environment("the program cannot be served").because(error)),
    };
    let ended = running.waiting().await;
    // Gates that still run have nobody who waits for them.
    over.store(true, Ordering::Relaxed);
    ended.map_err(|error| CliError::environment("the server ended").because(error))?;
    Ok(exit::DONE)
}

struct Server {
    /// The run; `None` outside of one.
    bound: Option<Arc<Bound>>,
    /// Why there is none, for the program.
    refused: Option<String>,
    /// The program is gone.
    over: Arc<AtomicBool>,
}

impl ServerHandler for Server {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
            .with_server_info(Implementation::new("sprint", env!("CARGO_PKG_VERSION")))
            .with_instructions(INSTRUCTIONS)
    }

    async fn initialize(
        &self,
        request: InitializeRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<InitializeResult, ErrorData> {
        if let Some(refused) = &self.refused {
            return Err(ErrorData::invalid_request(refused.clone(), None));
        }
        context.peer.set_peer_info(request.clone());
        self.negotiate_initialize(&request)
    }

    async fn list_tools(
        &self,
        _request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let is_triage = self.bound.as_ref().is_some_and(|bound| bound.is_triage());
        let tools = if is_triage { tools::declared_to_manager() } else { tools::declared() };
        Ok(ListToolsResult::with_all_items(tools))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let Some(asked) = tools::read(&request.name, request.arguments.unwrap_or_default()) else {
            return Err(ErrorData::invalid_params(format!("there is no tool `{}`", request.name), None));
        };
        let Some(bound) = self.bound.clone() else {
            return Err(ErrorData::invalid_request(self.refused.clone().unwrap_or_default(), None));
        };
        let (over, ended) = (Arc::clone(&self.over), context.ct);
        let cancelled = move || over.load(Ordering::Relaxed) || ended.is_cancelled();
        let work = move || asked.and_then(|asked| bound.perform(asked, &cancelled));
        let done = tokio::task::spawn_blocking(work).await;
        let done =
            done.unwrap_or_else(|_| Err("this is a bug of sprint's; go on without this tool".to_owned()));
        Ok(answer(done).into())
    }
}

fn answer(done: Result<String, String>) -> CallToolResult {
    match done {
        Ok(text) => CallToolResult::success(vec![ContentBlock::text(cut(text))]),
        Err(reason) => CallToolResult::error(vec![ContentBlock::text(cut(reason))]),
    }
}

fn cut(mut text: String) -> String {
    if text.len() > ANSWER_BYTES_MAX {
        let mut end = ANSWER_BYTES_MAX;
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        text.push_str("\n[… cut]");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_answer_is_cut_and_says_so() {
        let long = cut("ä".repeat(ANSWER_BYTES_MAX));
        assert!(long.len() < ANSWER_BYTES_MAX + 20 && long.ends_with("[… cut]"));
        assert_eq!(cut("short".to_owned()), "short");
    }
}
