// Visits and aggregates as they are in life: about 1.2 and 0.65 KB of JSON, chains of sources, titles in several scripts.

const EPOCH = Date.UTC(2026, 8, 1);
const CHAIN = 7;

const PAGES = [
  ["docs.rs", "/rexie/latest/rexie/struct.Transaction.html?search=commit", "Transaction in rexie - Rust"],
  ["news.ycombinator.com", "/item?id=44871234", "A database for the rest of us | Hacker News"],
  ["developer.mozilla.org", "/en-US/docs/Web/API/IDBObjectStore/getAll", "IDBObjectStore: getAll() method"],
  [
    "www.nytimes.com",
    "/2026/09/01/science/slow-light-glass.html",
    "How Slow Can Light Go? - The New York Times",
  ],
  [
    "fr.wikipedia.org",
    "/wiki/Chemin_de_fer_%C3%A0_cr%C3%A9maill%C3%A8re",
    "Chemin de fer à crémaillère — Wikipédia",
  ],
  [
    "www.heise.de",
    "/news/Gro%C3%9Fe-Pl%C3%A4ne-9876543.html",
    "Große Pläne für kleine Rechner | heise online",
  ],
  ["github.com", "/example/outbox/pull/1187/files", "Settle in one transaction by ada · Pull Request #1187"],
  ["ja.wikipedia.org", "/wiki/%E5%9B%B3%E6%9B%B8%E9%A4%A8", "図書館 - Wikipedia"],
  [
    "www.youtube.com",
    "/watch?v=dQw4w9WgXcQ&list=PL0123456789",
    "The whole of the Goldberg Variations - YouTube",
  ],
  ["mail.example.org", "/inbox/thread/18f3a2c7d9e0", "Re: tickets for Thursday (3 unread)"],
  ["shop.example.com", "/c/garden/lamps?sort=price&page=4", "Garden lamps, page 4 – Example Shop"],
  ["el.wikipedia.org", "/wiki/%CE%98%CE%AC%CE%BB%CE%B1%CF%83%CF%83%CE%B1", "Θάλασσα - Βικιπαίδεια"],
];
const CATEGORIES = ["work_documentation", "social_media", "news", "reference", "entertainment_video"];
const DESCRIPTION =
  "What the page says of itself in its head, as long as such words are in life: two or three sentences that were " +
  "written for a search engine, and that nobody reads but those. A third one names the author and the place, and a " +
  "fourth the year in which it was last changed.";

const hex = (number, digits) => number.toString(16).padStart(digits, "0").slice(-digits);

// Spread as the random part of a real id is, and the same for the same number.
function idOf(number, kind) {
  const mixed = Math.imul(number ^ 0x9e3779b9, 0x85ebca6b) >>> 0;
  const time = EPOCH + number * 1000;
  return `${hex(Math.floor(time / 65536), 8)}-${hex(time % 65536, 4)}-7${hex(mixed, 3)}-8${hex(mixed >>> 12, 3)}-${kind}${hex(number, 11)}`;
}

/** The `number`th visit. */
export function visit(number) {
  const [domain, path, title] = PAGES[(number * 5) % PAGES.length];
  const at = EPOCH + number * 41_000;
  const seconds = 5 + ((number * 37) % 600);
  return {
    id: idOf(number, "a"),
    url: `https://${domain}${path}#part-${number}`,
    title,
    visited_at: new Date(at).toISOString(),
    opened_at: new Date(at - 3_600_000).toISOString(),
    source_page_visit_id: number % CHAIN === 0 ? null : idOf(number - 1, "a"),
    tabId: 400 + (number % 23),
    domain,
    durationSeconds: seconds,
    activeDuration: seconds * 800,
    engagementRate: 0.8,
    idlePeriods: [
      { start: at + 10_000, end: at + 45_000, reason: "idle" },
      { start: at + 90_000, end: at + 120_000, reason: "window" },
    ],
    lastHeartbeat: at + seconds * 1000,
    anonymousClientId: "5b0c6f0e-8a53-4a0f-9c5b-0d1f5f1f2a77",
    category: CATEGORIES[number % CATEGORIES.length],
    categoryConfidence: 0.85,
    categoryMethod: "metadata",
    metadata: {
      description: DESCRIPTION,
      keywords: ["reading", "evening", domain, `topic ${number % 97}`],
      openGraph: { type: "article", siteName: domain, image: `https://${domain}/images/${number}.jpg` },
      language: "en",
    },
  };
}

/** The aggregate of the `number`th visit. */
export function aggregate(number) {
  const [domain, path] = PAGES[(number * 5) % PAGES.length];
  const [other] = PAGES[(number * 5 + 1) % PAGES.length];
  const seconds = 5 + ((number * 37) % 600);
  return {
    id: idOf(number, "b"),
    page_visit_id: idOf(number, "a"),
    total_time_seconds: seconds,
    active_time_seconds: Math.floor(seconds * 0.8),
    scroll_depth_percent: (number * 13) % 101,
    closed_at: new Date(EPOCH + number * 41_000 + seconds * 1000).toISOString(),
    domain_durations: { [domain]: seconds, [other]: 30 + (number % 50) },
    page_count: 1 + (number % 9),
    current_url: `https://${domain}${path}#part-${number}`,
    current_domain: domain,
    statistics: {
      longestStaySeconds: seconds,
      switches: number % 17,
      returns: number % 5,
      perHour: Array.from({ length: 12 }, (_, hour) => ({ hour, seconds: (number * hour) % 60 })).slice(0, 4),
    },
  };
}

/** Visits and aggregates from `first` on, in groups of `size`. */
export function* groups(first, count, size = 1000) {
  for (let from = first; from < first + count; from += size) {
    const numbers = Array.from({ length: Math.min(size, first + count - from) }, (_, index) => from + index);
    yield { pageVisits: numbers.map(visit), tabAggregates: numbers.map(aggregate) };
  }
}
