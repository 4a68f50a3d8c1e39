//! A new access token for one that has ended.

use serde_json::Value;

use super::{Engine, EngineError};
use crate::decisions::backoff::{self, ServerWait};
use crate::ports::clock::Clock;
use crate::ports::host::Host;
use crate::ports::store::Store;
use crate::ports::transport::{Payload, Request, Transport};
use crate::words::number;
use crate::words::owner::{self, Session};
use crate::words::policy::GOODBYE_TIMEOUT;

impl<S, T, C, H> Engine<S, T, C, H>
where
    S: Store,
    T: Transport<S::Body>,
    C: Clock,
    H: Host,
{
    /// Signs out: nobody's records are sent any more, and the dropped token is returned so that the server can be told.
    ///
    /// # Errors
    /// [`EngineError`] where the database fails; the login stays then.
    pub async fn sign_out(&self) -> Result<Option<String>, EngineError> {
        let dropped = self.settings().session.as_ref().map(|session| session.access_token.clone());
        self.change_settings(|settings| settings.session = None).await?;
        Ok(dropped)
    }

    /// Tells the server that a token is not used any more. Best effort: the answer does not matter.
    pub async fn say_goodbye(&self, token: String) {
        let base_url = self.settings().server_url.clone();
        let request = Request {
            url: format!("{}/auth/logout", base_url.trim_end_matches('/')),
            bearer: Some(token),
            idempotency_key: None,
            payload: Payload::Json("{}".into()),
            timeout: GOODBYE_TIMEOUT,
        };
        if owner::may_be_sent_to(&base_url) {
            let _ = self.transport.send(request).await;
        }
    }

    /// Asks for a new access token with the refresh token. Whether one came: a server without that route, a refusal
    /// and a network failure leave the login as it is.
    ///
    /// # Errors
    /// The wait that the server asks for instead (rule 7).
    pub(super) async fn refresh_login(&self) -> Result<bool, ServerWait> {
        let settings = self.settings();
        if !owner::may_be_sent_to(&settings.server_url) {
            return Ok(false);
        }
        let Some((session, token)) = settings.session.as_ref().and_then(|session| {
            let token = session.refresh_token.clone()?;
            Some((session, token))
        }) else {
            return Ok(false);
        };
        let request = Request {
            url: format!("{}/auth/refresh", settings.server_url.trim_end_matches('/')),
            bearer: None,
            idempotency_key: None,
            payload: Payload::Json(serde_json::json!({ "refresh_token": token }).to_string()),
            timeout: settings.policy.request_timeout,
        };
        // Another run, or the user, may have renewed it meanwhile, or while another refresh was waited for.
        let is_newer = |now: Option<&Session>| {
            now.is_some_and(|now| now.account == session.account && now.access_token != session.access_token)
        };
        let has_newer = || is_newer(self.settings().session.as_ref());
        let _turn = self.refreshing.lock().await;
        if self.settings().session != settings.session {
            return Ok(has_newer());
        }
        let Ok(answer) = self.transport.send(request).await else { return Ok(has_newer()) };
        if answer.status != 200 || answer.redirected {
            return match backoff::asked_wait(&answer, self.clock.now()) {
                Some(wait) if !has_newer() => Err(wait),
                _ => Ok(has_newer()),
            };
        }
        let Some(renewed) = renewed(session, &answer.body, self.clock.now().0) else {
            return Ok(has_newer());
        };
        // Somebody else may have signed in meanwhile; their login stays.
        let mut renews = false;
        let change = self.change_settings(|settings| {
            let is_as_before = settings.session.as_ref() == Some(session);
            renews = is_as_before || is_newer(settings.session.as_ref());
            if is_as_before {
                settings.session = Some(renewed);
            }
        });
        Ok(change.await.is_ok() && renews)
    }
}

fn renewed(session: &Session, body: &str, now_ms: i64) -> Option<Session> {
    let body: Value = serde_json::from_str(body).ok()?;
    let data = body.get("data").filter(|data| data.is_object()).unwrap_or(&body);
    let text = |names: [&str; 2]| names.iter().find_map(|name| data.get(*name)?.as_str().map(str::to_owned));
    let lifetime_secs = ["ExpiresIn", "expires_in"]
        .iter()
        .find_map(|name| Some(number::of_json(data.get(*name)?.as_number()?)));
    Some(Session {
        account: session.account.clone(),
        access_token: text(["AccessToken", "access_token"])?,
        refresh_token: text(["RefreshToken", "refresh_token"]).or_else(|| session.refresh_token.clone()),
        expires_at: lifetime_secs.map(|secs| now_ms as f64 + secs * 1000.0),
    })
}
