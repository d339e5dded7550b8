//! Networks, names and addresses.

use serde_json::{Value, json};
use towline::spec::CreateRequest;
use towline_protocol::Outcome;

use super::{Pair, engine_knows, settings};
use crate::scene::{Scene, docker, inspect, sleeper};

#[tokio::test]
async fn a_container_without_a_hostname_of_its_own_gets_its_new_id_and_no_alias_of_the_old_one() {
    let mut scene = Scene::new("nameless").await;
    docker(&["network", "create", "nameless-net"]);
    scene.release("v1", "ok", &[]);
    scene.run(&["--network", "nameless-net"]);
    let old = scene.inspect()["Id"].as_str().unwrap()[..12].to_owned();
    scene.release("v2", "ok", &[]);
    let applied = scene.deploy(&scene.checked("v2")).await;
    assert_eq!(applied.outcome, Outcome::Succeeded, "{}", applied.message);
    let now = inspect("nameless");
    assert_eq!(now["Config"]["Hostname"], now["Id"].as_str().unwrap()[..12]);
    assert!(
        !now["NetworkSettings"].to_string().contains(&old),
        "{}",
        now["NetworkSettings"]
    );
    drop(scene);
    docker(&["network", "rm", "nameless-net"]);
}

#[tokio::test]
async fn a_container_in_anothers_network_namespace_stays_there() {
    let mut scene = Scene::new("guest").await;
    scene.release("v1", "ok", &["EXPOSE 9090"]);
    sleeper("guest-sleeper");
    let publish = format!("127.0.0.1:{}:8080", scene.port);
    docker(&[
        "run",
        "--detach",
        "--name",
        "guest-ns",
        "--publish",
        &publish,
        "guest-sleeper",
    ]);
    docker(&[
        "run",
        "--detach",
        "--name",
        "guest",
        "--network",
        "container:guest-ns",
        &scene.image("live"),
    ]);
    let before = scene.inspect();
    scene.release("v2", "ok", &["EXPOSE 9091"]);
    let applied = scene.deploy(&scene.checked("v2")).await;
    assert_eq!(applied.outcome, Outcome::Succeeded, "{}", applied.message);
    assert_eq!(
        settings(&scene.inspect())["HostConfig"],
        settings(&before)["HostConfig"]
    );
    assert_eq!(scene.get().unwrap(), "toy v2 \n");
}

#[tokio::test]
async fn links_to_other_containers_are_kept() {
    let mut scene = Scene::new("linked").await;
    scene.release("v1", "ok", &[]);
    docker(&[
        "run",
        "--detach",
        "--name",
        "linked-db",
        &scene.image("live"),
    ]);
    scene.run(&["--link", "linked-db:db"]);
    for version in ["v2", "v3"] {
        scene.release(version, "ok", &[]);
        let applied = scene.deploy(&scene.checked(version)).await;
        assert_eq!(applied.outcome, Outcome::Succeeded, "{}", applied.message);
        assert_eq!(
            scene.inspect()["HostConfig"]["Links"],
            json!(["/linked-db:/linked/db"])
        );
    }
}

#[tokio::test]
async fn a_container_on_the_default_bridge_and_a_second_network_is_on_both_again() {
    let mut scene = Scene::new("bridged").await;
    docker(&["network", "create", "bridged-net"]);
    scene.release("v1", "ok", &[]);
    scene.run(&[]);
    docker(&[
        "network",
        "connect",
        "--alias",
        "second",
        "bridged-net",
        "bridged",
    ]);
    let before = settings(&scene.inspect());
    scene.release("v2", "ok", &[]);
    let applied = scene.deploy(&scene.checked("v2")).await;
    assert_eq!(applied.outcome, Outcome::Succeeded, "{}", applied.message);
    assert_eq!(settings(&scene.inspect()), before);
    drop(scene);
    docker(&["network", "rm", "bridged-net"]);
}

#[tokio::test]
async fn a_network_that_was_named_by_its_id_is_found_again() {
    let id = docker(&["network", "create", "by-id-net"]);
    let mut pair = Pair::new("by-id").await;
    pair.assert_kept(&[("network", &["--network", &id, "--network-alias", "www"])])
        .await;
    drop(pair);
    docker(&["network", "rm", "by-id-net"]);
}

/// A created container's request with a hardware address, as engines before and after API 1.44 have it.
async fn with_address(pair: &Pair, network: &str, address: &str) {
    if engine_knows((1, 44)).await {
        pair.make(&["--network", network, "--mac-address", address]);
        return;
    }
    docker(&["rm", "--force", "mac"]);
    let body = json!({ "Image": pair.scene.image("live"), "MacAddress": address, "HostConfig": { "NetworkMode": network } });
    let create = CreateRequest {
        body,
        connect: Vec::new(),
        disconnect: None,
    };
    pair.scene.docker.create("mac", &create).await.unwrap();
}

