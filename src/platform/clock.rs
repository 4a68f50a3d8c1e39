//! [`Clock`] of a browser.

use gloo_timers::future::TimeoutFuture;
use js_sys::Uint8Array;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::ports::clock::Clock;
use crate::words::time::{Millis, UnixMillis};

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_namespace = performance, js_name = now)]
    fn performance_now() -> f64;
    #[wasm_bindgen(js_namespace = crypto, js_name = getRandomValues)]
    pub(super) fn get_random_values(target: &Uint8Array);
}

/// The browser's clocks and randomness.
#[derive(Debug, Default)]
pub struct BrowserClock;

impl Clock for BrowserClock {
    fn now(&self) -> UnixMillis {
        UnixMillis(js_sys::Date::now() as i64)
    }

    fn monotonic(&self) -> Millis {
        Millis(performance_now() as i64)
    }

    fn day_of(&self, at: UnixMillis) -> i64 {
        let minutes = js_sys::Date::new(&JsValue::from_f64(at.0 as f64)).get_timezone_offset();
        let offset = Millis::from_secs(60 * minutes as i64);
        (at - offset).0.div_euclid(Millis::from_days(1).0)
    }

    async fn sleep(&self, span: Millis) {
        let span = u32::try_from(span.0.max(0)).unwrap_or(u32::MAX).min(i32::MAX as u32);
        TimeoutFuture::new(span).await;
    }

    fn random(&self) -> [u8; 16] {
        let random = Uint8Array::new_with_length(16);
        get_random_values(&random);
        let mut bytes = [0; 16];
        random.copy_to(&mut bytes);
        bytes
    }
}
