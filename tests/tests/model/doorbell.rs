//! The doorbell's two ends: who is rung, and what a ring means to a host.

use towline_protocol::{ChannelNews, Hello, Intent, IntentId, Mark};

use super::{
    host::Socket,
    hub::{host_name, name},
    mutant::Mutant,
    property::RING_MS,
    world::{CHANNELS, LATENCY_MS, Later, World},
};

impl World {
    /// Rings at every host that listens, and has it looked at later whether the ring came.
    pub(super) fn ring(&mut self, channel: usize, id: &IntentId) {
        let Ok(Some(intent)) = self.hub.store.intent(id) else {
            return;
        };
        let Ok(listeners) = self.hub.store.listeners(&name(channel)) else {
            return;
        };
        for (host, socket) in self.hub.greeted.clone() {
            if listeners.contains(&host_name(host)) {
                let intent = Box::new(intent.clone());
                self.after(
                    LATENCY_MS,
                    Later::Ring {
                        host,
                        socket,
                        intent,
                    },
                );
            }
        }
        for host in 0..self.hosts.len() {
            if let Some(socket) = self.hosts[host].socket {
                let (begins, id) = (socket.hello_at.max(self.now) - self.now, id.clone());
                let check = Later::CheckRing {
                    host,
                    socket: socket.number,
                    channel,
                    id,
                };
                self.after(begins + RING_MS, check);
            }
        }
    }

    /// A host has said hello: first it is registered, then told what is newer than its marks.
    pub(super) fn hello(&mut self, host: usize, socket: u32, marks: [Mark; CHANNELS.len()]) {
        if self.hosts[host]
            .socket
            .is_none_or(|own| own.number != socket)
        {
            return;
        }
        let marks = marks
            .into_iter()
            .enumerate()
            .map(|(channel, mark)| (name(channel), mark));
        let hello = Hello {
            version: "1".to_owned(),
            marks: marks.collect(),
            services: Vec::new(),
        };
        if self.makes(Mutant::RegistersAfterReading) {
            self.after(LATENCY_MS, Later::Greet { host, socket });
        } else {
            self.greet(host, socket);
        }
        let registered = self.hub.store.register(&host_name(host), &hello, self.now);
        let Ok(unheard) = registered.and_then(|()| self.hub.store.unheard(&hello.marks)) else {
            return self.disconnect(host);
        };
        for intent in unheard {
            let intent = Box::new(intent);
            self.after(
                LATENCY_MS,
                Later::Ring {
                    host,
                    socket,
                    intent,
                },
            );
        }
    }

    pub(super) fn greet(&mut self, host: usize, socket: u32) {
        if self.hosts[host]
            .socket
            .is_some_and(|own| own.number == socket)
        {
            self.hub.forget_socket(host);
            self.hub.greeted.push((host, socket));
        }
    }

    /// A ring is an answer of one intent: what lies before it may be missing.
    pub(super) fn rung(&mut self, host: usize, socket: u32, intent: Intent) {
        let lives = |own: Socket| own.number == socket && own.lives;
        if !self.hosts[host].socket.is_some_and(lives) {
            return;
        }
        let channel = CHANNELS
            .iter()
            .position(|name| *name == intent.channel.as_str());
        let (channel, epoch, seq) = (channel.unwrap(), intent.epoch, intent.seq);
        let news = ChannelNews {
            epoch,
            head: seq,
            pruned_before: 0,
            intents: vec![intent],
        };
        if self.makes(Mutant::TakesRingAsHead) {
            let news = ChannelNews {
                pruned_before: seq,
                ..news
            };
            return self.take_in(host, channel, news, false);
        }
        self.take_in(host, channel, news, false);
    }

    /// A host opens a socket and says hello with the marks that it has then.
    pub(super) fn connect(&mut self, host: usize) {
        self.disconnect(host);
        let own = &mut self.hosts[host];
        own.sockets += 1;
        let number = own.sockets;
        let hello_at = self.now + LATENCY_MS;
        own.socket = Some(Socket {
            number,
            hello_at,
            lives: true,
        });
        let marks = [own.mark(0), own.mark(1)];
        self.after(
            LATENCY_MS,
            Later::Hello {
                host,
                socket: number,
                marks,
            },
        );
    }

    pub(super) fn disconnect(&mut self, host: usize) {
        self.hosts[host].socket = None;
        self.hub.forget_socket(host);
    }
}
