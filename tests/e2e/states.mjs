// The states in which the extension's pages are drawn and looked over.
const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;
const now = Date.now();

/** Where each page is, and what says that it has been drawn. */
export const PAGES = {
  popup: { path: "popup/popup.html", ready: 'body:not([data-scene="loading"])' },
  options: { path: "options/options.html", ready: 'body[data-ready="true"]' },
  firstrun: { path: "firstrun/firstrun.html", ready: 'body:not([data-answer="unknown"])' },
};

const per = (pageVisits, tabAggregates) => ({ pageVisits, tabAggregates });

/** Nothing is wrong. */
export const SOUND = {
  booksBalance: true,
  checkedAt: now - 5 * 60 * MINUTE_MS,
  balanced: true,
  missing: 0,
  uncounted: 0,
  unreadable: 0,
  orphans: 0,
  retryOverdue: false,
  stuckLock: false,
  rebuilt: null,
};

/** Uploads as they should be. */
export const SMOOTH = {
  uploads: 100,
  successRate: 1,
  networkErrors: 0,
  meanBatchMs: 84.2,
  p95BatchMs: 131,
  quarantinedShare: 0,
  alerts: [],
};

/** What the background would tell. */
export function snapshot(change = {}, settings = {}) {
  return {
    state: "idle",
    captured: per(8_651, 12_904),
    acknowledged: per(8_651, 12_904),
    pending: per(0, 0),
    parked: per(0, 0),
    quarantined: per(0, 0),
    archived: per(0, 0),
    discarded: per(0, 0),
    unrecoverable: per(0, 0),
    unclaimed: per(0, 0),
    elsewhere: [],
    erasing: [],
    problem: null,
    progress: null,
    health: SOUND,
    metrics: SMOOTH,
    lastReport: null,
    lastSuccessAt: now - 2 * MINUTE_MS,
    lastAttemptAt: now - 2 * MINUTE_MS,
    nextAttemptAt: now + 3 * MINUTE_MS,
    signedIn: true,
    email: "ada@example.org",
    serverAllowed: true,
    room: { usage: 12_400_000, quota: 41_000_000_000, pressure: null },
    settings: {
      serverUrl: "https://sync.example.org/api/v1",
      consent: true,
      answeredAt: now - 40 * DAY_MS,
      paused: false,
      excludedSites: [],
      intervalMinutes: 5,
      archiveAfterDays: 90,
      ...settings,
    },
    ...change,
  };
}

const problem = (code) => ({ code, message: "", since: now - 40 * MINUTE_MS });
const visit = (id, title, url, note) => ({
  kind: "page_visit",
  id,
  revision: 1,
  capturedAt: now - 60 * MINUTE_MS,
  note,
  record: { id, title, url },
});

const REFUSED = [
  visit("0199f3a2-0000-7000-8000-000000000001", "Tides and currents", "https://harbour.example/tides", {
    reason: "refused",
    words: "title is not allowed to be longer than 500 characters",
    at: now - 50 * MINUTE_MS,
  }),
  visit(
    "0199f3a2-0000-7000-8000-000000000002",
    "Charts of the northern sea",
    "https://harbour.example/charts",
    {
      reason: "refused_without_a_word",
      at: now - 45 * MINUTE_MS,
    },
  ),
];

const popup = (change, settings, more = {}) => ({
  page: "popup",
  replies: { status: snapshot(change, settings), "quarantine.list": REFUSED, ...more.replies },
  act: more.act,
  ...more.looks,
});

const waiting = { pending: per(37, 52), lastSuccessAt: now - 41 * MINUTE_MS };
const open = (testId) => (page) => page.locator(`[data-testid="${testId}"] > summary`).click();
const report = {
  attempted: 8_595,
  created: 8_480,
  updated: 113,
  requests: 89,
  retries: 2,
  bytesSent: 1_284_000,
  durationMs: 7_300,
};

/** What a comparison with the server would find. */
export const compared = (change = {}) => ({
  reason: null,
  comparedAt: now,
  acknowledged: per(8_640, 12_880),
  compared: per(8_640, 12_880),
  erased: per(0, 0),
  there: per(9_002, 13_407),
  days: [],
  ...change,
});

const full = {
  captured: per(8_700, 12_990),
  acknowledged: per(8_640, 12_880),
  pending: per(37, 52),
  parked: per(12, 30),
  quarantined: per(2, 3),
  archived: per(4, 8),
  discarded: per(5, 17),
  unclaimed: per(6, 11),
  elsewhere: [{ server: "https://old.example.org", mayBeTaken: true, ...per(6, 19) }],
  erasing: [
    {
      site: "clinic.example",
      server: "https://sync.example.org",
      since: now - 5 * MINUTE_MS,
      unable: false,
      waitsForSignIn: false,
    },
    {
      site: null,
      server: "https://old.example.org",
      since: now - 50 * MINUTE_MS,
      unable: true,
      waitsForSignIn: true,
    },
  ],
  lastReport: report,
};

