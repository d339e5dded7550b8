//! Commands that a program calls which Towline itself has started: those that wait for what is under way would wait for
//! themselves, and are refused. Pure but for the variables of this process, which say who calls.

use std::{env, ffi::OsString};

use anyhow::bail;
use towline_protocol::ServiceName;

/// What to do where the variables have outlived what was under way.
const LEFT: &str = "where nothing waits for it any more, unset TOWLINE_STEP";

/// A service's hook or command, which Towline waits for.
#[derive(Debug)]
struct Caller {
    service: String,
    step: String,
}

impl Caller {
    /// By these variables; `None` where nobody waits for who calls.
    fn of(variable: impl Fn(&str) -> Option<OsString>) -> Option<Self> {
        let text = |name| {
            let value = variable(name)?.into_string().ok()?;
            (!value.is_empty()).then_some(value)
        };
        Some(Self {
            service: text("TOWLINE_SERVICE")?,
            step: text("TOWLINE_STEP")?,
        })
    }

    /// Refuses an order of any service: each waits for all that is under way.
    fn order(&self, command: &str) -> anyhow::Result<()> {
        bail!(
            "towline {command} waits for what is under way, and that waits for this program, the {} of {}: call it when that \
             has ended ({LEFT})",
            self.step,
            self.service
        )
    }

    /// Refuses to wait for what is under way with `service`, if that is what waits for this program.
    fn wait(&self, service: &ServiceName) -> anyhow::Result<()> {
        if self.service != service.as_str() {
            return Ok(());
        }
        bail!(
            "towline hold {service} --wait waits for what is under way with {service}, and that waits for this program, its {}: \
             leave --wait away ({LEFT})",
            self.step
        )
    }
}

/// Refuses `towline COMMAND`, which the loop carries out when it is free, to a program that the loop waits for.
pub(super) fn refuse_order(command: &str) -> anyhow::Result<()> {
    caller().map_or(Ok(()), |caller| caller.order(command))
}

/// Refuses to wait for what is under way with `service` to a program that this waits for.
pub(super) fn refuse_wait(service: &ServiceName) -> anyhow::Result<()> {
    caller().map_or(Ok(()), |caller| caller.wait(service))
}

fn caller() -> Option<Caller> {
    Caller::of(|name| env::var_os(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn called(variables: &[(&str, &str)]) -> Option<Caller> {
        Caller::of(|name| {
            let mut all = variables.iter();
            all.find(|(one, _)| *one == name)
                .map(|(_, value)| value.into())
        })
    }

    #[test]
    fn an_operator_is_no_program_that_is_waited_for_nor_who_has_half_of_the_variables() {
        for variables in [
            &[][..],
            &[("TOWLINE_SERVICE", "web")],
            &[("TOWLINE_SERVICE", "web"), ("TOWLINE_STEP", "")],
            &[("TOWLINE_STEP", "before")],
        ] {
            let caller = called(variables);
            assert!(caller.is_none(), "{caller:?}");
        }
    }

    #[test]
    fn a_program_may_order_nothing_and_wait_for_other_services_than_its_own_alone() {
        let hook = called(&[("TOWLINE_SERVICE", "web"), ("TOWLINE_STEP", "before")]).unwrap();
        let told = hook.order("retry").unwrap_err().to_string();
        assert!(
            told.starts_with("towline retry waits for what is under way")
                && told.contains("the before of web: call it when that has ended (")
                && told.contains("unset TOWLINE_STEP"),
            "{told}"
        );
        hook.wait(&"web-2".parse().unwrap()).unwrap();
        let told = hook.wait(&"web".parse().unwrap()).unwrap_err().to_string();
        assert!(told.contains("leave --wait away"), "{told}");
    }
}
