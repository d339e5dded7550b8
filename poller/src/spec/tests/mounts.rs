//! Volumes of every kind.

use super::*;

#[test]
fn a_volume_without_a_name_is_bound_by_the_name_that_it_got() {
    let mounts = json!([
        { "Type": "volume", "Name": "aaa", "Destination": "/data", "RW": true },
        { "Type": "volume", "Name": "bbb", "Destination": "/cache", "RW": false },
        { "Type": "volume", "Name": "named", "Destination": "/named", "RW": true },
        { "Type": "volume", "Name": "ccc", "Destination": "/nosource", "RW": true },
        { "Type": "volume", "Name": "ddd", "Destination": "/bare", "RW": true },
        { "Type": "bind", "Source": "/srv", "Destination": "/srv", "RW": true }
    ]);
    let host = mounted(
        json!({ "Volumes": { "/data": {}, "/cache/": {} } }),
        json!({ "Binds": ["named:/named:ro", "/srv:/srv", "/bare"], "Mounts": [{ "Type": "volume", "Target": "/nosource" }] }),
        mounts,
    );
    assert_eq!(host["Binds"], json!(["named:/named:ro", "/srv:/srv"]));
    assert_eq!(
        host["Mounts"],
        json!([
            { "Type": "volume", "Target": "/nosource", "Source": "ccc" },
            { "Type": "volume", "Source": "aaa", "Target": "/data" },
            { "Type": "volume", "Source": "bbb", "Target": "/cache", "ReadOnly": true },
            { "Type": "volume", "Source": "ddd", "Target": "/bare" },
        ])
    );
}

#[test]
fn volumes_borrowed_from_another_container_stay_borrowed() {
    let mounts = json!([
        { "Type": "volume", "Name": "theirs", "Destination": "/theirs", "RW": true },
        { "Type": "volume", "Name": "ours", "Destination": "/ours", "RW": true }
    ]);
    let host = mounted(
        json!({ "Volumes": { "/ours": {} } }),
        json!({ "VolumesFrom": ["db"] }),
        mounts,
    );
    assert_eq!(
        host["Mounts"],
        json!([{ "Type": "volume", "Source": "ours", "Target": "/ours" }])
    );
}
