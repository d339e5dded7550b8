//! SIGTERM, SIGINT and SIGHUP (a terminal that closes): a wish to end at the next safe point.

use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
};

/// Whether somebody asked this process to end.
#[derive(Clone, Debug)]
pub struct Stop {
    asked: watch::Receiver<bool>,
    leaves_gates: bool,
}

impl Stop {
    /// Begins to listen; from now on the signals do not end the process by themselves.
    ///
    /// # Errors
    /// When the system refuses a handler.
    pub fn on_signals() -> std::io::Result<Self> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut hangup = signal(SignalKind::hangup())?;
        let (sender, receiver) = watch::channel(false);
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    _ = terminate.recv() => {}
                    _ = interrupt.recv() => {}
                    _ = hangup.recv() => {}
                }
                tracing::info!("asked to stop; ending at the next safe point");
                if sender.send(true).is_err() {
                    return;
                }
            }
        });
        Ok(Self {
            asked: receiver,
            leaves_gates: false,
        })
    }

    /// The same for a process after which another one comes by itself: a gate is left to that one. Else a gate that was
    /// begun is taken to its end, since a host may be left with a version that nobody watches and nothing starts again.
    pub fn leaving_gates(self) -> Self {
        Self {
            leaves_gates: true,
            ..self
        }
    }

    /// The sender that asks for it, and one that hears only that.
    #[cfg(test)]
    pub(super) fn when_told() -> (watch::Sender<bool>, Self) {
        let (sender, asked) = watch::channel(false);
        let leaves_gates = false;
        let stop = Self {
            asked,
            leaves_gates,
        };
        (sender, stop)
    }

    /// Whether it was asked for.
    pub fn is_wanted(&self) -> bool {
        *self.asked.borrow()
    }

    /// Waits until it is asked for.
    pub async fn wanted(&mut self) {
        if self.asked.wait_for(|wanted| *wanted).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Waits until it is asked for and a gate may be left.
    pub async fn leave(&mut self) {
        if !self.leaves_gates {
            std::future::pending::<()>().await;
        }
        self.wanted().await;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn a_gate_is_left_only_by_a_process_after_which_another_one_comes() {
        let (_sender, asked) = watch::channel(true);
        let mut stop = Stop {
            asked,
            leaves_gates: false,
        };
        stop.wanted().await;
        let left = timeout(Duration::from_millis(20), stop.leave()).await;
        assert!(left.is_err(), "it left the gate");
        stop.leaving_gates().leave().await;
    }
}
