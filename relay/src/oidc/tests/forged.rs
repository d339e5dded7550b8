//! Tokens that nobody gave out: other algorithms, other keys, parts of other tokens, no tokens at all.

use super::*;

#[test]
fn only_rs256_is_taken_whatever_else_a_header_promises() {
    let token = |header: &str| sign(&KEYS[0], header, &claims().to_string());
    assert!(admit(&token(HEADER)).is_ok());
    let own_key = jwk("one", &KEYS[1]).to_string();
    let strange = format!(
        r#"{{"alg": "RS256", "kid": "one", "jwk": {own_key}, "jku": "https://evil.example"}}"#
    );
    assert!(
        admit(&token(&strange)).is_ok(),
        "what it promises is passed over"
    );
    assert!(admit(&sign(&KEYS[1], &strange, &claims().to_string())).is_err());
    for header in [
        r#"{"alg": "none", "kid": "one"}"#,
        r#"{"alg": "None", "kid": "one"}"#,
        r#"{"alg": "rs256", "kid": "one"}"#,
        r#"{"alg": "RS512", "kid": "one"}"#,
        r#"{"alg": "PS256", "kid": "one"}"#,
        r#"{"alg": "HS256", "kid": "one"}"#,
        r#"{"alg": ["RS256"], "kid": "one"}"#,
        r#"{"alg": "none", "alg": "RS256", "kid": "one"}"#,
        r#"{"alg": "RS256", "\u0061lg": "none", "kid": "one"}"#,
        r#"{"alg": "RS256", "kid": "one", "crit": ["exp"], "exp": 1}"#,
        r#"{"alg": "RS256"}"#,
        r#"{"alg": "RS256", "kid": ""}"#,
        r#"{"alg": "RS256", "kid": null}"#,
        r#"{"alg": "RS256", "kid": 1}"#,
        r#"{"kid": "one"}"#,
        "[]",
        "",
    ] {
        let denied = admit(&token(header)).unwrap_err();
        assert!(matches!(denied, Denied::Header(_)), "{header}: {denied}");
    }
}

