//! What the servers of a run can do beyond storing batches, and how that changes.

use serde_json::json;

use crate::fault::NetworkFault;
use crate::model::SERVERS;
use crate::random::Random;
use crate::run::Run;
use crate::server::{Manner, Server};
use crate::store::Medium;

/// Gives a server its optional abilities, or none. The published backend has none.
pub fn draw(random: &Random, server: &mut Server) {
    let published = server.manner == Manner::Published;
    server.wants_order = published || random.chance(50);
    server.abilities = (!published && random.chance(60)).then(|| {
        json!({
            "compression": if random.chance(70) { ["gzip"] } else { ["br"] },
            "max_page_visits": if random.chance(30) { 40 } else { 100 },
            "max_tab_aggregates": if random.chance(20) { 7 } else { 100 },
            "max_body_bytes": if random.chance(20) { 8 * 1024 } else { 512 * 1024 },
            // Some say so and don't keep their word.
            "references_in_any_order": !server.wants_order || random.chance(50),
            "preflight": if random.chance(70) { json!({ "max_ids": 1000 + random.below(2000) }) } else { json!(null) },
            "version": random.below(3).to_string(),
        })
    });
    server.gzip_refusal = random.chance(30).then(|| *random.pick(&[400, 415, 500]));
}

impl<M: Medium> Run<M> {
    /// A server gains abilities or loses them; the client hears of it when it next asks.
    pub(crate) fn change_abilities(&mut self, server: u64, salt: u64) {
        let random = Random::new(salt);
        let mut server = self.scene.network.servers()[(server % SERVERS) as usize].borrow_mut();
        let before = server.abilities.clone();
        draw(&random, &mut server);
        if server.abilities != before {
            self.model.fired("abilities change");
        }
    }

    /// Something goes wrong with the next questions, which are no uploads.
    pub(crate) fn plan_question_faults(&mut self, fault: u64, times: u64) {
        let fault = match fault {
            0 => NetworkFault::LostRequest,
            1 => NetworkFault::Slow(60_000),
            2 => NetworkFault::instead(500, ""),
            3 => NetworkFault::instead(200, "<html>Welcome to the hotel</html>"),
            4 => NetworkFault::instead(429, r#"{"success":false,"retry_after":30}"#),
            _ => NetworkFault::AnswerCutOff,
        };
        let mut faults = self.scene.network.question_faults.borrow_mut();
        faults.extend((0..times).map(|_| Some(fault.clone())));
    }
}
