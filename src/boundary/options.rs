//! What callers pass in.

use js_sys::Object;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use wasm_bindgen::{JsCast, JsValue};

use super::error::invalid;
use super::text;
use crate::engine::{RunOptions, Settings};
use crate::words::document;
use crate::words::kind::PerKind;
use crate::words::owner::{self, Session};
use crate::words::policy::{Compress, Policy, SLICE_BUDGET_KEPT_ALIVE};
use crate::words::record::sites::SiteRules;
use crate::words::time::Millis;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct OpenOptions {
    #[serde(default = "default_database")]
    pub database_name: String,
    server_url: String,
    #[serde(default)]
    consent: bool,
    #[serde(default)]
    paused: bool,
    #[serde(default)]
    excluded_sites: Vec<String>,
    #[serde(default)]
    session: Option<Session>,
    archive_after_days: Option<f64>,
    #[serde(default)]
    restore_session: bool,
    #[serde(default)]
    policy: PolicyOptions,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
struct PolicyOptions {
    max_page_visits: Option<f64>,
    max_tab_aggregates: Option<f64>,
    max_body_bytes: Option<f64>,
    request_timeout_ms: Option<f64>,
    slice_budget_ms: Option<f64>,
    max_in_flight: Option<f64>,
    compress: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
pub(super) struct SettingsPatch {
    consent: Option<bool>,
    paused: Option<bool>,
    excluded_sites: Option<Vec<String>>,
    server_url: Option<String>,
    archive_after_days: Option<f64>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
pub(super) struct SyncOptions {
    max_batches: Option<f64>,
    slice_budget_ms: Option<f64>,
    force: Option<bool>,
}

fn default_database() -> String {
    "heyho-sync".into()
}

/// Reads an options object; `undefined` and `null` are an empty one.
pub(super) fn read<T: DeserializeOwned>(value: JsValue) -> Result<T, JsValue> {
    let value = if value.is_undefined() || value.is_null() { Object::new().into() } else { value };
    // The message repeats nothing that was passed in: that may be a token.
    let wrong = || invalid("options", "miss a field or hold one of a wrong type");
    let json = text(&value, "options")?;
    if !holds_numbers(&value) {
        return Err(wrong());
    }
    document::read(&json).map_err(|_| wrong())
}

// JSON knows no number that is none, and would leave it out.
fn holds_numbers(value: &JsValue) -> bool {
    match value.dyn_ref::<Object>() {
        Some(object) => Object::values(object).iter().all(|value| holds_numbers(&value)),
        None => value.as_f64().is_none_or(f64::is_finite),
    }
}

pub(super) fn read_session(value: JsValue) -> Result<Option<Session>, JsValue> {
    if value.is_undefined() || value.is_null() {
        return Ok(None);
    }
    let session: Session = read(value)?;
    check_session(&session)?;
    Ok(Some(session))
}

fn check_session(session: &Session) -> Result<(), JsValue> {
    if session.account.is_empty() {
        return Err(invalid("session.account", "must not be empty"));
    }
    Ok(())
}

fn check_server(url: &str) -> Result<(), JsValue> {
    match owner::origin_of(url) {
        Some(_) => Ok(()),
        None => Err(invalid("serverUrl", "must be an http or https URL")),
    }
}

fn archive_age(days: Option<f64>, otherwise: Millis) -> Result<Millis, JsValue> {
    match days {
        None => Ok(otherwise),
        Some(days) if days.is_finite() && days >= 1.0 => Ok(Millis::from_days(days.min(36_500.0) as i64)),
        Some(_) => Err(invalid("archiveAfterDays", "must be a number of at least 1")),
    }
}

// An entry that excludes nothing would leave the user in a false belief.
fn check_sites(sites: &[String]) -> Result<(), JsValue> {
    match sites.iter().position(|site| SiteRules::new([site]).is_empty()) {
        Some(index) => Err(invalid(&format!("excludedSites[{index}]"), "names no site")),
        None => Ok(()),
    }
}

impl OpenOptions {
    pub(super) fn settings(&self, kept_alive: bool) -> Result<Settings, JsValue> {
        check_server(&self.server_url)?;
        check_sites(&self.excluded_sites)?;
        self.session.as_ref().map_or(Ok(()), check_session)?;
        Ok(Settings {
            server_url: self.server_url.clone(),
            consent: self.consent,
            paused: self.paused,
            excluded: SiteRules::new(&self.excluded_sites),
            session: self.session.clone(),
            remembers_session: self.restore_session,
            policy: Policy {
                archive_after: archive_age(self.archive_after_days, Policy::default().archive_after)?,
                ..self.policy.policy(kept_alive)?
            },
        })
    }
}

impl PolicyOptions {
    // A policy may only ask for less than the product's limits, but for the slice, which a host may know better.
    fn policy(&self, kept_alive: bool) -> Result<Policy, JsValue> {
        let standard = Policy::default();
        let at_least_one = |name: &str, value: Option<f64>| match value {
            None => Ok(None),
            Some(number) if number.is_finite() && number >= 1.0 => Ok(Some(number.min(1e15))),
            Some(_) => Err(invalid(&format!("policy.{name}"), "must be a number of at least 1")),
        };
        let most = |name, value, limit: usize| -> Result<usize, JsValue> {
            Ok(at_least_one(name, value)?.map_or(limit, |number| (number as usize).min(limit)))
        };
        let slice = if kept_alive { SLICE_BUDGET_KEPT_ALIVE } else { standard.slice_budget };
        Ok(Policy {
            max_records: PerKind {
                page_visits: most("maxPageVisits", self.max_page_visits, standard.max_records.page_visits)?,
                tab_aggregates: most(
                    "maxTabAggregates",
                    self.max_tab_aggregates,
                    standard.max_records.tab_aggregates,
                )?,
            },
            max_body_bytes: most("maxBodyBytes", self.max_body_bytes, standard.max_body_bytes)?,
            request_timeout: at_least_one("requestTimeoutMs", self.request_timeout_ms)?
                .map_or(standard.request_timeout, |ms| Millis(ms as i64)),
            slice_budget: at_least_one("sliceBudgetMs", self.slice_budget_ms)?
                .map_or(slice, |ms| Millis(ms as i64)),
            max_in_flight: most("maxInFlight", self.max_in_flight, standard.max_in_flight)?,
            compress: match self.compress.as_deref() {
                None | Some("auto") => Compress::Auto,
                Some("never") => Compress::Never,
                Some("always") => Compress::Always,
                Some(_) => return Err(invalid("policy.compress", "must be auto, never or always")),
            },
            archive_after: standard.archive_after,
        })
    }
}

impl SettingsPatch {
    pub(super) fn check(&self) -> Result<(), JsValue> {
        check_sites(self.excluded_sites.as_deref().unwrap_or_default())?;
        archive_age(self.archive_after_days, Policy::default().archive_after)?;
        self.server_url.as_deref().map_or(Ok(()), check_server)
    }

    pub(super) fn apply(self, settings: &mut Settings) {
        settings.consent = self.consent.unwrap_or(settings.consent);
        settings.paused = self.paused.unwrap_or(settings.paused);
        let age = settings.policy.archive_after;
        settings.policy.archive_after = archive_age(self.archive_after_days, age).unwrap_or(age);
        if let Some(sites) = self.excluded_sites {
            settings.excluded = SiteRules::new(sites);
        }
        if let Some(url) = self.server_url {
            settings.server_url = url;
        }
    }
}

impl From<SyncOptions> for RunOptions {
    fn from(options: SyncOptions) -> Self {
        Self {
            max_batches: options.max_batches.map(|number| number.max(0.0) as u64),
            slice_budget: options.slice_budget_ms.map(|ms| Millis(ms.max(0.0) as i64)),
            by_hand: options.force.unwrap_or(false),
        }
    }
}
