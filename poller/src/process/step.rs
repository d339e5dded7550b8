//! `towline exec-step`: the process that waits, and then is the program.
//!
//! It has one thread. It hears its order, becomes the user, goes into the folder, says so, and waits for the word to go; when
//! the other side ends before that, it ends too and nothing has happened. All calls are safe ones: `nix` and `rustix` wrap them.

use std::{
    collections::BTreeMap,
    env,
    ffi::{CString, OsString},
    fs::{self, File},
    io::{self, BufRead, BufReader, Write},
    os::{
        fd::AsFd,
        unix::{ffi::OsStrExt, net::UnixStream},
    },
    path::PathBuf,
    process::ExitCode,
};

use nix::{
    errno::Errno,
    unistd::{close, execve, geteuid, initgroups, setgid, setuid},
};
use rustix::{
    fs::Mode,
    process::{Signal, set_parent_process_death_signal, setsid, umask},
    stdio::dup2_stdin,
};

use super::{
    MAX_STDIN, Refusal,
    environment::{self, environment},
    search::Search,
    signals::default_signals,
    wire::{self, ARGUMENT, Answer, GO, Request},
};

/// The process's whole life when it was asked to become another program; `None` when it was not.
pub(crate) fn main() -> Option<ExitCode> {
    (env::args_os().nth(1)? == ARGUMENT).then(|| match serve() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(
                io::stderr(),
                "towline: {ARGUMENT} is for towline itself: {error}"
            );
            ExitCode::from(2)
        }
    })
}

/// Returns only when the program does not take over.
fn serve() -> io::Result<()> {
    close_inherited();
    let socket = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    let mut orders = BufReader::new(&socket);
    let request: Request = serde_json::from_str(&read_line(&mut orders)?)?;
    // No terminal, so that whoever asks a question there fails at once; and what Ctrl-C ends is the poller alone.
    setsid()?;
    umask(Mode::from_raw_mode(0o022));
    default_signals()?;
    let answer = match Image::prepare(&request) {
        Err(refusal) => refusal,
        Ok(image) => {
            (&socket).write_all(&wire::line(&Answer::Ready)?)?;
            if read_line(&mut orders)? != GO {
                return Ok(());
            }
            match stand_in(request.stdin.as_deref()) {
                Ok(()) => image.take_over(),
                Err(error) => image.other(&error),
            }
        }
    };
    (&socket).write_all(&wire::line(&Answer::Refused(answer))?)
}

/// What towline itself was started with beside the three streams is not for its programs. What it has opened closes itself.
fn close_inherited() {
    let entries = fs::read_dir("/proc/self/fd")
        .into_iter()
        .flatten()
        .flatten();
    let numbers = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let numbers: Vec<_> = numbers.filter(|number| *number > 2).collect();
    for number in numbers {
        // The listing's own is among them, and closed by now.
        let _ = close(number);
    }
}

fn read_line(from: &mut impl BufRead) -> io::Result<String> {
    let mut line = String::new();
    from.read_line(&mut line)?;
    Ok(line)
}

/// Makes these bytes what is read from standard input; the pipe holds them all.
fn stand_in(bytes: Option<&[u8]>) -> io::Result<()> {
    let Some(bytes) = bytes else {
        return Ok(dup2_stdin(File::open("/dev/null")?)?);
    };
    let (reader, mut writer) = io::pipe()?;
    writer.write_all(bytes)?;
    Ok(dup2_stdin(reader)?)
}

/// All that the next program is given.
struct Image {
    path: PathBuf,
    argv: Vec<CString>,
    env: Vec<CString>,
}

