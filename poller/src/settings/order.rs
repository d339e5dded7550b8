//! Which services of one intent come before which, by `after`: what stands there, and the order that follows. Pure.
//!
//! Not here: what becomes of an intent with a service that comes after others (`select`).

use std::ops::Range;

use toml::de::DeValue;
use towline_protocol::ServiceName;

use super::{
    Service, Settings,
    read::{Reader, near},
    values,
};

/// The names of services, one or a list.
pub(super) fn after(value: &DeValue<'_>) -> Result<Vec<ServiceName>, String> {
    let expected = "expected the name of a service of this file such as \"db\", or a list of them";
    let mut names = values::one_or_many(value, expected, |name| {
        let name = values::string(name)?;
        name.parse()
            .map_err(|error| format!("{expected}: {error}, found {:?}", values::cut(name)))
    })?;
    names.sort();
    names.dedup();
    Ok(names)
}

/// Refuses names of no service, and circles. `known` are the names in the file, also of services with mistakes;
/// `spans` says where each of the services has its `after`.
pub(super) fn refuse_disorder(
    services: &[Service],
    known: &[&str],
    spans: &[Range<usize>],
    reader: &mut Reader<'_>,
) {
    let mut told: Vec<&ServiceName> = Vec::new();
    for (service, span) in services.iter().zip(spans) {
        let key = format!("service.{}.after", service.name);
        for name in &service.after {
            if let Some(message) = unknown(name, known) {
                reader.tell(span, &key, message);
            }
        }
        let Some(circle) = circle(services, &service.name) else {
            continue;
        };
        if !circle.iter().any(|name| told.contains(name)) {
            reader.tell(span, &key, words(&circle));
            told.extend(circle);
        }
    }
}

fn unknown(name: &ServiceName, known: &[&str]) -> Option<String> {
    if known.contains(&name.as_str()) {
        return None;
    }
    let hint = match near(name.as_str(), known) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("the file has: {}", known.join(", ")),
    };
    Some(format!("there is no [service.{name}]; {hint}"))
}

/// The way from `name` back to itself, `name` at both ends, if there is one.
fn circle<'a>(services: &'a [Service], name: &'a ServiceName) -> Option<Vec<&'a ServiceName>> {
    let after = |name: &ServiceName| {
        let service = services.iter().find(|service| service.name == *name);
        service.map_or(&[][..], |service| &service.after)
    };
    let mut seen: Vec<&ServiceName> = Vec::new();
    let mut ways = vec![vec![name]];
    while let Some(way) = ways.pop() {
        for next in way.last().map_or(&[][..], |last| after(last)) {
            let way: Vec<_> = way.iter().copied().chain([next]).collect();
            if next == name {
                return Some(way);
            }
            if !seen.contains(&next) {
                seen.push(next);
                ways.push(way);
            }
        }
    }
    None
}

fn words(circle: &[&ServiceName]) -> String {
    match circle {
        [name, _] => format!("{name} cannot come after itself; take it away here"),
        _ => {
            let names: Vec<_> = circle.iter().map(|name| name.as_str()).collect();
            let way = names.join(" after ");
            format!("goes round in a circle: {way}; take one of them away")
        }
    }
}

impl Settings {
    /// The services, each after those that come before it, and else in the order of their names.
    pub fn in_order(&self) -> Vec<&Service> {
        let mut left: Vec<&Service> = self.services.iter().collect();
        let mut ordered = Vec::new();
        while !left.is_empty() {
            let waits = |service: &Service| {
                let mut left = left.iter();
                left.any(|other| service.after.contains(&other.name))
            };
            // The file has no circle, so that one of them waits for none.
            let first = left.iter().position(|service| !waits(service));
            ordered.push(left.remove(first.unwrap_or_default()));
        }
        ordered
    }

    /// The services that come before `service`, also by way of others, in their order.
    pub fn before(&self, service: &Service) -> Vec<&Service> {
        let mut names = service.after.clone();
        let mut before = self.in_order();
        before.reverse();
        before.retain(|other| {
            let comes_before = names.contains(&other.name);
            if comes_before {
                names.extend(other.after.iter().cloned());
            }
            comes_before
        });
        before.reverse();
        before
    }

    /// The services that come after the one called `name`, also by way of others, in their order.
    pub fn behind(&self, name: &ServiceName) -> Vec<&Service> {
        let mut behind = self.in_order();
        behind.retain(|other| self.before(other).iter().any(|before| before.name == *name));
        behind
    }
}
