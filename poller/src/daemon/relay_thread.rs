//! The thread in which the relay client blocks, and what it is asked.

use std::{
    sync::mpsc::{Receiver, Sender, channel},
    thread,
};

use tokio::sync::oneshot;
use towline_protocol::{ChannelMark, Hello, Report};
use tracing::debug;

use crate::{
    relay_client::{Answer, RelayClient, RelayError, Tag},
    report::{Delivery, deliver},
    store::Spooled,
};

/// What a poll answers: nothing changed, or news.
pub(super) type Polling = Result<Option<Answer>, RelayError>;

/// What came of saying who is there.
pub(super) type Greeting = Result<(), RelayError>;

enum Job {
    Poll {
        asked: Vec<ChannelMark>,
        fresh: bool,
        known: Option<Tag>,
        answer: oneshot::Sender<Polling>,
    },
    Deliver {
        batch: Vec<Spooled>,
        answer: oneshot::Sender<Delivery>,
    },
    Mention(Box<Report>),
    Greet {
        hello: Hello,
        answer: oneshot::Sender<Greeting>,
    },
}

/// The way to the thread. It ends when this is dropped and its last job is done.
#[derive(Debug)]
pub(super) struct RelayThread {
    jobs: Sender<Job>,
}

impl RelayThread {
    /// Starts the thread.
    pub(super) fn start(client: RelayClient) -> std::io::Result<Self> {
        let (jobs, todo) = channel();
        thread::Builder::new()
            .name("relay".to_owned())
            .spawn(move || work(client, &todo))?;
        Ok(Self { jobs })
    }

    /// Asks for intents; `known` is the tag of what is on disk.
    pub(super) fn poll(
        &self,
        asked: Vec<ChannelMark>,
        fresh: bool,
        known: Option<Tag>,
    ) -> oneshot::Receiver<Polling> {
        let (answer, receiver) = oneshot::channel();
        self.push(Job::Poll {
            asked,
            fresh,
            known,
            answer,
        });
        receiver
    }

    /// Sends reports.
    pub(super) fn deliver(&self, batch: Vec<Spooled>) -> oneshot::Receiver<Delivery> {
        let (answer, receiver) = oneshot::channel();
        self.push(Job::Deliver { batch, answer });
        receiver
    }

    /// Says who is there.
    pub(super) fn greet(&self, hello: Hello) -> oneshot::Receiver<Greeting> {
        let (answer, receiver) = oneshot::channel();
        self.push(Job::Greet { hello, answer });
        receiver
    }

    /// Sends a report that nobody will miss.
    pub(super) fn mention(&self, report: Report) {
        self.push(Job::Mention(Box::new(report)));
    }

    fn push(&self, job: Job) {
        // The thread lives as long as this sender; were it gone, the answer's channel would say so.
        let _ = self.jobs.send(job);
    }
}

fn work(client: RelayClient, todo: &Receiver<Job>) {
    for job in todo {
        // Whoever asked may have left meanwhile; reports are sent again then, which is harmless.
        match job {
            Job::Poll {
                asked,
                fresh,
                known,
                answer,
            } => {
                let _ = answer.send(client.intents(&asked, fresh, known.as_ref()));
            }
            Job::Deliver { batch, answer } => {
                let _ = answer.send(deliver(&batch, &mut |reports| client.report(reports)));
            }
            Job::Greet { hello, answer } => {
                let _ = answer.send(client.hello(&hello));
            }
            Job::Mention(report) => {
                if let Err(error) = client.report(&[&report]) {
                    debug!("not reported while it goes on: {error}");
                }
            }
        }
    }
}
