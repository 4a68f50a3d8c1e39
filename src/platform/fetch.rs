//! [`Transport`] by `fetch`.

use std::cell::Cell;
use std::rc::Rc;

use gloo_timers::callback::Timeout;
use js_sys::{Array, JsString, Object, Promise, Reflect, Uint8Array};
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{AbortController, ReadableStreamDefaultReader, ReadableWritablePair, Response};

use super::row::JsBody;
use crate::decisions::protocol::{Answer, BODY_HEAD, BODY_MIDDLE, BODY_TAIL};
use crate::decisions::verdict::NoAnswer;
use crate::ports::transport::{Exchange, Packing, Payload, Request, Transport};
use crate::words::policy::MAX_ANSWER_BYTES;

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(catch)]
    fn fetch(url: &str, init: &JsValue) -> Result<Promise, JsValue>;

    #[wasm_bindgen(extends = Object)]
    type CompressionStream;
    #[wasm_bindgen(constructor, catch)]
    fn new(format: &str) -> Result<CompressionStream, JsValue>;

    // As of web-sys, but of a text that stays in JavaScript.
    #[wasm_bindgen(extends = Response, js_name = Response)]
    type Text;
    #[wasm_bindgen(constructor, js_class = "Response", catch)]
    fn of(text: &JsString) -> Result<Text, JsValue>;
}

/// The browser's network.
#[derive(Debug, Default)]
pub struct Fetch;

impl Transport<JsBody> for Fetch {
    fn send(&self, request: Request<JsBody>) -> Exchange<'_> {
        Box::pin(async move {
            let controller = AbortController::new().map_err(|_| NoAnswer::Network)?;
            let timed_out = Rc::new(Cell::new(false));
            let alarm = {
                let (controller, timed_out) = (controller.clone(), Rc::clone(&timed_out));
                let span = u32::try_from(request.timeout.0.max(0)).unwrap_or(u32::MAX).min(i32::MAX as u32);
                Timeout::new(span, move || {
                    timed_out.set(true);
                    controller.abort();
                })
            };
            let result = exchange(request, &controller).await;
            drop(alarm);
            result.map_err(|no_answer| if timed_out.get() { NoAnswer::TimedOut } else { no_answer })
        })
    }

    fn compress(&self, payload: Payload<JsBody>) -> Packing<'_> {
        Box::pin(async move { gzip(&text_of(&payload)).await.ok() })
    }
}

async fn exchange(request: Request<JsBody>, controller: &AbortController) -> Result<Answer, NoAnswer> {
    let init = init_of(&request, controller).map_err(|_| NoAnswer::Network)?;
    let promise = fetch(&request.url, &init).map_err(|_| NoAnswer::Network)?;
    let response: Response = JsFuture::from(promise)
        .await
        .ok()
        .and_then(|response| response.dyn_into().ok())
        .ok_or(NoAnswer::Network)?;
    let header = |name| response.headers().get(name).ok().flatten();
    // A redirect that is not followed shows neither its status nor its target (Fetch, 2.2.6).
    let opaque = response.status() == 0;
    let mut answer = Answer {
        status: response.status(),
        redirected: opaque || response.redirected(),
        retry_after: header("Retry-After"),
        rate_limit_reset: header("X-RateLimit-Reset"),
        date: header("Date"),
        ..Answer::default()
    };
    if !answer.redirected {
        (answer.body, answer.cut_off) = read_body(&response).await.ok_or(NoAnswer::BodyCutOff)?;
    }
    Ok(answer)
}

async fn gzip(text: &JsString) -> Result<Vec<u8>, JsValue> {
    let packer: ReadableWritablePair = CompressionStream::new("gzip")?.unchecked_into();
    let plain = Text::of(text)?.body().ok_or(JsValue::NULL)?;
    let packed = Response::new_with_opt_readable_stream(Some(&plain.pipe_through(&packer)))?;
    let bytes = JsFuture::from(packed.array_buffer()?).await?;
    Ok(Uint8Array::new(&bytes).to_vec())
}

fn init_of(request: &Request<JsBody>, controller: &AbortController) -> Result<JsValue, JsValue> {
    let set = |target: &Object, name: &str, value: &JsValue| Reflect::set(target, &name.into(), value);
    let headers = Object::new();
    let body = match &request.payload {
        Payload::Nothing => None,
        Payload::Gzip(bytes) => Some(Uint8Array::from(bytes.as_slice()).into()),
        text => Some(text_of(text).into()),
    };
    if body.is_some() {
        set(&headers, "Content-Type", &"application/json".into())?;
    }
    if matches!(request.payload, Payload::Gzip(_)) {
        set(&headers, "Content-Encoding", &"gzip".into())?;
    }
    set(&headers, "Accept", &"application/json".into())?;
    if let Some(bearer) = &request.bearer {
        set(&headers, "Authorization", &format!("Bearer {bearer}").into())?;
    }
    if let Some(key) = &request.idempotency_key {
        set(&headers, "Idempotency-Key", &key.into())?;
    }
    let init = Object::new();
    for (name, value) in [
        ("method", if body.is_some() { "POST" } else { "GET" }),
        ("mode", "cors"),
        ("credentials", "omit"),
        ("cache", "no-store"),
        ("redirect", "manual"),
        ("referrerPolicy", "no-referrer"),
    ] {
        set(&init, name, &value.into())?;
    }
    set(&init, "headers", &headers)?;
    set(&init, "signal", &controller.signal())?;
    if let Some(body) = body {
        set(&init, "body", &body)?;
    }
    Ok(init.into())
}

// The bodies are joined where they are: no record is copied into wasm memory.
fn text_of(payload: &Payload<JsBody>) -> JsString {
    match payload {
        Payload::Nothing | Payload::Gzip(_) => JsString::from(""),
        Payload::Json(text) => text.as_str().into(),
        Payload::Batch { page_visits, tab_aggregates } => {
            let joined =
                |bodies: &[JsBody]| bodies.iter().map(|body| body.0.clone()).collect::<Array>().join(",");
            JsString::from(BODY_HEAD)
                .concat(&joined(page_visits))
                .concat(&BODY_MIDDLE.into())
                .concat(&joined(tab_aggregates))
                .concat(&BODY_TAIL.into())
        }
    }
}

// The body's beginning, and whether it was longer.
async fn read_body(response: &Response) -> Option<(String, bool)> {
    let Some(stream) = response.body() else { return Some((String::new(), false)) };
    let reader: ReadableStreamDefaultReader = stream.get_reader().dyn_into().ok()?;
    let mut bytes: Vec<u8> = Vec::new();
    loop {
        let chunk = JsFuture::from(reader.read()).await.ok()?;
        if Reflect::get(&chunk, &"done".into()).ok()?.is_truthy() {
            break;
        }
        let chunk: Uint8Array = Reflect::get(&chunk, &"value".into()).ok()?.dyn_into().ok()?;
        let room = MAX_ANSWER_BYTES - bytes.len();
        if chunk.length() as usize > room {
            drop(reader.cancel());
            return Some((String::new(), true));
        }
        bytes.extend(chunk.to_vec());
    }
    Some((String::from_utf8_lossy(&bytes).into_owned(), false))
}
