//! What is kept of what a program says: lines for the log, within bounds, and the end of it all. Pure.

use std::{mem, time::Duration};

use super::MAX_TAIL;

/// Bytes of a line; more of it are left out.
const MAX_LINE: usize = 4 << 10;
/// What a line costs beside its bytes: every log adds a time and a name.
const LINE_COST: u64 = 100;
/// Bytes that may come at once, and how many more a second: `yes` must not fill a disk.
const BURST: u64 = 256 << 10;
const PER_SECOND: u64 = 4 << 10;
/// How much there must be again before lines are passed on again, so that not every second line says what is missing.
const ENOUGH: u64 = BURST / 8;

/// What a program has said until now.
#[derive(Debug)]
pub(super) struct Output {
    /// Its end, and up to as much before it.
    end: Vec<u8>,
    /// Whether something came before `end`.
    is_cut: bool,
    /// The line that has not ended, up to [`MAX_LINE`] and how much more there was.
    line: Vec<u8>,
    more: usize,
    allowance: Allowance,
    left_out: u64,
}

impl Output {
    pub(super) fn new() -> Self {
        Self {
            end: Vec::new(),
            is_cut: false,
            line: Vec::new(),
            more: 0,
            allowance: Allowance {
                left: BURST,
                at: Duration::ZERO,
                is_spent: false,
            },
            left_out: 0,
        }
    }

    /// Takes in what was said at `at`, since the beginning; each whole line goes to `tell`.
    pub(super) fn take(&mut self, said: &[u8], at: Duration, tell: &mut dyn FnMut(&str)) {
        self.keep(said);
        // Progress bars end their lines with a carriage return.
        for piece in said.split_inclusive(|byte| matches!(byte, b'\n' | b'\r')) {
            match piece {
                [line @ .., b'\n' | b'\r'] => {
                    self.add(line);
                    self.end_line(at, tell);
                }
                rest => self.add(rest),
            }
        }
    }

    /// Takes note of something that the program has not said itself.
    pub(super) fn note(&mut self, note: &str, tell: &mut dyn FnMut(&str)) {
        if !matches!(self.end.last(), None | Some(b'\n')) {
            self.keep(b"\n");
        }
        self.keep(note.as_bytes());
        self.keep(b"\n");
        tell(note);
    }

    /// Tells what was not told yet.
    pub(super) fn flush(&mut self, at: Duration, tell: &mut dyn FnMut(&str)) {
        self.end_line(at, tell);
        self.tell_left_out(tell);
    }

    /// The end of it all, from the beginning of a line if there is one near.
    pub(super) fn tail(&self) -> String {
        let start = self.end.len().saturating_sub(MAX_TAIL);
        let bytes = self.end.get(start..).unwrap_or_default();
        let text = String::from_utf8_lossy(bytes).replace("\r\n", "\n");
        let text: String = text.replace('\r', "\n").chars().map(visible).collect();
        let mut text = text.as_str();
        while text.len() > MAX_TAIL {
            let mut chars = text.chars();
            chars.next();
            text = chars.as_str();
        }
        if self.is_cut || start > 0 {
            text = text
                .split_once('\n')
                .filter(|(first, _)| first.len() < MAX_TAIL / 4)
                .map_or(text, |(_, rest)| rest);
        }
        text.to_owned()
    }

    fn keep(&mut self, said: &[u8]) {
        let start = said.len().saturating_sub(MAX_TAIL);
        self.is_cut |= start > 0;
        self.end
            .extend_from_slice(said.get(start..).unwrap_or_default());
        if self.end.len() > 2 * MAX_TAIL {
            self.end.drain(..self.end.len() - MAX_TAIL);
            self.is_cut = true;
        }
    }

    fn add(&mut self, part: &[u8]) {
        let room = MAX_LINE - self.line.len();
        let (fits, more) = part.split_at(room.min(part.len()));
        self.line.extend_from_slice(fits);
        self.more += more.len();
    }

    fn end_line(&mut self, at: Duration, tell: &mut dyn FnMut(&str)) {
        let more = mem::take(&mut self.more);
        if self.line.is_empty() {
            return;
        }
        if self.allowance.takes(LINE_COST + self.line.len() as u64, at) {
            self.tell_left_out(tell);
            let mut line: String = String::from_utf8_lossy(&self.line)
                .chars()
                .map(visible)
                .collect();
            if more > 0 {
                line.push_str(&format!(" ({more} more bytes of this line are left out)"));
            }
            tell(&line);
        } else {
            self.left_out += 1;
        }
        self.line.clear();
    }

    fn tell_left_out(&mut self, tell: &mut dyn FnMut(&str)) {
        match mem::take(&mut self.left_out) {
            0 => {}
            1 => tell("(1 line is left out here)"),
            count => tell(&format!("({count} lines are left out here)")),
        }
    }
}

