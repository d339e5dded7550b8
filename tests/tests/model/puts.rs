//! Puts and the alarm: what the pace says is done, and told to it when it is over.

use std::rc::Rc;

use towline_protocol::Mailbox;
use towline_relay::pace::{Action, Ended, Event, FIRST_ALARM, PUT_TIMEOUT, Pace};

use super::{
    hub::{index, ms, name},
    mutant::Mutant,
    property::Property,
    step::Fate,
    world::{Later, World},
};

/// A put that was begun.
#[derive(Debug)]
pub(super) struct Put {
    channel: usize,
    mailbox: Rc<Mailbox>,
    head: u64,
    /// When the hub heard of its end.
    heard: Option<u64>,
    /// Whether it was given up.
    late: bool,
    ok: bool,
    life: u32,
}

impl Put {
    /// Whether the hub of this life waits for its end.
    pub(super) fn is_under_way(&self, life: u32) -> bool {
        self.life == life && self.heard.is_none()
    }
}

impl World {
    /// Does what the pace says until it says to wait.
    pub(super) fn act(&mut self, channel: usize, event: Event) {
        let mut next = Some(event);
        while let Some(event) = next.take() {
            if self.makes(Mutant::ForgetsWhoIsAtIt) {
                self.hub.pace = Pace::default();
            }
            let event = match event {
                Event::Doubt if self.makes(Mutant::ForgetsLatePuts) => return,
                Event::Doubt if self.makes(Mutant::ForgetsTheDoubt) => {
                    self.unwritten(channel);
                    Event::Behind
                }
                event => event,
            };
            let mut action = self.hub.pace.on(&name(channel), event, self.now);
            if self.makes(Mutant::PutsWithoutPause) && matches!(action, Action::Wait(_)) {
                action = Action::Put;
            }
            match action {
                Action::Nothing => {}
                Action::Wait(pause) => {
                    if self.makes(Mutant::PutsWhatItSawBefore) {
                        let seen = self.hub.store.due_mailbox(&name(channel), self.timestamp());
                        self.stale[channel] = seen.ok().flatten();
                    }
                    let life = self.hub.life;
                    self.after(ms(pause), Later::Rested { channel, life });
                }
                Action::Put => next = self.put(channel).map(Event::Ended),
                Action::Unwritten => {
                    self.unwritten(channel);
                    next = Some(Event::Noted);
                }
            }
        }
    }

    fn unwritten(&mut self, channel: usize) {
        let noted = self.hub.store.unwritten(&name(channel));
        let armed = noted.and_then(|()| self.hub.arm(self.now + ms(FIRST_ALARM)));
        self.doubtful |= armed.is_err();
    }

    /// Begins a put, unless it has ended already.
    fn put(&mut self, channel: usize) -> Option<Ended> {
        let mailbox = match self.hub.store.due_mailbox(&name(channel), self.timestamp()) {
            Err(_) => return Some(Ended::Failed),
            Ok(None) => return Some(Ended::NothingDue),
            Ok(Some(mailbox)) => mailbox,
        };
        let (head, stale) = (mailbox.head, self.stale[channel].take());
        self.check_put(channel);
        let fate = if self.fates.is_empty() {
            Fate::WORKS
        } else {
            self.fates.remove(0)
        };
        let put = self.puts.len();
        self.puts.push(Put {
            channel,
            mailbox: stale.unwrap_or(mailbox).into(),
            head,
            heard: None,
            late: false,
            ok: fate.ok,
            life: self.hub.life,
        });
        if let Some(lands_ms) = fate.lands_ms {
            self.after(lands_ms, Later::PutLands { put });
        }
        self.after(
            fate.lands_ms.unwrap_or_default() + fate.answer_ms,
            Later::PutEnds { put },
        );
        self.after(ms(PUT_TIMEOUT), Later::PutTimesOut { put });
        None
    }

    fn check_put(&mut self, channel: usize) {
        let life = self.hub.life;
        let others = self
            .puts
            .iter()
            .filter(|put| put.channel == channel && put.life == life);
        let mut how = None;
        for other in others {
            match other.heard {
                None if !other.late => how = Some("one is under way"),
                Some(at) if self.now < at + 1_000 => how = Some("one has just ended"),
                _ => {}
            }
        }
        if let Some(how) = how {
            self.breaks(Property::OnePut, how);
        }
    }

    pub(super) fn put_lands(&mut self, put: usize) {
        let put = &mut self.puts[put];
        let taken = self.kv.write(put.channel, put.mailbox.clone(), self.now);
        put.ok &= taken;
    }

    pub(super) fn put_ends(&mut self, number: usize) {
        let put = &mut self.puts[number];
        put.heard = Some(self.now);
        if put.life != self.hub.life {
            return;
        }
        let (channel, late, ok) = (put.channel, put.late, put.ok);
        if late {
            return self.act(channel, Event::Doubt);
        }
        let ended = if ok {
            self.written(number)
        } else {
            Ended::Failed
        };
        self.act(channel, Event::Ended(ended));
    }

    fn written(&mut self, put: usize) -> Ended {
        let (channel, mut head) = (name(self.puts[put].channel), self.puts[put].head);
        if self.makes(Mutant::ForgetsWhatCameMeanwhile) {
            head = self.numbers_of(self.puts[put].channel).head;
        }
        let written = self.hub.store.written(&channel, head);
        let behind = written.and_then(|()| self.hub.store.is_due(&channel));
        behind.map_or(Ended::Failed, |behind| Ended::Written { behind })
    }

    pub(super) fn put_times_out(&mut self, put: usize) {
        let put = &mut self.puts[put];
        if put.heard.is_none() && put.life == self.hub.life {
            put.late = true;
            let channel = put.channel;
            self.act(channel, Event::Ended(Ended::Failed));
        }
    }

    /// The alarm fires. Its handler fails when it cannot be set again, and the runtime repeats it.
    pub(super) fn alarm(&mut self) {
        self.hub.alarm_at = None;
        let due = self.hub.store.due();
        let is_due = !due.as_ref().is_ok_and(Vec::is_empty);
        let Some(again) = self.hub.pace.alarm(is_due) else {
            return;
        };
        let again = self.now + ms(again);
        if !self.makes(Mutant::LosesAlarm) && self.hub.arm(again).is_err() {
            self.hub.alarm_at = Some(self.now + ms(FIRST_ALARM));
        }
        for channel in due.unwrap_or_default() {
            self.act(index(&channel), Event::Behind);
        }
    }
}
