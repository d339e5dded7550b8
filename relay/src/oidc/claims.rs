//! What a job's token says of it (GitHub, "OpenID Connect reference", "Claims"), in the shape that GitHub
//! writes: ids are text. Only what is signed comes here.

use serde::{Deserialize, Deserializer, de::Error};

use super::{
    Denied,
    jwt::{Verified, strict},
    shown,
};

/// How far the issuer's clock may be off, in seconds.
pub const LEEWAY: i64 = 60;

/// The longest that a token may live, in seconds. GitHub's live for minutes.
pub const MAX_LIFE: i64 = 3600;

/// The longest `jti`, in bytes. GitHub's is a UUID.
const MAX_JTI: usize = 255;

/// The claims that the relay needs.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Claims {
    iss: String,
    aud: Audience,
    exp: i64,
    iat: i64,
    nbf: Option<i64>,
    /// The token's own name: what it is spent by.
    pub jti: String,
    /// The full name of the repository whose workflow runs.
    pub repository: String,
    /// Its stable identity.
    #[serde(deserialize_with = "id")]
    pub repository_id: u64,
    /// The stable identity of its owner.
    #[serde(deserialize_with = "id")]
    pub repository_owner_id: u64,
    /// The ref that the run is for, for instance `refs/heads/main`.
    #[serde(rename = "ref")]
    pub git_ref: String,
    /// What started the run.
    pub event_name: String,
    /// The workflow that was started, `owner/repo/PATH@REF`.
    pub workflow_ref: String,
    /// The reusable workflow that the job is in, else the same.
    pub job_workflow_ref: Option<String>,
    /// The run.
    #[serde(deserialize_with = "id")]
    pub run_id: u64,
    /// Counts the workflow's runs.
    #[serde(deserialize_with = "id")]
    pub run_number: u64,
    /// Rises with each re-run, from 1.
    #[serde(deserialize_with = "id")]
    pub run_attempt: u64,
    /// Who started it.
    pub actor: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

impl Claims {
    /// Reads what a token says, and checks that it was made by `issuer` for `audience` and counts at
    /// `now_s`, in seconds since 1970.
    ///
    /// # Errors
    /// [`Denied::Claims`], naming the claim.
    pub fn read(
        token: &Verified,
        issuer: &str,
        audience: &str,
        now_s: i64,
    ) -> Result<Self, Denied> {
        let claims: Self = strict(token.payload()).map_err(Denied::Claims)?;
        claims
            .check(issuer, audience, now_s)
            .map_err(Denied::Claims)?;
        Ok(claims)
    }

    fn check(&self, issuer: &str, audience: &str, now_s: i64) -> Result<(), String> {
        if self.iss != issuer {
            return Err(format!("iss is {} and not {issuer:?}", shown(&self.iss)));
        }
        if !self.aud.has(audience) {
            let aud = self.aud.shown();
            return Err(format!("aud is {aud} and not PUBLIC_URL, {audience:?}"));
        }
        self.check_times(now_s)?;
        let visible = self.jti.bytes().all(|byte| byte.is_ascii_graphic());
        if visible && (1..=MAX_JTI).contains(&self.jti.len()) {
            Ok(())
        } else {
            Err(format!("jti is {}", shown(&self.jti)))
        }
    }

    fn check_times(&self, now_s: i64) -> Result<(), String> {
        let (slow, fast) = (now_s.saturating_sub(LEEWAY), now_s.saturating_add(LEEWAY));
        let problem = if self.exp < slow {
            "exp is over"
        } else if self.iat > fast {
            "iat is not yet"
        } else if self.nbf.is_some_and(|nbf| nbf > fast) {
            "nbf is not yet"
        } else if self.exp.saturating_sub(self.iat) > MAX_LIFE {
            "exp is more than an hour after iat"
        } else {
            return Ok(());
        };
        Err(format!("{problem}; it is {now_s} by this relay's clock"))
    }
}

impl Audience {
    fn has(&self, audience: &str) -> bool {
        match self {
            Self::One(one) => one == audience,
            Self::Many(many) => many.iter().any(|one| one == audience),
        }
    }

    fn shown(&self) -> String {
        match self {
            Self::One(one) => shown(one),
            Self::Many(many) => shown(&many.join(" ")),
        }
    }
}

/// A number as GitHub writes it: text of digits, in one way only.
fn id<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
    let text = String::deserialize(from)?;
    let number = text.parse::<u64>().ok();
    let number = number.filter(|number| number.to_string() == text);
    number.ok_or_else(|| D::Error::custom(format_args!("{} is no id", shown(&text))))
}
