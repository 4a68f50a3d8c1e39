//! A user's own records: reading them back, and erasing them.

use axum::{
    Json,
    extract::{Query, State, rejection::QueryRejection},
    response::Response,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::answers::{self, Answer};
use crate::{
    app::App,
    auth::{AddressDigest, Caller},
    erasure::Erasure,
    error::{ApiError, Refusal},
    policy,
    store::{StoredPageVisit, StoredTabAggregate},
    time::UnixMillis,
    validation,
    wire::Form,
};

pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(browsing_data)).routes(routes!(erase))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Page {
    /// Which page, from 1.
    #[param(minimum = 1, maximum = 1_000_000_000)]
    page: Option<i64>,
    /// Records of each kind on a page; 100 if not given.
    #[param(minimum = 1, maximum = 100)]
    per_page: Option<i64>,
}

#[derive(Serialize, ToSchema)]
struct Records {
    page_visits: Vec<StoredPageVisit>,
    tab_aggregates: Vec<StoredTabAggregate>,
    pagination: Pagination,
}

#[derive(Serialize, ToSchema)]
struct Pagination {
    page: i64,
    per_page: i64,
    /// Null on the last page.
    #[schema(required)]
    next_page: Option<i64>,
}

/// One page of visits, newest first, and one of aggregates.
#[utoipa::path(
    get,
    path = "/browsing_data",
    tag = "data",
    params(Page),
    responses(
        (status = 200, description = "The caller's own records", body = Answer<Records>),
        (status = 400, description = "`bad_request`: not numbers", body = Refusal),
        (status = 422, description = "`invalid_field`: out of range", body = Refusal),
    )
)]
async fn browsing_data(
    State(app): State<App>,
    caller: Caller,
    query: Result<Query<Page>, QueryRejection>,
) -> Result<Response, ApiError> {
    caller.count_request(&app).await?;
    let Query(asked) = query.map_err(|_| ApiError::BadRequest("page and per_page must be whole numbers."))?;
    let page = asked.page.unwrap_or(1);
    let per_page = asked.per_page.unwrap_or(policy::MAX_PAGE_RECORDS);
    if !(1..=policy::MAX_PAGE_RECORDS).contains(&per_page) {
        return Err(ApiError::InvalidField { field: "per_page", message: "must be from 1 to 100" });
    }
    if !(1..=policy::MAX_PAGE).contains(&page) {
        return Err(ApiError::InvalidField { field: "page", message: "must be from 1 to 1000000000" });
    }
    let share = app.memory.page(caller.user_id).await?;
    let offset = (page - 1) * per_page;
    let page_visits = app.store.page_visits(caller.user_id, per_page, offset).await?;
    let tab_aggregates = app.store.tab_aggregates(caller.user_id, per_page, offset).await?;
    let full = i64::try_from(page_visits.len().max(tab_aggregates.len())).unwrap_or(i64::MAX) == per_page;
    let pagination = Pagination { page, per_page, next_page: full.then_some(page + 1) };
    answers::holding(Records { page_visits, tab_aggregates, pagination }, share)
}

#[derive(Deserialize)]
struct EraseForm {
    scope: Option<String>,
    site: Option<String>,
    from: Option<Value>,
    to: Option<Value>,
}

#[derive(Serialize, ToSchema)]
struct ErasedCounts {
    page_visits_erased: u64,
    tab_aggregates_erased: u64,
}

/// Erases everything, a site, or a span of time; for good, also what comes later and falls under it.
///
/// Without `to`, all that is held goes, and what comes later if it is of before now by the server's clock; a client
/// gives its own moment. What is made after an erasure is kept, as soon as its moment has come by the server's clock.
#[utoipa::path(
    post,
    path = "/data/erase",
    tag = "data",
    request_body(content = ref("#/components/schemas/Erasure"), content_type = "application/json"),
    responses(
        (status = 200, description = "Erased", body = Answer<ErasedCounts>),
        (status = 422, description = "`invalid_field`", body = Refusal),
    )
)]
async fn erase(
    State(app): State<App>,
    caller: Caller,
    address: AddressDigest,
    form: Result<Form<EraseForm>, ApiError>,
) -> Result<Json<Answer<ErasedCounts>>, ApiError> {
    let now = UnixMillis::now();
    let erasure = match form.and_then(|Form(form)| erasure(&form, now)) {
        Ok(erasure) => erasure,
        Err(refusal) => {
            caller.count_request(&app).await?;
            return Err(refusal);
        }
    };
    let erased = app
        .store
        .erase(caller.user_id, &erasure, &address, now)
        .await?
        .map_err(|usage| ApiError::RateLimited { usage, now })?;
    let counts =
        ErasedCounts { page_visits_erased: erased.page_visits, tab_aggregates_erased: erased.tab_aggregates };
    Ok(Answer::saying("Erased", counts))
}

fn erasure(form: &EraseForm, now: UnixMillis) -> Result<Erasure, ApiError> {
    let from = moment("from", form.from.as_ref())?;
    let to = moment("to", form.to.as_ref())?;
    let unexpected = |field| ApiError::InvalidField { field, message: "doesn't go with this scope" };
    let erasure = match (form.scope.as_deref(), &form.site, from) {
        (Some("all"), Some(_), _) | (Some("range"), Some(_), _) => return Err(unexpected("site")),
        (Some("all"), None, Some(_)) => return Err(unexpected("from")),
        (Some("all"), None, None) => Erasure { site: None, from: UnixMillis(0), to },
        (Some("site"), Some(site), from) => {
            let site = validation::site(site)
                .ok_or(ApiError::InvalidField { field: "site", message: "must be a host name" })?;
            Erasure { site: Some(site), from: from.unwrap_or(UnixMillis(0)), to }
        }
        (Some("site"), None, _) => {
            return Err(ApiError::InvalidField { field: "site", message: "is missing" });
        }
        (Some("range"), None, Some(from)) => Erasure { site: None, from, to },
        (Some("range"), None, None) => {
            return Err(ApiError::InvalidField { field: "from", message: "is missing" });
        }
        _ => return Err(ApiError::InvalidField { field: "scope", message: "must be all, site or range" }),
    };
    if erasure.from > to.unwrap_or(now) {
        return Err(ApiError::InvalidField { field: "to", message: "must not be before from" });
    }
    Ok(erasure)
}

fn moment(field: &'static str, given: Option<&Value>) -> Result<Option<UnixMillis>, ApiError> {
    given
        .filter(|value| !value.is_null())
        .map(|value| validation::millis(value).map(UnixMillis))
        .transpose()
        .map_err(|message| ApiError::InvalidField { field, message })
}
