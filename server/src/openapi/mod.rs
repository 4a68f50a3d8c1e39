//! The document that describes the routes (OpenAPI 3.1), from what each route says of itself and what goes for all.

mod sent;

use serde_json::{Map, Value, json};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        ContentBuilder, Header, OpenApi, Ref, RefOr, Required, Response, ResponseBuilder, path::Operation,
        security::SecurityRequirement,
    },
};

use crate::{auth::rate_limit::RATE_LIMIT_HEADERS, error::Refusal};

/// Name of the security scheme.
const TOKEN: &str = "access token";

/// Adds to every route what a login brings along.
pub fn describe_login(described: &mut OpenApi) {
    for operation in operations(described) {
        operation.security = Some(vec![SecurityRequirement::new(TOKEN, Vec::<String>::new())]);
        refuse(operation, "401", "`unauthorized`: no access token, or none that is good any more");
    }
    describe_limits(described);
}

/// Adds to every route what the rate limit, the database and the reading of bodies may answer.
pub fn describe_limits(described: &mut OpenApi) {
    for operation in operations(described) {
        if let Some(RefOr::T(body)) = &mut operation.request_body {
            body.required = Some(Required::True);
            refuse(operation, "400", "`bad_request`: the body can't be understood");
            refuse(operation, "408", "`request_timeout`: the body took too long to arrive");
            refuse(operation, "413", "`body_too_large`, packed or unpacked");
            refuse(
                operation,
                "415",
                "`unsupported_media_type`: not JSON, or an encoding that isn't read here",
            );
        }
        refuse(operation, "429", "`rate_limited`: come back when `Retry-After` is over");
        refuse(operation, "503", "`busy` or `unavailable`: come back when `Retry-After` is over");
        for (status, response) in &mut operation.responses.responses {
            if let RefOr::T(response) = response {
                describe_headers(status, response);
            }
        }
    }
}

fn describe_headers(status: &str, response: &mut Response) {
    let mut whole_number = |name: &str, description: &str| {
        let mut header = Header::new(i64::schema());
        header.description = Some(description.to_owned());
        response.headers.insert(name.to_owned(), header.into());
    };
    if matches!(status, "429" | "503") {
        whole_number("retry-after", "Seconds to wait");
    }
    if matches!(status, "200" | "429") {
        let [limit, remaining, reset] = RATE_LIMIT_HEADERS;
        whole_number(limit.as_str(), "Requests in a window of time");
        whole_number(remaining.as_str(), "Those that are left");
        whole_number(reset.as_str(), "Seconds until the next window");
    }
}

/// The whole document, as it is served.
pub fn document(mut described: OpenApi) -> Value {
    described.info.title = "HeyHo sync".to_owned();
    described.info.version = env!("CARGO_PKG_VERSION").to_owned();
    described.info.description = Some(env!("CARGO_PKG_DESCRIPTION").to_owned());
    let mut document = serde_json::to_value(described).unwrap_or_default();
    if let Some(components) = document.pointer_mut("/components").and_then(Value::as_object_mut) {
        components
            .insert("securitySchemes".to_owned(), json!({ TOKEN: { "type": "http", "scheme": "bearer" } }));
        let schemas = components.entry("schemas").or_insert_with(|| Map::new().into());
        if let Some(schemas) = schemas.as_object_mut() {
            schemas.extend(sent::schemas());
        }
    }
    document
}

fn operations(described: &mut OpenApi) -> impl Iterator<Item = &mut Operation> {
    described.paths.paths.values_mut().flat_map(|item| [&mut item.get, &mut item.post]).flatten()
}

/// Says that an operation may be refused with this status, if it doesn't say so itself.
fn refuse(operation: &mut Operation, status: &str, description: &str) {
    let body = ContentBuilder::new().schema(Some(Ref::from_schema_name(Refusal::name()))).build();
    let response = ResponseBuilder::new().description(description).content("application/json", body).build();
    operation.responses.responses.entry(status.to_owned()).or_insert_with(|| response.into());
}
