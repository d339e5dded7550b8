use super::*;
use crate::testing::digest;

fn container(service: &str, reference: &str) -> Container {
    Container {
        id: service.to_owned(),
        name: format!("stack-{service}-1"),
        service: service.to_owned(),
        image: "sha256:1".to_owned(),
        reference: reference.to_owned(),
        hash: String::new(),
        runs: true,
        was_started: true,
        is_done: false,
        is_to_stay: false,
        grace: std::time::Duration::from_secs(10),
    }
}

fn image(reference: &str, digit: char) -> Running {
    Running {
        reference: reference.to_owned(),
        id: "sha256:1".to_owned(),
        digest: Some(digest(digit)),
    }
}

#[test]
fn an_image_of_two_repositories_counts_for_each_service_by_the_digest_in_its_own() {
    let (api, web) = ("ghcr.io/octo-org/api:1", "ghcr.io/octo-org/web:1");
    let now = [container("api", api), container("web", web)];
    let wanted = ["api", "web"].map(str::to_owned);
    let images = [image(api, 'a'), image(web, 'b')];
    let asked_for = [("api", 'a'), ("web", 'b')];
    let asked_for = asked_for.map(|(service, digit)| (service.to_owned(), digest(digit)));
    let deployed = VersionId::of_images(None, &BTreeMap::from(asked_for));
    assert_eq!(of_running(None, &now, &wanted, &images), deployed);
    let [one, other] = images;
    assert_eq!(of_running(None, &now, &wanted, &[other, one]), deployed);
}