/** @type {Record<string, any>} */
export const STATES = {
  "popup-safe": popup({}),
  "popup-empty": popup({ captured: per(0, 0), acknowledged: per(0, 0), lastSuccessAt: null }),
  "popup-waiting": popup(waiting),
  "popup-syncing": popup({
    state: "syncing",
    pending: per(1_351, 2_044),
    acknowledged: per(7_300, 10_860),
    progress: { done: 5_200, total: 8_595, perSecond: 412.4, secondsLeft: 8.2, batchesLeft: 21 },
    lastSuccessAt: now,
  }),
  "popup-held-up": popup({ state: "waiting", problem: problem("unreachable"), ...waiting }),
  "popup-not-granted": popup({
    state: "waiting",
    problem: problem("unreachable"),
    serverAllowed: false,
    ...waiting,
  }),
  "popup-wrong-address": popup({ state: "error", problem: problem("wrong address"), ...waiting }),
  "popup-sign-in-again": popup({ state: "error", problem: problem("sign in again"), ...waiting }),
  "popup-signed-out": popup({ state: "signedOut", signedIn: false, email: null, ...waiting }),
  "popup-paused": popup({ state: "paused" }, { paused: true }),
  "popup-consent": popup(
    { state: "paused", signedIn: false, email: null },
    { consent: false, answeredAt: null },
  ),
  "popup-refused-consent": popup({ state: "paused", signedIn: false, email: null }, { consent: false }),
  "popup-quarantine": popup(
    { quarantined: per(2, 3) },
    {},
    {
      async act(page) {
        await open("quarantined")(page);
        await page.getByTestId("quarantine-list").locator("li").first().waitFor();
      },
    },
  ),
  "popup-unclaimed": popup({ parked: per(6, 11), unclaimed: per(6, 11) }, {}, { act: open("unclaimed") }),
  "popup-archived": popup({ archived: per(41, 80) }, {}, { act: open("archived") }),
  "popup-room": popup({ ...waiting, room: { usage: 9e6, quota: 70e6, pressure: "low" } }),
  "popup-found": popup(
    waiting,
    {},
    {
      replies: { whereIs: [{ place: "pending", ...REFUSED[0], note: null }] },
      async act(page) {
        await open("find")(page);
        await page.getByTestId("find-text").fill("harbour");
        await page.getByTestId("find-go").click();
        await page.getByTestId("found").locator("li").waitFor();
      },
    },
  ),
  "popup-broken": {
    page: "popup",
    replies: { status: { error: { name: "Error", code: "broken", message: "" } } },
  },
  "popup-newer": {
    page: "popup",
    replies: { status: { error: { name: "StorageError", code: "newer_version", message: "" } } },
  },
  "popup-full": popup({ state: "error", problem: problem("storage"), ...waiting }),
  "popup-consent-german": popup(
    { state: "paused", signedIn: false, email: null },
    { consent: false, answeredAt: null },
    { looks: { language: "de" } },
  ),
  "popup-signed-out-german": popup(
    { state: "signedOut", signedIn: false, email: null, ...waiting },
    {},
    { looks: { language: "de" } },
  ),
  "popup-quarantine-german": popup(
    { quarantined: per(2, 3) },
    {},
    {
      looks: { language: "de" },
      async act(page) {
        await open("quarantined")(page);
        await page.getByTestId("quarantine-list").locator("li").first().waitFor();
      },
    },
  ),
  "popup-german": popup(
    { state: "waiting", problem: problem("unreachable"), ...waiting },
    {},
    { looks: { language: "de" } },
  ),
  options: {
    page: "options",
    replies: {
      status: snapshot(full, { excludedSites: ["bank.example", "*.clinic.example"] }),
      "quarantine.list": REFUSED,
      "archive.list": REFUSED.map((record) => ({ ...record, note: { reason: "too_old", at: now } })),
    },
  },
  "options-trouble": {
    page: "options",
    replies: {
      status: snapshot({
        state: "error",
        problem: problem("storage"),
        serverAllowed: false,
        health: { ...SOUND, balanced: false, missing: 1, stuckLock: true },
        room: { usage: 9e6, quota: 12e6, pressure: "nearlyNone" },
        metrics: {
          ...SMOOTH,
          successRate: 0.83,
          networkErrors: 12,
          p95BatchMs: 4_210,
          alerts: ["success_rate", "quarantined"],
        },
        captured: per(8_652, 12_904),
      }),
      "quarantine.list": [],
      "archive.list": [],
    },
  },
  "options-zoomed": {
    page: "options",
    zoom: 2,
    replies: { status: snapshot(full), "quarantine.list": REFUSED, "archive.list": [] },
  },
  "options-german": {
    page: "options",
    language: "de",
    replies: { status: snapshot(full), "quarantine.list": REFUSED, "archive.list": [] },
  },
  "options-compared": {
    page: "options",
    replies: {
      status: snapshot({ captured: per(8_654, 12_908), pending: per(3, 4) }),
      "quarantine.list": [],
      "archive.list": [],
      reconcile: compared({
        compared: per(8_000, 12_000),
        erased: per(2, 3),
        days: [
          { day: 20_410, missing: per(0, 2), older: per(0, 0) },
          { day: 20_413, missing: per(31, 44), older: per(0, 1) },
        ],
      }),
    },
    async act(page) {
      await page.getByTestId("compare").click();
      await page.getByTestId("differences").locator("tbody tr").first().waitFor();
    },
  },
  firstrun: { page: "firstrun", replies: { status: snapshot({}, { consent: false, answeredAt: null }) } },
  "firstrun-yes": { page: "firstrun", replies: { status: snapshot() } },
  "firstrun-no": { page: "firstrun", replies: { status: snapshot({}, { consent: false }) } },
  "firstrun-german": {
    page: "firstrun",
    language: "de",
    replies: { status: snapshot({}, { consent: false, answeredAt: null }) },
  },
  "firstrun-zoomed": {
    page: "firstrun",
    zoom: 2,
    replies: { status: snapshot({}, { consent: false, answeredAt: null }) },
  },
};