#[tokio::test]
async fn a_chosen_hardware_address_is_kept_and_one_that_the_engine_made_is_not() {
    docker(&["network", "create", "mac-net"]);
    let mut pair = Pair::new("mac").await;
    let chosen = "02:00:00:00:12:34";
    for network in ["bridge", "mac-net"] {
        with_address(&pair, network, chosen).await;
        pair.replace_twice(network).await;
        docker(&["start", "mac"]);
        let endpoint = &pair.scene.inspect()["NetworkSettings"]["Networks"][network];
        assert_eq!(endpoint["MacAddress"], chosen, "{network}");

        pair.make(&["--network", network]);
        docker(&["start", "mac"]);
        docker(&["stop", "mac"]);
        pair.replace_twice(network).await;
        let asked = pair.scene.inspect()["Config"]["MacAddress"].clone();
        assert!(asked.is_null() || asked == "", "{network}: {asked}");
    }
    drop(pair);
    docker(&["network", "rm", "mac-net"]);
}

#[tokio::test]
async fn a_container_that_was_taken_off_its_first_network_does_not_come_back_to_it() {
    docker(&["network", "create", "moved-net"]);
    let mut scene = Scene::new("moved").await;
    scene.release("v1", "ok", &[]);
    scene.run(&[]);
    docker(&["network", "connect", "--alias", "www", "moved-net", "moved"]);
    docker(&["network", "disconnect", "bridge", "moved"]);
    let networks = |container: &Value| {
        let networks = container["NetworkSettings"]["Networks"]
            .as_object()
            .unwrap();
        networks.keys().cloned().collect::<Vec<_>>()
    };
    for version in ["v2", "v3"] {
        scene.release(version, "ok", &[]);
        let applied = scene.deploy(&scene.checked(version)).await;
        assert_eq!(applied.outcome, Outcome::Succeeded, "{}", applied.message);
        assert_eq!(networks(&scene.inspect()), ["moved-net"]);
    }
    drop(scene);
    docker(&["network", "rm", "moved-net"]);
}

#[tokio::test]
async fn a_container_that_was_taken_off_every_network_comes_back_on_none_and_can_be_connected() {
    docker(&["network", "create", "lonely-net"]);
    let mut pair = Pair::new("lonely").await;
    for network in ["bridge", "lonely-net"] {
        pair.make(&["--network", network]);
        docker(&["network", "disconnect", network, "lonely"]);
        let before = settings(&pair.scene.inspect());
        let [first, second] = pair.replace_twice(network).await;
        docker(&["start", "lonely"]);
        for after in [first, second, pair.scene.inspect()] {
            assert_eq!(after["NetworkSettings"]["Networks"], json!({}), "{network}");
            assert_eq!(settings(&after)["HostConfig"], before["HostConfig"]);
        }
        docker(&["network", "connect", network, "lonely"]);
    }
    drop(pair);
    docker(&["network", "rm", "lonely-net"]);
}

#[tokio::test]
async fn static_addresses_aliases_and_driver_options_are_kept_on_each_network() {
    for (name, subnet) in [
        ("several-a", "172.31.17.0/24"),
        ("several-b", "172.31.18.0/24"),
    ] {
        docker(&[
            "network",
            "create",
            "--subnet",
            subnet,
            "--ipv6",
            "--subnet",
            &format!("fd00:{name}::/64").replace("several-", ""),
            name,
        ]);
    }
    let mut pair = Pair::new("several").await;
    pair.make(&[
        "--network",
        "several-a",
        "--ip",
        "172.31.17.9",
        "--ip6",
        "fd00:a::9",
        "--network-alias",
        "www",
    ]);
    docker(&[
        "network",
        "connect",
        "--ip",
        "172.31.18.9",
        "--ip6",
        "fd00:b::9",
        "--link-local-ip",
        "169.254.7.7",
        "--alias",
        "api",
        "--driver-opt",
        "com.docker.network.endpoint.sysctls=none",
        "several-b",
        "several",
    ]);
    let configured = |container: &Value| {
        let of = |network: &str| {
            let mut endpoint = container["NetworkSettings"]["Networks"][network].clone();
            // Engines below API 1.45 add the container's own id.
            let own = container["Id"].as_str().unwrap();
            if let Some(aliases) = endpoint["Aliases"].as_array_mut() {
                aliases.retain(|alias| !own.starts_with(alias.as_str().unwrap()));
            }
            json!([
                endpoint["IPAMConfig"],
                endpoint["Aliases"],
                endpoint["DriverOpts"]
            ])
        };
        [of("several-a"), of("several-b")]
    };
    let before = configured(&pair.scene.inspect());
    for after in pair.replace_twice("networks").await {
        assert_eq!(configured(&after), before);
    }
    drop(pair);
    docker(&["network", "rm", "several-a", "several-b"]);
}
