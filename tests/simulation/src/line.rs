//! A worker's way through the network: what becomes of one request.

use std::cell::RefCell;
use std::rc::Rc;

use heyho_sync::decisions::protocol::{Answer, BODY_HEAD, BODY_MIDDLE, BODY_TAIL};
use heyho_sync::decisions::verdict::NoAnswer;
use heyho_sync::ports::store::Body;
use heyho_sync::ports::transport::{Exchange, Packing, Payload, Request, Transport};
use serde_json::Value;

use crate::fault::{NetworkFault, altered};
use crate::network::{Network, PACKED, Seen, http_date};
use crate::server::Arrived;
use crate::world::START;

/// A worker's way to the network. What it has sent arrives even if the worker dies.
#[derive(Debug, Clone)]
pub struct Line {
    network: Rc<Network>,
    /// The worker's uploads that are in flight.
    out: Rc<RefCell<Vec<Rc<Seen>>>>,
}

struct InFlight<'a> {
    line: &'a Line,
    seen: Rc<Seen>,
}

impl<'a> InFlight<'a> {
    fn begin(line: &'a Line, seen: &Rc<Seen>) -> Self {
        let network = &line.network;
        network.in_flight.set(network.in_flight.get() + 1);
        network.most_in_flight.set(network.most_in_flight.get().max(network.in_flight.get()));
        line.out.borrow_mut().push(Rc::clone(seen));
        Self { line, seen: Rc::clone(seen) }
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        let network = &self.line.network;
        network.in_flight.set(network.in_flight.get() - 1);
        self.line.out.borrow_mut().retain(|seen| !Rc::ptr_eq(seen, &self.seen));
    }
}

impl<B: Body + 'static> Transport<B> for Line {
    fn send(&self, request: Request<B>) -> Exchange<'_> {
        Box::pin(async move {
            let mut outcome = self.exchange(request).await;
            if let Ok(answer) = &mut outcome
                && self.network.tells_date.get()
            {
                answer.date = Some(http_date(START.0 + self.network.world.monotonic()));
            }
            outcome
        })
    }

    fn compress(&self, payload: Payload<B>) -> Packing<'_> {
        Box::pin(async move {
            self.network.world.pass(1).await;
            Some([PACKED, plain(&payload).as_bytes()].concat())
        })
    }
}

impl Line {
    /// The line of a new worker.
    pub fn to(network: &Rc<Network>) -> Self {
        Self { network: Rc::clone(network), out: Rc::default() }
    }

    async fn exchange<B: Body>(&self, request: Request<B>) -> Result<Answer, NoAnswer> {
        let network = &*self.network;
        if !request.url.ends_with("/data/sync") {
            return self.ask(&request).await;
        }
        let seen = network.check(&request);
        network.check_beside(&seen, &self.out.borrow(), &request.url);
        network.seen.borrow_mut().push(Rc::clone(&seen));
        let _in_flight = InFlight::begin(self, &seen);
        let fault = network.faults.borrow_mut().pop_front().flatten();
        network.fired.borrow_mut().extend(fault.as_ref().map(NetworkFault::name));
        let deliver = || {
            let bearer = seen.bearer.clone().unwrap_or_default();
            let key = seen.idempotency_key.as_deref();
            let mut server = network.server_at(&request.url).borrow_mut();
            server.happened.extend(seen.packed.then_some("compressed body arrived"));
            match seen.packed.then_some(server.gzip_refusal).flatten() {
                Some(status) => {
                    server.happened.push("compressed body refused");
                    Answer { status, ..Answer::default() }
                }
                None => server.upload(&bearer, key, &seen.page_visits, &seen.tab_aggregates),
            }
        };
        let latency = network.latency_ms.get() + network.latency_beyond();
        network.world.pass(latency).await;
        let outcome = self.travel(&request, fault, deliver).await;
        if let Some(tell) = network.tell.get() {
            let outcome = match &outcome {
                Ok(answer) => format!("{} {}", answer.status, answer.body),
                Err(none) => format!("{none:?}"),
            };
            tell(&format!("    {} -> {outcome}", summary(&seen)));
        }
        outcome
    }

