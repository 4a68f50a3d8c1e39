//! Futures without a runtime: what a contract needs that holds natively and in a browser.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::Poll;
#[cfg(not(target_arch = "wasm32"))]
use std::task::{Context, Waker};

/// Runs a future that never has to wait for anything outside of it.
#[cfg(not(target_arch = "wasm32"))]
pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("the future waits for something"),
    }
}

/// Runs futures side by side until all have ended; their values in the order of the futures.
pub async fn all<T>(futures: impl IntoIterator<Item = impl Future<Output = T>>) -> Vec<T> {
    let mut running: Vec<Pin<Box<_>>> = futures.into_iter().map(Box::pin).collect();
    let mut values: Vec<Option<T>> = running.iter().map(|_| None).collect();
    poll_fn(move |context| {
        for (future, value) in running.iter_mut().zip(&mut values) {
            if value.is_none()
                && let Poll::Ready(ended) = future.as_mut().poll(context)
            {
                *value = Some(ended);
            }
        }
        if values.iter().all(Option::is_some) {
            Poll::Ready(values.drain(..).flatten().collect())
        } else {
            Poll::Pending
        }
    })
    .await
}

/// Polls a future at most `polls` times, then drops it, as a worker's death does. Its value if it ended in time.
pub async fn killed_after<T>(polls: usize, future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    let mut left = polls;
    poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        match future.as_mut().poll(context) {
            Poll::Ready(value) => Poll::Ready(Some(value)),
            Poll::Pending if left == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}