impl Image {
    /// Becomes the user, goes into the folder and finds the program.
    fn prepare(request: &Request) -> Result<Self, Refusal> {
        let program = request.argv.first().filter(|name| !name.is_empty());
        let program = program.ok_or_else(|| senseless("no program is named"))?;
        let stdin = request.stdin.as_ref().map_or(0, Vec::len);
        if stdin > MAX_STDIN {
            return Err(senseless(
                "more is given to its standard input than is taken",
            ));
        }
        let user = become_user(request.user.as_deref())?;
        if request.dies_with_us {
            // Forgotten where a process becomes another user. If towline is dead already, the word to go never comes.
            set_parent_process_death_signal(Some(Signal::TERM)).map_err(|error| {
                senseless(&format!("it cannot be tied to towline's life: {error}"))
            })?;
        }
        let variables = environment(&user, &request.env);
        let user = user.name.unwrap_or_else(|| geteuid().to_string());
        env::set_current_dir(&request.dir).map_err(|error| Refusal::Dir {
            dir: request.dir.clone(),
            user: user.clone(),
            why: error.to_string(),
        })?;
        let search = Search {
            program,
            path: variables.get("PATH").cloned().unwrap_or_default(),
            dir: &request.dir,
            user: &user,
        };
        let path = search.find()?;
        search.interpreter_of(&path)?;
        Ok(Self {
            path,
            argv: arguments(&request.argv)?,
            env: assignments(&variables)?,
        })
    }

    /// Becomes the program; returns only why not.
    fn take_over(&self) -> Refusal {
        let Ok(path) = CString::new(self.path.as_os_str().as_bytes()) else {
            return senseless("the program's path holds a NUL");
        };
        let Err(errno) = execve(&path, &self.argv, &self.env);
        let program = self.path.display().to_string();
        if errno == Errno::ENOEXEC {
            Refusal::NoFormat { program }
        } else if matches!(errno, Errno::ENOENT | Errno::ENOTDIR) && self.path.exists() {
            Refusal::Interpreter { program }
        } else {
            let why = errno.desc().to_owned();
            Refusal::Other { program, why }
        }
    }

    fn other(&self, error: &io::Error) -> Refusal {
        Refusal::Other {
            program: self.path.display().to_string(),
            why: error.to_string(),
        }
    }
}

fn senseless(what: &str) -> Refusal {
    Refusal::Senseless(what.to_owned())
}

fn arguments(argv: &[String]) -> Result<Vec<CString>, Refusal> {
    let arguments = argv.iter().map(|argument| CString::new(argument.as_str()));
    let arguments = arguments.collect::<Result<_, _>>();
    arguments.map_err(|_| senseless("an argument holds a NUL, which no program can be given"))
}

fn assignments(variables: &BTreeMap<String, OsString>) -> Result<Vec<CString>, Refusal> {
    let assignment = |(name, value): (&String, &OsString)| {
        if name.is_empty() || name.contains('=') {
            return Err(senseless(&format!("{name:?} is no name of a variable")));
        }
        let text = [name.as_bytes(), b"=", value.as_bytes()].concat();
        CString::new(text).map_err(|_| {
            senseless(&format!(
                "the variable {name:?} holds a NUL, which none can"
            ))
        })
    };
    variables.iter().map(assignment).collect()
}

/// Becomes the user, with its groups; without a name stays who this is.
fn become_user(wanted: Option<&str>) -> Result<environment::User, Refusal> {
    let Some(wanted) = wanted else {
        return Ok(own());
    };
    let failed = |errno: Errno| {
        let user = wanted.to_owned();
        if errno == Errno::EPERM && geteuid().is_root() {
            return Refusal::Incapable { user };
        }
        if errno == Errno::EPERM {
            let own = own().name.unwrap_or_else(|| geteuid().to_string());
            return Refusal::NotRoot { own, user };
        }
        let why = errno.desc().to_owned();
        Refusal::User { user, why }
    };
    let user = nix::unistd::User::from_name(wanted).map_err(failed)?;
    let user = user.ok_or_else(|| Refusal::UnknownUser {
        user: wanted.to_owned(),
    })?;
    if user.uid != geteuid() {
        let name = CString::new(wanted).map_err(|_| senseless("a user's name holds a NUL"))?;
        initgroups(&name, user.gid).map_err(failed)?;
        setgid(user.gid).map_err(failed)?;
        setuid(user.uid).map_err(failed)?;
    }
    Ok(known(user))
}

fn own() -> environment::User {
    let user = nix::unistd::User::from_uid(geteuid()).ok().flatten();
    user.map_or_else(environment::User::unknown, known)
}

fn known(user: nix::unistd::User) -> environment::User {
    environment::User {
        name: Some(user.name),
        home: user.dir,
        shell: user.shell,
    }
}