/// What a terminal would obey is not passed on.
fn visible(c: char) -> char {
    match c {
        '\n' | '\t' => c,
        c if c.is_control() => char::REPLACEMENT_CHARACTER,
        c => c,
    }
}

/// How much may still be told.
#[derive(Debug)]
struct Allowance {
    left: u64,
    at: Duration,
    is_spent: bool,
}

impl Allowance {
    fn takes(&mut self, cost: u64, at: Duration) -> bool {
        // Whole bytes are added, and the time they took is counted, so that no part of a second is lost.
        let earned = at.saturating_sub(self.at).as_millis() as u64 * PER_SECOND / 1000;
        if earned > 0 {
            self.left = (self.left + earned).min(BURST);
            self.at = at;
        }
        let needed = if self.is_spent { ENOUGH } else { cost };
        self.is_spent = self.left < needed.max(cost);
        if !self.is_spent {
            self.left -= cost;
        }
        !self.is_spent
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is told of this, and its end.
    fn told(pieces: &[(&[u8], u64)]) -> (Vec<String>, String) {
        let mut output = Output::new();
        let mut lines = Vec::new();
        let mut last = Duration::ZERO;
        for (said, second) in pieces {
            last = Duration::from_secs(*second);
            output.take(said, last, &mut |line| lines.push(line.to_owned()));
        }
        output.flush(last, &mut |line| lines.push(line.to_owned()));
        (lines, output.tail())
    }

    #[test]
    fn lines_come_whole_whatever_pieces_they_come_in_and_the_last_needs_no_end() {
        let (lines, tail) = told(&[(b"fetch", 0), (b"ing\r\n\r\n50%\r100%\nd", 0), (b"one", 1)]);
        assert_eq!(lines, ["fetching", "50%", "100%", "done"]);
        assert_eq!(tail, "fetching\n\n50%\n100%\ndone");
        assert_eq!(told(&[]), (vec![], String::new()));
    }

    #[test]
    fn what_is_no_text_or_would_be_obeyed_by_a_terminal_is_replaced() {
        let (lines, tail) = told(&[(b"a\xff\x1b[2Jb\tc\n", 0)]);
        assert_eq!(lines, ["a\u{fffd}\u{fffd}[2Jb\tc"]);
        assert_eq!(tail, "a\u{fffd}\u{fffd}[2Jb\tc\n");
    }

    #[test]
    fn a_long_line_is_cut_and_says_so() {
        let long = [&[b'x'; MAX_LINE + 7][..], b"\nnext\n"].concat();
        let (lines, _) = told(&[(&long, 0)]);
        let cut = "x (7 more bytes of this line are left out)";
        assert!(lines[0].ends_with(cut) && lines[0].len() < MAX_LINE + 50);
        assert_eq!(lines[1], "next");
    }

    #[test]
    fn a_flood_is_cut_and_the_log_says_how_much_is_missing_and_goes_on_when_it_abates() {
        let flood = b"y\n".repeat(100_000);
        let (lines, tail) = told(&[(&flood, 0), (&flood, 0), (b"calm\n", 60)]);
        let passed = lines.iter().filter(|line| *line == "y").count();
        assert_eq!(passed as u64, BURST / (LINE_COST + 1));
        let note = format!("({} lines are left out here)", 200_000 - passed);
        assert_eq!(lines[passed..], [note.as_str(), "calm"]);
        assert!(tail.len() <= MAX_TAIL && tail.ends_with("y\ncalm\n"));
    }

    #[test]
    fn a_flood_without_end_is_bounded_by_the_second() {
        let second = b"y\n".repeat(1000);
        let pieces: Vec<_> = (0..600).map(|at| (&second[..], at)).collect();
        let (lines, _) = told(&pieces);
        let bytes: u64 = lines.iter().map(|line| LINE_COST + line.len() as u64).sum();
        assert!(bytes < BURST + 700 * PER_SECOND, "{bytes}");
        let notes = lines.iter().filter(|line| line.starts_with('(')).count();
        assert!((10..200).contains(&notes), "{notes}");
    }

    #[test]
    fn the_tail_is_the_end_begins_with_a_line_and_stays_within_its_bound() {
        let said: String = (0..5000).map(|at| format!("line {at}\n")).collect();
        let (_, tail) = told(&[(said.as_bytes(), 0)]);
        assert!(tail.len() <= MAX_TAIL && tail.len() > MAX_TAIL - 100);
        assert!(tail.starts_with("line ") && tail.ends_with("line 4999\n"));
        let (_, tail) = told(&[(&[0xff; 3 * MAX_TAIL], 0)]);
        assert!(tail.len() <= MAX_TAIL && tail.chars().all(|c| c == '\u{fffd}'));
        let mut output = Output::new();
        output.take(b"half", Duration::ZERO, &mut |_| ());
        output.note("noted", &mut |_| ());
        assert_eq!(output.tail(), "half\nnoted\n");
    }
}
