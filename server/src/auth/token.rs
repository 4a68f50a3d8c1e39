//! Signed tokens: JSON Web Tokens with one fixed header (HS256), so that there is no algorithm to confuse.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{
    Hmac, Mac,
    digest::{Key, KeyInit},
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{policy, time::UnixMillis};

const HEADER: &str = r#"{"alg":"HS256","typ":"JWT"}"#;
const ISSUER: &str = "heyho-server";

/// What a token may be used for. A refresh token is no access token, and the other way round.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Purpose {
    /// Comes with every request.
    #[serde(rename = "heyho-access")]
    Access,
    /// Comes back once, for the next pair.
    #[serde(rename = "heyho-refresh")]
    Refresh,
}

/// What a token says. No `Debug`: with the signature it is a credential.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// Account.
    #[serde(rename = "sub")]
    pub user_id: String,
    /// Session.
    #[serde(rename = "sid")]
    pub session_id: String,
    /// Id of this token.
    #[serde(rename = "jti")]
    pub token_id: String,
    /// Counts the refresh tokens of a session from 1; an access token has the number of the one it came with.
    #[serde(rename = "gen")]
    pub generation: i64,
    /// Use.
    #[serde(rename = "aud")]
    pub purpose: Purpose,
    #[serde(rename = "iss")]
    issuer: String,
    #[serde(rename = "iat")]
    issued_at_seconds: i64,
    #[serde(rename = "exp")]
    expires_at_seconds: i64,
}

impl Claims {
    /// Claims of a new token, good from now on.
    pub fn new(user_id: i64, session_id: &str, generation: i64, purpose: Purpose, now: UnixMillis) -> Self {
        let life_seconds = match purpose {
            Purpose::Access => policy::ACCESS_TOKEN_SECONDS,
            Purpose::Refresh => policy::SESSION_SECONDS,
        };
        Self {
            user_id: user_id.to_string(),
            session_id: session_id.to_owned(),
            token_id: uuid::Uuid::now_v7().to_string(),
            generation,
            purpose,
            issuer: ISSUER.to_owned(),
            issued_at_seconds: now.seconds(),
            expires_at_seconds: now.plus_seconds(life_seconds).seconds(),
        }
    }
}

/// The key that signs and checks tokens. No `Debug`: it is a secret.
#[derive(Clone)]
pub struct TokenKey(Hmac<Sha256>);

impl TokenKey {
    /// Makes the key of a secret of any length.
    pub fn new(secret: &[u8]) -> Self {
        let mut block = Key::<Hmac<Sha256>>::default();
        block.iter_mut().zip(Sha256::digest(secret)).for_each(|(byte, digest)| *byte = digest);
        Self(<Hmac<Sha256> as KeyInit>::new(&block))
    }

    /// Writes and signs a token.
    pub fn sign(&self, claims: &Claims) -> Result<String, serde_json::Error> {
        let payload = serde_json::to_vec(claims)?;
        let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(HEADER), URL_SAFE_NO_PAD.encode(payload));
        let signature = self.0.clone().chain_update(&signed).finalize().into_bytes();
        Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }

    /// A keyed digest, for what must be compared and not be readable (addresses, codes).
    pub fn digest(&self, parts: &[&str]) -> String {
        let mac = parts.iter().fold(self.0.clone(), |mac, part| mac.chain_update(part).chain_update([0]));
        URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes())
    }

    /// The claims of a token that this key signed, for this purpose, and that is still good; otherwise none.
    pub fn check(&self, token: &str, purpose: Purpose, now: UnixMillis) -> Option<Claims> {
        let (signed, signature) = token.rsplit_once('.')?;
        let (header, payload) = signed.split_once('.')?;
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        self.0.clone().chain_update(signed).verify_slice(&signature).ok()?;
        if URL_SAFE_NO_PAD.decode(header).ok()? != HEADER.as_bytes() {
            return None;
        }
        let claims: Claims = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()?;
        let good =
            claims.purpose == purpose && claims.issuer == ISSUER && claims.expires_at_seconds > now.seconds();
        good.then_some(claims)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixMillis = UnixMillis(1_800_000_000_000);

    fn token(purpose: Purpose) -> String {
        TokenKey::new(b"secret").sign(&Claims::new(7, "session", 0, purpose, NOW)).unwrap()
    }

    #[test]
    fn a_token_says_what_was_signed() {
        let claims = TokenKey::new(b"secret").check(&token(Purpose::Access), Purpose::Access, NOW).unwrap();
        assert_eq!((claims.user_id.as_str(), claims.session_id.as_str()), ("7", "session"));
    }

    #[test]
    fn a_token_is_good_to_its_last_second_only() {
        let key = TokenKey::new(b"secret");
        let last = NOW.plus_seconds(policy::ACCESS_TOKEN_SECONDS - 1);
        assert!(key.check(&token(Purpose::Access), Purpose::Access, last).is_some());
        assert!(key.check(&token(Purpose::Access), Purpose::Access, last.plus_seconds(1)).is_none());
    }

    #[test]
    fn a_token_of_another_purpose_key_or_content_is_refused() {
        let key = TokenKey::new(b"secret");
        assert!(key.check(&token(Purpose::Refresh), Purpose::Access, NOW).is_none());
        assert!(TokenKey::new(b"other").check(&token(Purpose::Access), Purpose::Access, NOW).is_none());
        let forged = token(Purpose::Access).replacen('.', ".e", 1);
        assert!(key.check(&forged, Purpose::Access, NOW).is_none());
        for garbled in ["", ".", "..", "a.b.c"] {
            assert!(key.check(garbled, Purpose::Access, NOW).is_none());
        }
    }
}
