//! Which containers a label leads to, and what a deploy has left beside one. Pure.

use serde_json::Value;

use super::{Refusal, replicas::by_name};
use crate::settings::{Choice, Label};

/// The names of the containers with `label`, by `GET /containers/json?all=1`, in the order in which people count. Stopped
/// ones count. What a deploy has put beside a container does not, though it carries the same labels: only its name tells it
/// from the container itself.
///
/// # Errors
/// When there is none.
pub fn chosen(list: &Value, label: &Label) -> Result<Vec<String>, Refusal> {
    let all = list.as_array().into_iter().flatten();
    let with = all.filter(|container| has(container, label));
    let mut names: Vec<String> = with
        .filter_map(own_name)
        .filter(|name| beside_what(name).is_none())
        .map(str::to_owned)
        .collect();
    names.sort_by(|one, other| by_name(one, other));
    match names.is_empty() {
        true => Err(Refusal::Unlabelled(label.to_string())),
        false => Ok(names),
    }
}

/// What a deploy has left beside the container of this choice, each with its state.
pub fn beside(list: &Value, choice: &Choice) -> Vec<String> {
    let all = list.as_array().into_iter().flatten();
    let left = all.filter_map(|container| {
        let name = own_name(container)?;
        let canonical = beside_what(name)?;
        let is_ours = match choice {
            Choice::Name(name) => canonical == name,
            Choice::Label(label) => has(container, label),
        };
        let state = container.get("State")?.as_str()?;
        is_ours.then(|| format!("{name} ({state})"))
    });
    left.collect()
}

/// Whether a container that is made from `image` with this create request has `label`.
pub fn will_have(request: &Value, image: &Value, label: &Label) -> bool {
    let at = |from: &Value, path: &str| from.pointer(path)?.get(&label.key).cloned();
    let found = at(request, "/Labels").or_else(|| at(image, "/Config/Labels"));
    is_it(found.as_ref(), label)
}

fn has(container: &Value, label: &Label) -> bool {
    let found = container.get("Labels").and_then(|all| all.get(&label.key));
    is_it(found, label)
}

fn is_it(found: Option<&Value>, label: &Label) -> bool {
    match (found, &label.value) {
        (None, _) => false,
        (Some(_), None) => true,
        (Some(found), Some(wanted)) => found == wanted.as_str(),
    }
}

/// A container's own name; links add names such as `/other/alias` to the list.
fn own_name(container: &Value) -> Option<&str> {
    let names = container.get("Names")?.as_array()?;
    let names = names
        .iter()
        .filter_map(|name| name.as_str()?.strip_prefix('/'));
    names.into_iter().find(|name| !name.contains('/'))
}

/// The container's name in that of a candidate or of a parked one: `NAME--new-` or `NAME--old-` and a deploy.
fn beside_what(name: &str) -> Option<&str> {
    let (name, role) = name.rsplit_once("--")?;
    let deploy = role.strip_prefix("new-").or(role.strip_prefix("old-"))?;
    let is_deploy = deploy.len() == 8 && deploy.bytes().all(|b| b.is_ascii_hexdigit());
    (is_deploy && !name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn container(names: &[&str], labels: Value) -> Value {
        json!({ "Names": names, "Labels": labels })
    }

    fn choose(list: &[Value], label: &str) -> Result<String, String> {
        let chosen = chosen(&json!(list), &label.parse().unwrap());
        let names = chosen.map_err(|refused| refused.to_string())?;
        Ok(names.join(" "))
    }

    #[test]
    fn those_with_the_label_are_chosen_whatever_other_names_they_have() {
        let list = [
            container(&["/db/web", "/web"], json!({ "app": "web", "other": "1" })),
            container(&["/db"], json!({ "app": "db" })),
            container(&["/bare"], Value::Null),
        ];
        assert_eq!(choose(&list, "app=web").as_deref(), Ok("web"));
        assert_eq!(choose(&list, "other").as_deref(), Ok("web"));
    }

    #[test]
    fn several_come_in_the_order_in_which_people_count() {
        let names = [
            "/web-10", "/web-2", "/api", "/web-1", "/web", "/2web-1", "/web-02",
        ];
        let list = names.map(|name| container(&[name], json!({ "app": "web" })));
        let chosen = choose(&list, "app=web");
        let expected = "2web-1 api web web-1 web-02 web-2 web-10";
        assert_eq!(chosen.as_deref(), Ok(expected));
    }

    #[test]
    fn none_is_refused() {
        let list = [container(&["/web"], json!({ "app": "web" }))];
        let told = choose(&list, "app=we").unwrap_err();
        assert!(
            told.starts_with("there is no container with the label app=we:"),
            "{told}"
        );
        assert!(choose(&[], "app=").is_err());
    }

    #[test]
    fn a_label_is_the_containers_own_or_comes_with_the_new_image() {
        let own = json!({ "Labels": { "app": "web" } });
        let image = json!({ "Config": { "Labels": { "app": "api" } } });
        let is =
            |request: &Value, image: &Value| will_have(request, image, &"app=web".parse().unwrap());
        assert!(is(&own, &image) && is(&own, &json!({})));
        assert!(
            !is(&json!({}), &image) && !is(&json!({}), &json!({ "Config": { "Labels": null } }))
        );
    }

    #[test]
    fn what_a_deploy_has_put_beside_it_does_not_match() {
        let labels = || json!({ "app": "web", "towline.deploy": "0a1b2c3d" });
        let beside = [
            "/web--new-0a1b2c3d",
            "/web--old-0a1b2c3d",
            "/a--b--old-01234567",
        ];
        let mut list: Vec<_> = beside
            .iter()
            .map(|name| container(&[name], labels()))
            .collect();
        assert!(choose(&list, "app=web").is_err());
        list.push(container(&["/web"], labels()));
        assert_eq!(choose(&list, "app=web").as_deref(), Ok("web"));
    }

    #[test]
    fn what_a_deploy_has_left_is_told_by_its_name_and_what_only_sounds_like_it_is_not() {
        let names = [
            "web",
            "web--old-0a1b2c3d",
            "web--new-0a1b2c3d",
            "web--older",
            "web2--old-0a1b2c3d",
        ];
        let list = names.map(|name| json!({ "Names": [format!("/{name}")], "Labels": { "app": name }, "State": "exited" }));
        let web = beside(&json!(list), &Choice::Name("web".to_owned()));
        assert_eq!(
            web,
            ["web--old-0a1b2c3d (exited)", "web--new-0a1b2c3d (exited)"]
        );
        let of = |label: &str| beside(&json!(list), &Choice::Label(label.parse().unwrap()));
        assert_eq!(of("app").len(), 3);
        assert_eq!(
            of("app=web2--old-0a1b2c3d"),
            ["web2--old-0a1b2c3d (exited)"]
        );
        assert_eq!(of("app=web"), Vec::<String>::new());
    }

    #[test]
    fn a_name_that_only_looks_alike_is_nobodys_candidate() {
        for name in [
            "web--new-0a1b2c3",
            "web--new-0a1b2c3dd",
            "web--old-0a1b2c3x",
            "web-new-0a1b2c3d",
            "--new-0a1b2c3d",
        ] {
            let list = [container(&[&format!("/{name}")], json!({ "app": "" }))];
            assert_eq!(choose(&list, "app=").as_deref(), Ok(name));
        }
    }
}
