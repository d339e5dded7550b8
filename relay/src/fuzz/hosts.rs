//! What hosts tell the hub: frames of a doorbell, a hello, reports.

use towline_protocol::{
    Channel, Glob, Hello, MAX_CHANNELS, MAX_LOG_TAIL, MAX_MATCHED, MAX_REPORTS, MAX_REQUEST_BODY,
    MAX_SERVICES, Report, ToHub,
};

use crate::{
    api::report::{self, MAX_MESSAGE, MAX_STEP, MAX_STEPS},
    doorbell::{self, MAX_KIND, MAX_VERSION},
};

/// A frame, and the same bytes as the body of each request: what is taken has its caps, and of a hello nothing that its
/// token does not allow; it reads back as itself.
pub fn told(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    match doorbell::frame(&text) {
        Ok(ToHub::Hello(hello)) => is_admitted(hello),
        Ok(ToHub::Report { report, .. }) => is_capped(&report),
        Ok(ToHub::Unknown) => assert!(text.len() <= MAX_REQUEST_BODY),
        Err(close) => {
            assert!([1007, 1009].contains(&close.code) && close.reason.len() <= 123);
        }
    }
    if let Ok(hello) = doorbell::hello(input) {
        is_admitted(hello);
    }
    if let Ok(reports) = report::read(input) {
        assert!(reports.len() <= MAX_REPORTS);
        reports.iter().for_each(is_capped);
    }
}

fn is_admitted(hello: Hello) {
    let asked: Vec<Channel> = hello.marks.keys().cloned().collect();
    let globs = [Glob::new("octo-org/*")];
    let (kept, left_out) = doorbell::admitted(hello, &globs);
    let is_allowed = |channel: &Channel| channel.as_str().starts_with("octo-org/");
    assert!(kept.marks.keys().all(is_allowed));
    assert!(
        kept.services
            .iter()
            .all(|service| is_allowed(&service.channel))
    );
    assert!(!left_out.iter().any(is_allowed));
    assert!(kept.marks.len() <= MAX_CHANNELS && kept.services.len() <= MAX_SERVICES);
    assert!(kept.version.len() <= MAX_VERSION);
    assert!(
        kept.services
            .iter()
            .all(|service| service.kind.len() <= MAX_KIND)
    );
    let wanted = asked.iter().filter(|channel| is_allowed(channel));
    assert!(wanted.take(MAX_CHANNELS).eq(kept.marks.keys()));
    let json = serde_json::to_string(&kept).expect("plain data");
    assert_eq!(
        serde_json::from_str::<Hello>(&json).expect("its own JSON"),
        kept
    );
    let again = doorbell::admitted(kept.clone(), &globs);
    assert_eq!(again, (kept, [].into()));
}

fn is_capped(report: &Report) {
    assert!(report.log_tail.len() <= MAX_LOG_TAIL && report.message.len() <= MAX_MESSAGE);
    assert!(report.steps.len() <= MAX_STEPS && report.matched.len() <= MAX_MATCHED);
    assert!(report.steps.iter().all(|step| step.step.len() <= MAX_STEP));
    let json = serde_json::to_string(report).expect("plain data");
    assert_eq!(
        serde_json::from_str::<Report>(&json).expect("its own JSON"),
        *report
    );
}