    // Everything that is no upload.
    async fn ask<B: Body>(&self, request: &Request<B>) -> Result<Answer, NoAnswer> {
        let network = &*self.network;
        assert!(network.may_send.get(), "a question while nothing may be sent");
        let route = request.url.split("/api/v1").last().unwrap_or_default().to_owned();
        let body = match &request.payload {
            Payload::Json(text) => serde_json::from_str(text).expect("a body that is not JSON"),
            _ => Value::Null,
        };
        let is_alone = network.in_flight.get() == 0;
        assert!(is_alone || route != "/data/erase", "an erase beside an upload");
        let server = network.server_at(&request.url);
        let shown = [request.bearer.as_deref(), body["refresh_token"].as_str()];
        let is_theirs = |token: &str| token.starts_with(server.borrow().name);
        assert!(shown.into_iter().flatten().all(is_theirs), "a server is shown the login of another");
        network.asked.borrow_mut().push((route.clone(), body.clone()));
        let fault = network.question_faults.borrow_mut().pop_front().flatten();
        let names = if route == "/data/sync/known" {
            &["question fails", "preflight fails"] as &[_]
        } else {
            &["question fails"]
        };
        network.fired.borrow_mut().extend(fault.iter().flat_map(|_| names.iter().copied()));
        let waits = fault.as_ref().map(NetworkFault::name).filter(|name| name.starts_with("wait "));
        network.fired.borrow_mut().extend(waits.map(|_| "wait asked for by a question's answer"));
        network.world.pass(1).await;
        let bearer = request.bearer.clone().unwrap_or_default();
        let deliver = || server.borrow_mut().answer_question(&route, &bearer, &body);
        self.travel(request, fault, deliver).await
    }

    async fn travel(
        &self,
        request: &Request<impl Body>,
        fault: Option<NetworkFault>,
        deliver: impl Fn() -> Answer,
    ) -> Result<Answer, NoAnswer> {
        let network = &*self.network;
        let latency = network.latency_ms.get();
        match fault {
            None => {
                let answer = deliver();
                network.world.pass(network.latency_beyond()).await;
                Ok(answer)
            }
            Some(NetworkFault::LostRequest) => Err(NoAnswer::Network),
            Some(NetworkFault::LostAnswer) => {
                deliver();
                network.world.pass(latency).await;
                Err(NoAnswer::Network)
            }
            Some(NetworkFault::Slow(ms)) => {
                let answer = deliver();
                network.world.pass(ms.min(request.timeout.0)).await;
                if ms >= request.timeout.0 { Err(NoAnswer::TimedOut) } else { Ok(answer) }
            }
            Some(NetworkFault::Instead(answer)) => {
                network.note_forged(&answer);
                network.heed(&request.url, &answer);
                Ok(answer)
            }
            Some(NetworkFault::InsteadUntil(answer, secs)) => {
                network.note_forged(&answer);
                let retry_after = Some(network.date_of_wait(&request.url, secs));
                Ok(Answer { retry_after, ..answer })
            }
            Some(NetworkFault::AnswerCutOff) => {
                deliver();
                Err(NoAnswer::BodyCutOff)
            }
            Some(NetworkFault::AnswerReplaced(answer)) => {
                deliver();
                network.note_forged(&answer);
                Ok(answer)
            }
            Some(NetworkFault::AnswerAltered(flaw)) => {
                let answer = altered(deliver(), flaw);
                network.note_forged(&answer);
                Ok(answer)
            }
        }
    }
}

fn plain<B: Body>(payload: &Payload<B>) -> String {
    let Payload::Batch { page_visits, tab_aggregates } = payload else { panic!("not a batch") };
    let [visits, aggregates] = [page_visits, tab_aggregates].map(|bodies| {
        let texts: Vec<String> = bodies.iter().map(Body::text).collect();
        texts.join(",")
    });
    format!("{BODY_HEAD}{visits}{BODY_MIDDLE}{aggregates}{BODY_TAIL}")
}

fn summary(seen: &Seen) -> String {
    let name = |record: &Rc<Arrived>| match &record.source_page_visit_id {
        Some(source) => format!("{}<{source}", record.id),
        None => record.id.clone(),
    };
    let names = |records: &[Rc<Arrived>]| records.iter().map(name).collect::<Vec<_>>().join(" ");
    format!("[{}] [{}]", names(&seen.page_visits), names(&seen.tab_aggregates))
}
