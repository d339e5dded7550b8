//! That a replacement keeps what the operator had set and follows the image in all else.

use proptest::{strategy::ValueTree, test_runner::TestRunner};

use super::*;
use crate::testing::{Broken, Property};

fn labels() -> impl Strategy<Value = BTreeMap<String, String>> {
    proptest::collection::btree_map("[ab]{1,2}", "[xy]", 0..4)
}

fn words() -> impl Strategy<Value = Option<Vec<String>>> {
    proptest::option::of(proptest::collection::vec("[a-c]", 1..3))
}

prop_compose! {
    pub(super) fn a_config()(
        env in labels(), labels in labels(), ports in labels(), entrypoint in words(), cmd in words(),
        user in "[uv]?", dir in "(/[a-c])?", signal in "(SIGA|SIGB)?",
        test in words(), interval in 0u8..3, retries in 0u8..3, check in any::<bool>(),
    ) -> Value {
        let ports: BTreeMap<_, _> = ports.keys().map(|key| (key.clone(), json!({}))).collect();
        let env: Vec<_> = env.iter().map(|(key, value)| format!("{key}={value}")).collect();
        let health = check.then(|| json!({ "Test": test, "Interval": interval, "Retries": retries }));
        json!({ "Env": env, "Labels": labels, "ExposedPorts": ports, "Entrypoint": entrypoint, "Cmd": cmd,
                "User": user, "WorkingDir": dir, "StopSignal": signal, "Healthcheck": health })
    }
}

/// How the request is worked out.
type Maker = fn(Value, &Value, &Value) -> Value;

fn as_it_is(shown: Value, old: &Value, new: &Value) -> Value {
    made(shown, Some(old), new)
}

/// Mutant: what the old image brought in stays for ever.
fn freezes_defaults(shown: Value, _: &Value, new: &Value) -> Value {
    made(shown, None, new)
}

/// Mutant: a health check is the operator's as a whole, or not at all.
fn freezes_healthcheck(shown: Value, old: &Value, new: &Value) -> Value {
    made(shown, Some(&without(old, "Healthcheck")), new)
}

/// Mutant: takes the entrypoint for itself, without its command.
fn splits_the_pair(shown: Value, old: &Value, new: &Value) -> Value {
    made(shown, Some(&without(old, "Cmd")), new)
}

/// Mutant: what the operator had set is gone.
fn forgets_the_operator(_: Value, old: &Value, new: &Value) -> Value {
    made(old.clone(), Some(old), new)
}

/// Mutant: the old image's variables stay, whatever the new one has.
fn freezes_variables(shown: Value, old: &Value, new: &Value) -> Value {
    made(shown, Some(&without(old, "Env")), new)
}

fn without(image: &Value, field: &str) -> Value {
    let mut image = image.clone();
    image.as_object_mut().unwrap().remove(field);
    image
}

/// What an inspect would show of the replacement of a container that is shown as `shown`.
fn made(shown: Value, old: Option<&Value>, new: &Value) -> Value {
    let container = json!({ "Id": OLD_ID, "Config": shown, "HostConfig": {} });
    let old = old.map(|old| image(old.clone()));
    let made = create_request(&Recreate {
        container: &container,
        old_image: old.as_ref(),
        new_image: &image(new.clone()),
        reference: "ghcr.io/octo-org/web:latest",
        deploy: "0a1b2c3d",
        service: "web",
    });
    merge(&made.unwrap().body, new)
}

/// Fails with what is shown and what should be.
fn is_same(what: &str, shown: Option<&Value>, should: Option<&Value>) -> Result<(), String> {
    if same(shown, should) {
        return Ok(());
    }
    Err(format!("{what} is {shown:?}, not {should:?}"))
}

/// The value after a change of the default from `old` to `new`.
fn followed<'a>(
    before: Option<&'a Value>,
    old: Option<&Value>,
    new: Option<&'a Value>,
) -> Option<&'a Value> {
    if same(before, old) { new } else { before }
}

/// A field whose parts are settings of their own, as an object.
fn parts(config: &Value, field: &str) -> Map<String, Value> {
    let part = |entry: &Value| {
        let (key, value) = entry.as_str()?.split_once('=')?;
        Some((key.to_owned(), json!(value)))
    };
    match &config[field] {
        Value::Object(parts) => parts.clone(),
        Value::Array(entries) => entries.iter().filter_map(part).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Map::new(),
    }
}

