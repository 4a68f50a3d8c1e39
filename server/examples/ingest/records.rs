//! Records as the extension makes them.

use serde_json::{Value, json};
use uuid::Uuid;

/// A full batch of the client: 100 visits, and an aggregate of each.
pub const PER_BATCH: usize = 200;

/// Makes records that differ from each other as those of people do.
#[derive(Default)]
pub struct Records {
    made: u64,
}

impl Records {
    /// The body of the next batch.
    pub fn batch(&mut self) -> String {
        let (mut visits, mut aggregates) = (Vec::new(), Vec::new());
        for _ in 0..PER_BATCH / 2 {
            let (visit, aggregate) = self.visit();
            visits.push(visit);
            aggregates.push(aggregate);
        }
        json!({ "pageVisits": visits, "tabAggregates": aggregates }).to_string()
    }

    fn visit(&mut self) -> (Value, Value) {
        self.made += 1;
        let made = self.made;
        let id = Uuid::now_v7().to_string();
        let visited_at = 1_761_040_000_000 + made * 7_919;
        let words = "a page with a title of ordinary length and some words more than that";
        let visit = json!({
            "id": id,
            "url": format!("https://www.site-{}.example/articles/{made}/some-words?page={}&q=of+ordinary+length", made % 997, made % 7),
            "title": words.get(..20 + usize::try_from(made % 48).unwrap_or(0)),
            "visited_at": visited_at,
            "opened_at": visited_at - 1_000,
            "source_page_visit_id": Uuid::now_v7().to_string(),
            "tabId": made % 400,
            "domain": format!("site-{}.example", made % 997),
            "durationSeconds": made % 600,
            "activeDuration": made % 600 * 900,
            "engagementRate": 0.9,
            "idlePeriods": [{ "start": visited_at + 5_000, "end": visited_at + 39_000, "durationMs": 34_000, "reason": "idle" }],
            "lastHeartbeat": visited_at + 60_000,
            "anonymousClientId": "4f6f1c1e-5f0b-4b57-9f6a-0c2b7a9d3e11",
            "category": "learning_reading",
            "categoryConfidence": 0.9,
            "categoryMethod": "metadata",
            "metadata": { "ogType": "website", "wordCount": made % 3_000, "preview": { "title": "site" } },
            "revision": 1,
        });
        let aggregate = json!({
            "id": Uuid::now_v7().to_string(),
            "page_visit_id": id,
            "total_time_seconds": made % 600,
            "active_time_seconds": made % 500,
            "scroll_depth_percent": made % 100,
            "closed_at": visited_at + 600_000,
            "domain_durations": { "site.example": made % 600 },
            "page_count": 3,
            "current_url": format!("https://www.site-{}.example/", made % 997),
            "current_domain": format!("site-{}.example", made % 997),
            "revision": 1,
        });
        (visit, aggregate)
    }
}
