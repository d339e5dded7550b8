//! Towline's relay.

use worker::{Context, Env, Request, Response, event};

/// Answers every request.
///
/// # Errors
/// None yet.
#[event(fetch)]
pub async fn fetch(_request: Request, _env: Env, _context: Context) -> worker::Result<Response> {
    Response::error("not found", 404)
}