/// Whether each setting is the new default where it was the old one, and else the operator's.
fn follows(before: &Value, old: &Value, new: &Value, shown: &Value) -> Result<(), String> {
    for field in ["User", "WorkingDir", "StopSignal"] {
        let should = followed(before.get(field), old.get(field), new.get(field));
        is_same(field, shown.get(field), should)?;
    }
    for field in ["Labels", "ExposedPorts", "Env", "Healthcheck"] {
        let [before, old, new, shown] = [before, old, new, shown].map(|one| parts(one, field));
        for key in before.keys().chain(new.keys()).chain(shown.keys()) {
            if !LINEAGE.contains(&key.as_str()) {
                let should = followed(before.get(key), old.get(key), new.get(key));
                is_same(&format!("{field} {key}"), shown.get(key), should)?;
            }
        }
    }
    let pair = |one: &Value| [one["Entrypoint"].clone(), one["Cmd"].clone()];
    let is_default = |at: usize| same(Some(&pair(before)[at]), Some(&pair(old)[at]));
    let should = match [is_default(0), is_default(1)] {
        [true, true] => pair(new),
        // A command of the operator's goes with whatever entrypoint the image has.
        [true, false] if !unset(before.get("Cmd")) => {
            let [entrypoint, _] = pair(new);
            [entrypoint, before["Cmd"].clone()]
        }
        [..] => pair(before),
    };
    let shown = pair(shown);
    is_same("the entrypoint", Some(&shown[0]), Some(&should[0]))?;
    is_same("the command", Some(&shown[1]), Some(&should[1]))
}

/// What a replacement from another image, and two from the same one, break.
fn broken(make: Maker, user: &Value, old: &Value, new: &Value) -> Broken {
    let before = merge(user, old);
    let again = |shown: Value| make(shown, old, old);
    let once = again(before.clone());
    let twice = again(once.clone());
    let changed = [&once, &twice].map(|shown| normal(shown) != normal(&before));
    let followed = follows(&before, old, new, &make(before.clone(), old, new));
    match (changed, followed) {
        ([false, false], Ok(())) => Broken::new(),
        ([true, _], _) => [(Property::Faithful, format!("{once} after {before}"))].into(),
        ([_, true], _) => [(Property::Faithful, format!("{twice} after {once}"))].into(),
        (_, Err(how)) => [(Property::Faithful, how)].into(),
    }
}

/// Nothing to run at all: no engine has such a container.
fn is_empty(user: &Value, old: &Value) -> bool {
    let shown = merge(user, old);
    unset(shown.get("Entrypoint")) && unset(shown.get("Cmd"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn a_replacement_follows_its_image_in_all_that_the_operator_has_not_set_and_is_the_same_twice(
        user in a_config(), old in a_config(), new in a_config(),
    ) {
        prop_assume!(!is_empty(&user, &old));
        prop_assert_eq!(broken(as_it_is, &user, &old, &new), Broken::new());
    }

    #[test]
    fn a_replacement_from_the_same_image_is_the_same_twice_whatever_it_runs(user in a_config(), defaults in a_config()) {
        let shown = merge(&user, &defaults);
        let once = after(user, defaults.clone(), defaults.clone());
        prop_assert_eq!(normal(&once), normal(&shown));
        prop_assert_eq!(normal(&after(once, defaults.clone(), defaults)), normal(&shown));
    }
}

#[test]
fn each_mistake_in_a_request_is_noticed() {
    let mut runner = TestRunner::deterministic();
    let strategy = (a_config(), a_config(), a_config());
    let a_case = |_| strategy.new_tree(&mut runner).unwrap().current();
    let cases: Vec<_> = (0..300).map(a_case).collect();
    let is_broken = |make: Maker| {
        let mut real = cases.iter().filter(|(user, old, _)| !is_empty(user, old));
        real.any(|(user, old, new)| !broken(make, user, old, new).is_empty())
    };
    let mistakes: [(&str, Maker); 5] = [
        ("freezes defaults", freezes_defaults),
        ("freezes health checks", freezes_healthcheck),
        ("splits the pair", splits_the_pair),
        ("forgets the operator", forgets_the_operator),
        ("freezes variables", freezes_variables),
    ];
    for (name, make) in mistakes {
        assert!(is_broken(make), "{name}");
    }
    assert!(!is_broken(as_it_is));
}
