//! The issuer's keys, as it publishes them.

use super::*;

fn read(keys: Value) -> Result<KeySet, String> {
    KeySet::read(&json!({ "keys": keys, "more": 1 }).to_string())
}

fn changed(member: &str, value: Value) -> Value {
    let mut key = jwk("one", &KEYS[0]);
    key[member] = value;
    key
}

#[test]
fn keys_for_other_purposes_are_passed_over() {
    let others = json!([
        { "kty": "EC", "kid": "ec", "crv": "P-256", "x": "AA", "y": "AA" }, 7, null, {},
        changed("use", json!("enc")), jwk("two", &KEYS[1]),
    ]);
    let keys = read(others).unwrap();
    assert!(keys.find("two").is_some());
    assert!(keys.find("one").is_none() && keys.find("ec").is_none());
}

#[test]
fn a_weak_or_broken_key_does_not_count() {
    let number = |bytes: &[u8]| json!(base64(bytes));
    let mut even = [255; 256];
    even[255] = 254;
    for (member, value) in [
        ("kty", json!("oct")),
        ("kid", json!(7)),
        ("alg", json!("RS512")),
        ("n", number(&[255; 255])),
        ("n", number(&[[0; 1].as_slice(), &[255; 255]].concat())),
        ("n", number(&[[127; 1].as_slice(), &[255; 255]].concat())),
        ("n", number(&[255; 1025])),
        ("n", number(&even)),
        ("n", json!("not base64!")),
        ("n", json!("")),
        ("e", number(&[1])),
        ("e", number(&[0, 1])),
        ("e", number(&[2])),
        ("e", number(&[255; 9])),
        ("e", json!("")),
    ] {
        let refused = read(json!([changed(member, value.clone())]));
        assert!(refused.is_err(), "{member} {value}");
    }
    assert!(read(json!([changed("alg", Value::Null)])).is_ok());
}

#[test]
fn two_keys_of_one_name_are_none() {
    let keys = read(json!([
        jwk("one", &KEYS[0]),
        jwk("one", &KEYS[1]),
        jwk("two", &KEYS[1])
    ]));
    let keys = keys.unwrap();
    assert!(keys.find("one").is_none() && keys.find("two").is_some());
}

#[test]
fn what_is_no_set_of_keys_is_refused() {
    for bad in [
        "",
        "{}",
        "[]",
        r#"{"keys": {}}"#,
        r#"{"keys": []}"#,
        "<html>",
    ] {
        assert!(KeySet::read(bad).is_err(), "{bad}");
    }
}