#[test]
fn a_key_is_taken_by_its_whole_name_alone() {
    for kid in ["three", "One", "one ", "../one", "one\\u0000", "*"] {
        let header = format!(r#"{{"alg": "RS256", "kid": "{kid}"}}"#);
        let denied = admit(&sign(&KEYS[0], &header, &claims().to_string())).unwrap_err();
        assert!(matches!(denied, Denied::UnknownKey(_)), "{kid}: {denied}");
    }
    let swapped = r#"{"alg": "RS256", "kid": "two"}"#;
    let denied = admit(&sign(&KEYS[0], swapped, &claims().to_string())).unwrap_err();
    assert_eq!(denied, Denied::Signature);
    let long = format!(r#"{{"alg": "RS256", "kid": "{}"}}"#, "k".repeat(257));
    let denied = admit(&sign(&KEYS[0], &long, &claims().to_string())).unwrap_err();
    assert!(matches!(denied, Denied::Header(_)), "{denied}");
}

#[test]
fn the_public_key_is_no_secret_to_sign_with() {
    use hmac::{Hmac, KeyInit, Mac};
    let header = base64(br#"{"alg": "RS256", "kid": "one"}"#);
    let signed = format!("{header}.{}", base64(claims().to_string().as_bytes()));
    let public = jwk("one", &KEYS[0]).to_string();
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(public.as_bytes()).unwrap();
    mac.update(signed.as_bytes());
    let forged = format!("{signed}.{}", base64(&mac.finalize().into_bytes()));
    assert_eq!(admit(&forged).unwrap_err(), Denied::Signature);
    assert_eq!(admit(&format!("{signed}.")).unwrap_err(), Denied::Signature);
    let zeros = format!("{signed}.{}", base64(&[0; 256]));
    assert_eq!(admit(&zeros).unwrap_err(), Denied::Signature);
}

#[test]
fn a_part_of_another_token_does_not_fit() {
    let header = r#"{"alg": "RS256", "kid": "two"}"#;
    let other = sign(&KEYS[1], header, &with("jti", json!("2")).to_string());
    for part in 0..3 {
        let mut parts: Vec<_> = GOOD.split('.').collect();
        parts[part] = other.split('.').nth(part).unwrap();
        assert_eq!(admit(&parts.join(".")).unwrap_err(), Denied::Signature);
    }
}

#[test]
fn what_is_no_token_at_all_costs_no_look_at_a_key() {
    let many = format!("{0}.{0}", *GOOD);
    let padded = GOOD.replacen('.', "=.", 1);
    let large = sign(
        &KEYS[0],
        HEADER,
        &with("more", json!("x".repeat(8192))).to_string(),
    );
    for bad in [
        "", ".", "..", "a.b", "a.b.c", "a.b.c.d", &many, &padded, &large, "é.é.é",
    ] {
        let denied = Jwt::read(bad).unwrap_err();
        let no_token = matches!(denied, Denied::Malformed | Denied::Header(_));
        assert!(no_token, "{bad:?}: {denied}");
    }
}

#[test]
fn a_stranger_writes_little_into_the_log() {
    let long = "x".repeat(4000);
    let header = format!(r#"{{"alg": "{long}", "kid": "one"}}"#);
    let kid = format!(r#"{{"alg": "RS256", "kid": "{}"}}"#, "k".repeat(256));
    let denied = [
        admit(&sign(&KEYS[0], &header, "{}")),
        admit(&sign(&KEYS[0], &kid, "{}")),
        admit_claims(&with("exp", json!(long))),
        admit_claims(&with("aud", json!([long, long]))),
        admit_claims(&with("iss", json!(long))),
        admit_claims(&with("repository_id", json!(long))),
        admit_claims(&with("workflow_ref", json!(long))),
    ];
    for denied in denied {
        let line = denied.unwrap_err().to_string();
        assert!(line.len() < 400, "{line}");
    }
}

#[test]
fn a_claim_that_can_be_read_in_two_ways_is_refused() {
    let text = claims().to_string();
    let doubled = text.replacen('{', r#"{"repository_id": "5", "#, 1);
    let deep = text.replacen(
        '{',
        &format!(r#"{{"more": {}1{}, "#, "[".repeat(200), "]".repeat(200)),
        1,
    );
    for payload in [doubled.as_str(), &deep, "[]", "", "null", "{}"] {
        let denied = admit(&sign(&KEYS[0], HEADER, payload)).unwrap_err();
        assert!(matches!(denied, Denied::Claims(_)), "{payload}: {denied}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn no_signed_payload_makes_it_panic_or_lets_it_in(payload in "\\PC{0,60}") {
        prop_assert!(admit(&sign(&KEYS[0], HEADER, &payload)).is_err());
    }

    #[test]
    fn no_times_overflow_or_let_a_token_live_for_ever(exp: i64, iat: i64, nbf: i64) {
        let mut claims = with("exp", json!(exp));
        claims["iat"] = json!(iat);
        claims["nbf"] = json!(nbf);
        let good = (NOW - 60..=NOW + 60 + 3600).contains(&exp);
        prop_assert!(good || admit_claims(&claims).is_err());
    }
}

proptest! {
    #[test]
    fn one_changed_byte_anywhere_is_refused(at: usize, with in 0u8..128) {
        let mut bytes = GOOD.clone().into_bytes();
        let at = at % bytes.len();
        prop_assume!(bytes[at] != with);
        bytes[at] = with;
        let changed = String::from_utf8(bytes).unwrap();
        prop_assert!(admit(&changed).is_err());
    }

    #[test]
    fn no_text_makes_it_panic(text in "\\PC*", header in "\\PC{0,40}", payload in "\\PC{0,40}") {
        let _ = admit(&text);
        let _ = admit(&format!("{}.{}.AAAA", base64(header.as_bytes()), base64(payload.as_bytes())));
    }

    #[test]
    fn no_text_is_a_set_of_keys(text in "\\PC*") {
        prop_assert!(KeySet::read(&text).is_err());
    }
}
