//! SIGTERM, SIGINT and SIGHUP (a terminal that closes): a wish to end at the next safe point.

use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
};

/// Whether somebody asked this process to end.
#[derive(Clone, Debug)]
pub struct Stop(watch::Receiver<bool>);

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
        Ok(Self(receiver))
    }

    /// Whether it was asked for.
    pub fn is_wanted(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits until it is asked for.
    pub async fn wanted(&mut self) {
        if self.0.wait_for(|wanted| *wanted).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
