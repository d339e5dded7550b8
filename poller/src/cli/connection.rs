//! The relay as an operator reaches it: its address, the token, and what it refuses in an operator's words.

use std::path::{Path, PathBuf};

use super::{aim, complain, settings_if_there};
use crate::{
    relay_client::{Deadlines, RelayClient, RelayError},
    route::Route,
    settings::RelayUrl,
    token::{self, OperatorToken},
};

/// The relay and who asks it.
#[derive(Debug, clap::Args)]
pub(super) struct Connection {
    /// The relay's address; without it $TOWLINE_RELAY, else the one in the host's file.
    #[arg(long, value_name = "URL")]
    relay: Option<RelayUrl>,
    /// A file that holds an operator's token; without it the variable TOWLINE_TOKEN does.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
}

impl Connection {
    /// Prepares the connection to the relay; nothing is sent yet. `or_ticket`: a ticket will do.
    pub(super) fn open(
        &self,
        config: &Path,
        or_ticket: bool,
    ) -> anyhow::Result<(RelayClient, OperatorToken)> {
        let file = || settings_if_there(config);
        let variable = std::env::var(aim::RELAY_VARIABLE).ok();
        let relay = aim::relay(self.relay.as_ref(), variable.as_deref(), &file)?;
        let token = token::operator(self.token_file.as_deref(), or_ticket, |name| {
            std::env::var_os(name)
        })?;
        if let Some(warning) = &token.warning {
            complain(&format!("warning: {warning}"));
        }
        let route = Route::of(&relay, |name| std::env::var_os(name))?;
        let client = RelayClient::new(&route, &token.secret, Deadlines::default())?;
        Ok((client, token))
    }
}

/// Whether it may be otherwise in a moment.
pub(super) fn may_pass(error: &RelayError) -> bool {
    match error {
        RelayError::Unreachable { .. } | RelayError::Busy { .. } => true,
        RelayError::NotARelay { .. }
        | RelayError::Token { .. }
        | RelayError::Forbidden { .. }
        | RelayError::Upgrade { .. }
        | RelayError::Refused { .. } => false,
    }
}

/// The error in an operator's words.
pub(super) fn explained(error: &RelayError) -> String {
    match error {
        RelayError::NotARelay { origin, problem } => {
            format!("{origin} does not answer like a relay: {problem}; check its address (--relay)")
        }
        RelayError::Token { message } => format!(
            "the relay does not accept this token (401): {message}; make a new one with: towline token --role operator"
        ),
        RelayError::Forbidden { message } => format!(
            "this token is not for this (403): {message}; an operator's with the right --channel is needed"
        ),
        RelayError::Refused {
            status: 404,
            message,
        } => format!(
            "the relay does not know it, or the token is not for its channel (404): {message}"
        ),
        RelayError::Unreachable { .. }
        | RelayError::Upgrade { .. }
        | RelayError::Busy { .. }
        | RelayError::Refused { .. } => error.to_string(),
    }
}
