//! `hold` and `release` by the control socket: handing them on, and saying what goes on all the same.
//!
//! The lock is taken first and then it is looked what is under way: nothing begins in between, so that nothing is missed.

use std::io;

use tokio::{
    io::{AsyncBufReadExt, BufReader},
    net::unix::{OwnedReadHalf, OwnedWriteHalf},
    sync::oneshot,
};
use towline_protocol::ServiceName;

use super::{
    board::LockOrder,
    message::{Code, Line},
    server::{Desk, say, too_many},
};
use crate::{
    lock::{Asked, INTERRUPTED, LockName},
    status::PendingState,
};

impl Desk {
    /// Hands on what is asked about locks; the answer.
    pub(super) async fn lock(&self, service: &ServiceName, asked: Asked) -> io::Result<Line> {
        let (answer, answered) = oneshot::channel();
        let order = LockOrder {
            service: service.clone(),
            asked,
            answer,
        };
        if self.locks.try_send(order).is_err() {
            return Ok(too_many());
        }
        // Without an answer the process ends; the client is told by the end of its connection.
        let ended = |_| io::Error::from(io::ErrorKind::BrokenPipe);
        answered.await.map_err(ended)
    }

    /// Says that a service is held off, and what goes on with it all the same; if it is to `wait`, when that has ended.
    pub(super) async fn held(
        &self,
        service: &ServiceName,
        line: Line,
        wait: Option<&LockName>,
        mut reader: BufReader<OwnedReadHalf>,
        mut writer: OwnedWriteHalf,
    ) -> io::Result<()> {
        let (said, goes_on) = match (line, self.goes_on(service)) {
            (Line::Done(said), Some(goes_on)) => (said, goes_on),
            (line, _) => return say(&mut writer, &line).await,
        };
        let Some(name) = wait.filter(|_| self.is_busy(service)) else {
            return say(&mut writer, &Line::Done(format!("{said}; {goes_on}"))).await;
        };
        let waiting = format!("{said}; waiting for what is under way with it to end");
        say(&mut writer, &Line::Waiting(waiting)).await?;
        tokio::select! {
            () = self.idle(service) => say(&mut writer, &self.still(service, name, said)).await,
            // It is held off all the same.
            _ = reader.fill_buf() => Ok(()),
        }
    }

    /// What was waited for has ended: that the service is held off by this name, if it still is.
    fn still(&self, service: &ServiceName, name: &LockName, said: String) -> Line {
        let locks = self.board.locks.borrow();
        let mut its = locks.get(service).into_iter().flatten();
        if its.any(|lock| lock.name == *name) {
            return Line::Done(said);
        }
        let over = format!(
            "{service} is not held off by {name} any more: its time was over before what was under way, or it was released; \
             hold it off for longer (--for)"
        );
        Line::refused(Code::Declined, over)
    }

    /// What goes on with a service also while it is held off.
    fn goes_on(&self, service: &ServiceName) -> Option<&'static str> {
        if self.is_busy(service) {
            return Some("what is under way with it is not held off and goes on");
        }
        let published = self.published()?;
        let mut services = published.status.services.iter();
        let pending = services
            .find(|one| one.name == *service)?
            .pending
            .as_ref()?;
        (pending.state == PendingState::Interrupted).then_some(INTERRUPTED)
    }

    /// Whether something is done with a service just now.
    fn is_busy(&self, service: &ServiceName) -> bool {
        let underway = self.board.underway.borrow();
        underway.as_ref().is_some_and(|it| it.service == *service)
            || self.board.ordered.borrow().as_ref() == Some(service)
    }

    /// Waits until nothing is done with a service any more.
    async fn idle(&self, service: &ServiceName) {
        let mut board = self.board.clone();
        while self.is_busy(service) {
            // Without the loop there is nothing to wait for.
            let changed = tokio::select! {
                changed = board.underway.changed() => changed,
                changed = board.ordered.changed() => changed,
            };
            if changed.is_err() {
                return;
            }
        }
    }
}
