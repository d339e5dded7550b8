//! The threads in which the relay client blocks, and what it is asked: one for polls of the mailboxes, one for all that the
//! relay passes on to its hub, so that a hub that hangs holds up no poll.

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

/// The way to the threads. They end when this is dropped and their last jobs are done.
#[derive(Debug)]
pub(super) struct RelayThread {
    mailboxes: Sender<Job>,
    hub: Sender<Job>,
}

impl RelayThread {
    /// Starts the threads.
    pub(super) fn start(client: RelayClient) -> std::io::Result<Self> {
        Ok(Self {
            mailboxes: thread_of("mailboxes", client.clone())?,
            hub: thread_of("hub", client)?,
        })
    }

    /// Asks for intents; `known` is the tag of what is on disk.
    pub(super) fn poll(
        &self,
        asked: Vec<ChannelMark>,
        fresh: bool,
        known: Option<Tag>,
    ) -> oneshot::Receiver<Polling> {
        let (answer, receiver) = oneshot::channel();
        let asked_of = if fresh { &self.hub } else { &self.mailboxes };
        let poll = Job::Poll {
            asked,
            fresh,
            known,
            answer,
        };
        push(asked_of, poll);
        receiver
    }

    /// Sends reports.
    pub(super) fn deliver(&self, batch: Vec<Spooled>) -> oneshot::Receiver<Delivery> {
        let (answer, receiver) = oneshot::channel();
        push(&self.hub, Job::Deliver { batch, answer });
        receiver
    }

    /// Says who is there.
    pub(super) fn greet(&self, hello: Hello) -> oneshot::Receiver<Greeting> {
        let (answer, receiver) = oneshot::channel();
        push(&self.hub, Job::Greet { hello, answer });
        receiver
    }

    /// Sends a report that nobody will miss.
    pub(super) fn mention(&self, report: Report) {
        push(&self.hub, Job::Mention(Box::new(report)));
    }
}

fn thread_of(name: &str, client: RelayClient) -> std::io::Result<Sender<Job>> {
    let (jobs, todo) = channel();
    thread::Builder::new()
        .name(name.to_owned())
        .spawn(move || work(client, &todo))?;
    Ok(jobs)
}

fn push(jobs: &Sender<Job>, job: Job) {
    // The thread lives as long as this sender; were it gone, the answer's channel would say so.
    let _ = jobs.send(job);
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

#[cfg(test)]
mod tests {
    use std::{
        io::Write,
        net::{TcpListener, TcpStream},
        time::Duration,
    };

    use towline_protocol::Secret;

    use super::*;
    use crate::{relay_client::Deadlines, route::Route, settings::Settings, testing::net::head};

    /// The next request's first line, and the connection that waits for its answer.
    fn asked(listener: &TcpListener) -> (String, TcpStream) {
        let (mut stream, _) = listener.accept().unwrap();
        let head = head(&mut stream);
        (head.lines().next().unwrap().to_owned(), stream)
    }

    #[tokio::test]
    async fn a_hub_that_hangs_holds_up_no_poll_of_the_mailboxes() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let file = format!(
            "[relay]\nurl = \"http://127.0.0.1:{port}\"\n[service.a]\nchannel = \"a\"\n\
             docker = {{ container = \"aa\" }}"
        );
        let settings = Settings::parse(&file, "t").unwrap();
        let route = Route::of(&settings.relay, |_| None).unwrap();
        let deadlines = Deadlines {
            connect: Duration::from_secs(60),
            total: Duration::from_secs(60),
        };
        let client = RelayClient::new(&route, &Secret::new("t"), deadlines).unwrap();
        let relay = RelayThread::start(client).unwrap();
        let asks = || {
            let mark = "a@0.0".parse().unwrap();
            vec![mark]
        };
        let greeting = relay.greet(Hello::default());
        let (hello, hanging) = asked(&listener);
        assert!(hello.starts_with("POST /v1/hello"), "{hello}");
        let filling = relay.poll(asks(), true, None);
        let polling = relay.poll(asks(), false, None);
        let (poll, mut stream) = asked(&listener);
        assert!(
            poll.starts_with("GET /v1/intents") && !poll.contains("fresh"),
            "{poll}"
        );
        let body = r#"{"channels":{"a":{"epoch":1,"head":0,"pruned_before":0,"intents":[]}}}"#;
        let head = format!(
            "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all((head + body).as_bytes()).unwrap();
        let answer = polling.await.unwrap().unwrap().unwrap();
        assert_eq!(answer.channels.len(), 1);
        drop((stream, hanging));
        assert!(greeting.await.unwrap().is_err());
        let (fill, _) = asked(&listener);
        assert!(fill.contains("fresh=1"), "{fill}");
        assert!(filling.await.unwrap().is_err());
    }
}
