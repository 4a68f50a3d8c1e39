// What the core and the extension ask of a server. `must`: without it they can't work with it. `should`: they do, but
// slower, or telling the user less. `may`: an ability that they use where it is there.
import { randomUUID } from "node:crypto";
import { gzipSync } from "node:zlib";
import { blamed, countsOf, doubt } from "./server.mjs";

/**
 * What a check came to: whether it holds, and what was seen in a few words.
 * @typedef {{ holds: boolean, found: string }} Finding
 */

/**
 * @typedef {object} Check
 * @property {string} id
 * @property {"must" | "should" | "may"} need
 * @property {string} sentence What a server does that passes.
 * @property {(server: import("./server.mjs").Server) => Promise<Finding>} run
 */

const finding = (holds, found) => ({ holds, found });

/** Holds if the answer acknowledges all that was sent. */
function acknowledges(answer) {
  const why = doubt(answer);
  const counts = countsOf(answer);
  const words = counts ? `${counts.stored} stored, ${counts.ignored} ignored` : "without counts";
  return finding(why === null, why ?? `acknowledged, ${words}`);
}

/** Stores records that later checks stand on; a server that doesn't take them passes none of those. */
function given(answer) {
  const why = doubt(answer);
  if (why !== null) throw new Error(`the records that this check needs were not taken: ${why}`);
}

/** Holds if the answer acknowledges, and, where records are shown, exactly one row of each is. */
async function storesOnce(server, answer) {
  const { holds, found } = acknowledges(answer);
  if (!holds) return finding(false, found);
  const shown = [
    ...(await Promise.all(answer.sent.visits.map((id) => server.visits(id)))),
    ...(await Promise.all(answer.sent.aggregates.map((id) => server.aggregates(id)))),
  ];
  const other = shown.find((rows) => rows !== undefined && rows.length !== 1);
  return finding(
    other === undefined,
    other === undefined ? found : `${found}, then shown ${other.length} times`,
  );
}

/** Seconds of a stored visit; undefined where the server doesn't show it. */
async function secondsOf(server, visit) {
  const rows = await server.visits(visit.id);
  return rows?.[0]?.duration_seconds ?? rows?.[0]?.durationSeconds;
}

const isRefusal = (status) => status >= 400 && status < 500;

/** @type {Check[]} */
export const checks = [
  {
    id: "wants-login",
    need: "must",
    sentence: "POST /data/sync answers 401 to a request without a token.",
    async run(server) {
      const { status } = await server.sync([], [], { token: null });
      return finding(status === 401, `answered ${status}`);
    },
  },
  {
    id: "login",
    need: "must",
    sentence: "POST /auth/login gives a data.AccessToken for an e-mail address and a password.",
    async run(server) {
      const { status, json } = await server.post("/auth/login", server.credentials);
      const { AccessToken, RefreshToken = null, ExpiresIn } = json?.data ?? {};
      if (status !== 200 || typeof AccessToken !== "string") return finding(false, `answered ${status}`);
      Object.assign(server, { token: AccessToken, refreshToken: RefreshToken });
      return finding(true, ExpiresIn ? `a token that lives ${ExpiresIn} s` : "a token");
    },
  },
  {
    id: "user-id",
    need: "must",
    sentence: "GET /users/me gives the data.user.id of the account, the same each time.",
    async run(server) {
      const [one, other] = [await server.get("/users/me"), await server.get("/users/me")];
      const id = one.json?.data?.user?.id;
      const isId = typeof id === "string" || typeof id === "number";
      return finding(isId && other.json?.data?.user?.id === id, isId ? "an id" : `answered ${one.status}`);
    },
  },
  {
    id: "bad-token",
    need: "must",
    sentence: "A token that is no good is answered with 401, so that the core refreshes it.",
    async run(server) {
      const { status } = await server.sync([], [], { token: "no.good.token" });
      return finding(status === 401, `answered ${status}`);
    },
  },
  {
    id: "stores",
    need: "must",
    sentence: "A batch of visits and an aggregate of one of them is stored and acknowledged.",
    async run(server) {
      const first = server.visit();
      const second = server.visit({ source_page_visit_id: first.id });
      return storesOnce(server, await server.sync([first, second], [server.aggregate(first)]));
    },
  },
  {
    id: "again",
    need: "must",
    sentence:
      "The same batch sent again is acknowledged again, and stored once: the core may not have seen the first answer.",
    async run(server) {
      const visit = server.visit();
      const batch = [[visit], [server.aggregate(visit)]];
      given(await server.sync(...batch));
      return storesOnce(server, await server.sync(...batch));
    },
  },
  {
    id: "later-revision",
    need: "must",
    sentence: "A later revision of a record that is stored is acknowledged, and takes its place.",
    async run(server) {
      const visit = server.visit();
      given(await server.sync([visit]));
      const later = await server.sync([{ ...visit, revision: 2, durationSeconds: 90 }]);
      const { holds, found } = await storesOnce(server, later);
      const seconds = await secondsOf(server, visit);
      if (!holds || seconds === undefined || seconds === 90) return finding(holds, found);
      return finding(false, `${found}, but stored: ${seconds} s of 90`);
    },
  },
  {
    id: "later-aggregate",
    need: "must",
    sentence: "An aggregate in a later request than its visit is acknowledged.",
    async run(server) {
      const visit = server.visit();
      given(await server.sync([visit]));
      return acknowledges(await server.sync([], [server.aggregate(visit)]));
    },
  },
  {
    id: "other-fields",
    need: "must",
    sentence:
      "Null in an optional field and fields that the server doesn't know are no reason to refuse a record.",
    async run(server) {
      const visit = server.visit({ source_page_visit_id: null, opened_at: null, x_unknown: { a: [1] } });
      const aggregate = server.aggregate(visit, { closed_at: null, x_unknown: true });
      return acknowledges(await server.sync([visit], [aggregate]));
    },
  },
  {
    id: "honest",
    need: "must",
    sentence: "A record that is not stored is not acknowledged.",
    async run(server) {
      const bad = server.visit({ url: "not a web address" });
      const answer = await server.sync([server.visit(), bad]);
      const why = doubt(answer);
      if (why !== null) return finding(true, `a visit without a web address: ${why}`);
      const rows = await server.visits(bad.id);
      if (rows === undefined) return finding(true, "acknowledged; what is stored can't be seen here");
      const isStored = rows.length > 0;
      return finding(isStored, isStored ? "it stores any address" : "acknowledged, and not stored");
    },
  },
  {
    id: "rest-goes-on",
    need: "must",
    sentence: "After a batch with a bad record, its good record alone is acknowledged.",
    async run(server) {
      const good = server.visit();
      await server.sync([good, server.visit({ url: "not a web address" })]);
      return acknowledges(await server.sync([good]));
    },
  },
  {
    id: "parallel",
    need: "must",
    sentence:
      "Three requests at the same time are acknowledged, or those too many are answered with 429 or 503.",
    async run(server) {
      const answers = await Promise.all(
        [1, 2, 3].map(() => server.sync([server.visit()], [], { isHurried: true })),
      );
      const why = answers.map((answer) => ([429, 503].includes(answer.status) ? null : doubt(answer)));
      const slower = answers.filter(({ status }) => status !== 200).length;
      return finding(
        why.every((each) => each === null),
        why.find(Boolean) ?? (slower > 0 ? `${slower} asked to wait` : "all acknowledged"),
      );
    },
  },
  {
    id: "full-batch",
    need: "should",
    sentence: "A batch of 100 visits and 100 aggregates is taken. (If not, the core finds the size that is.)",
    async run(server) {
      const visits = Array.from({ length: 100 }, () => server.visit());
      const answer = await server.sync(
        visits,
        visits.map((visit) => server.aggregate(visit)),
      );
      const { holds, found } = acknowledges(answer);
      return finding(holds, `${found} in ${answer.ms} ms`);
    },
  },
  {
    id: "long-body",
    need: "should",
    sentence: "A body of 512 KiB is taken. (If not, the core finds the size that is.)",
    async run(server) {
      const description = "x".repeat(1_900);
      const metadata = { a: description, b: description, c: description };
      const visits = Array.from({ length: 83 }, () => server.visit({ metadata }));
      return acknowledges(await server.sync(visits));
    },
  },
  {
    id: "counts",
    need: "should",
    sentence: "A 200 says how many records it stored (data.page_visits_synced, data.tab_aggregates_synced).",
    async run(server) {
      const counts = countsOf(await server.sync([server.visit()]));
      return finding(counts?.stored === 1, counts ? "counts" : "no counts: a 200 is believed as it is");
    },
  },
  {
    id: "clear-refusal",
    need: "should",
    sentence: "A batch that holds only a bad record is refused with a 4xx.",
    async run(server) {
      const { status } = await server.sync([server.visit({ url: "not a web address" })]);
      return finding(isRefusal(status), `answered ${status}`);
    },
  },
  {
    id: "names-bad",
    need: "should",
    sentence:
      "Of a batch that begins with a bad record it names that one and no other. (If not, the core splits.)",
    async run(server) {
      const bad = server.visit({ url: "not a web address" });
      const answer = await server.sync([bad, server.visit(), server.visit()]);
      const ids = blamed(answer);
      if (ids.length === 0) return finding(false, `answered ${answer.status} and named none`);
      const innocent = ids.filter((id) => id !== bad.id).length;
      return finding(
        innocent === 0 && ids.includes(bad.id),
        `named ${ids.length}, of them ${innocent} innocent`,
      );
    },
  },
  {
    id: "newer-stays",
    need: "should",
    sentence: "An earlier revision that arrives after a later one doesn't replace it.",
    async run(server) {
      const visit = server.visit();
      given(await server.sync([visit]));
      given(await server.sync([{ ...visit, revision: 3, durationSeconds: 90 }]));
      given(await server.sync([{ ...visit, revision: 2, durationSeconds: 10 }]));
      const seconds = await secondsOf(server, visit);
      if (seconds === undefined) return finding(false, "what is stored can't be seen here");
      return finding(seconds === 90, `stored: ${seconds} s of 90`);
    },
  },
  {
    id: "no-batch",
    need: "should",
    sentence: "A body that is no batch is refused: broken JSON, other keys, an array.",
    async run(server) {
      const bodies = ['{"pageVisits":[{', '{"page_visits":[]}', "[]"];
      const statuses = [];
      for (const body of bodies) statuses.push((await server.post("/data/sync", body)).status);
      return finding(statuses.every(isRefusal), `answered ${statuses.join(", ")}`);
    },
  },
  {
    id: "refresh",
    need: "should",
    sentence:
      "POST /auth/refresh gives the next pair of tokens. (If not, the user signs in again and again.)",
    async run(server) {
      if (!server.refreshToken) return finding(false, "the login gave no refresh token");
      const { status, json } = await server.post(
        "/auth/refresh",
        { refresh_token: server.refreshToken },
        { token: null },
      );
      const { AccessToken, RefreshToken } = json?.data ?? {};
      if (status !== 200 || !AccessToken || !RefreshToken) return finding(false, `answered ${status}`);
      Object.assign(server, { token: AccessToken, refreshToken: RefreshToken });
      return acknowledges(await server.sync([server.visit()]));
    },
  },
  {
    id: "tells-date",
    need: "should",
    sentence: "Answers have a Date, by which the core tells a wrong clock.",
    async run(server) {
      const { headers } = await server.get("/users/me");
      const isDate = !Number.isNaN(Date.parse(headers.get("date") ?? ""));
      return finding(isDate, isDate ? "a Date" : "no Date");
    },
  },
  {
    id: "capabilities",
    need: "may",
    sentence: "GET /data/sync/capabilities says what it can do. The core uses no ability below without that.",
    async run(server) {
      const { status, json } = await server.get("/data/sync/capabilities");
      const told = json?.data;
      if (status !== 200 || !told) return finding(false, `answered ${status}`);
      server.told = told;
      const [visits, aggregates, bytes] = [
        told.max_page_visits,
        told.max_tab_aggregates,
        told.max_body_bytes,
      ].map((limit) => limit ?? "any number of");
      return finding(true, `at most ${visits} visits, ${aggregates} aggregates, ${bytes} bytes`);
    },
  },
  {
    id: "gzip",
    need: "may",
    sentence: "A body packed with gzip is read.",
    async run(server) {
      const options = { pack: (text) => gzipSync(text), headers: { "Content-Encoding": "gzip" } };
      return acknowledges(await server.sync([server.visit()], [], options));
    },
  },
  {
    id: "any-order",
    need: "may",
    sentence: "A reference may come before what it refers to, so that requests needn't wait for each other.",
    async run(server) {
      const [visit, source] = [server.visit(), server.visit()];
      const early = acknowledges(await server.sync([], [server.aggregate(visit)]));
      if (!early.holds) return finding(false, `an aggregate before its visit: ${early.found}`);
      const follower = server.visit({ source_page_visit_id: source.id });
      const follows = acknowledges(await server.sync([follower]));
      await server.sync([visit, source]);
      return finding(follows.holds, `a visit before its source: ${follows.found}`);
    },
  },
  {
    id: "tells-created",
    need: "may",
    sentence: "A 200 tells created records from updated ones (data.created, data.updated).",
    async run(server) {
      const visit = server.visit();
      const { json: first } = await server.sync([visit]);
      const { json: second } = await server.sync([{ ...visit, revision: 2 }]);
      const told = first?.data?.created === 1 && second?.data?.created === 0 && second.data.updated === 1;
      return finding(told, told ? "told" : "not told");
    },
  },
  {
    id: "idempotency",
    need: "may",
    sentence: "The answer to a saved batch is given again for the same Idempotency-Key.",
    async run(server) {
      const [visit, headers] = [server.visit(), { "Idempotency-Key": randomUUID() }];
      given(await server.sync([visit], [], { headers }));
      const { json } = await server.sync([visit], [], { headers });
      return finding(
        json?.data?.created === 1,
        json?.data?.created === 1 ? "given again" : "worked out anew",
      );
    },
  },
  {
    id: "preflight",
    need: "may",
    sentence: "POST /data/sync/known says which records are stored, and at which revision.",
    async run(server) {
      const [held, unheard] = [server.visit({ revision: 3 }), server.visit()];
      given(await server.sync([held]));
      const question = { pageVisits: [held.id, unheard.id], tabAggregates: [] };
      const { status, json } = await server.post("/data/sync/known", question);
      const [first, ...others] = json?.data?.pageVisits ?? [];
      const isRight = first?.id === held.id && first.revision === 3 && others.length === 0;
      return finding(
        status === 200 && isRight,
        status === 200 ? `named ${1 + others.length}` : `answered ${status}`,
      );
    },
  },
  {
    id: "shows-records",
    need: "may",
    sentence: "GET /browsing_data shows the account's own records.",
    async run(server) {
      const visit = server.visit();
      given(await server.sync([visit]));
      const rows = await server.visits(visit.id);
      const isShown = rows !== undefined && rows.length > 0;
      return finding(isShown, rows === undefined ? "no such route" : isShown ? "shown" : "not shown");
    },
  },
  {
    id: "erase",
    need: "may",
    sentence: "POST /data/erase forgets a site, and what comes late of it.",
    async run(server) {
      const visit = server.visit();
      given(await server.sync([visit]));
      const erasure = { scope: "site", site: server.site, to: new Date().toISOString() };
      const { status } = await server.post("/data/erase", erasure);
      if (status !== 200) return finding(false, `answered ${status}`);
      const again = countsOf(await server.sync([visit]));
      return finding(
        again?.ignored === 1,
        `a visit of before: ${again?.ignored === 1 ? "ignored" : "stored again"}`,
      );
    },
  },
  {
    id: "logout",
    need: "may",
    sentence: "POST /auth/logout ends the token at once.",
    async run(server) {
      const { status } = await server.post("/auth/logout", {});
      const after = await server.get("/users/me");
      return finding(status === 200 && after.status === 401, `answered ${status}, then ${after.status}`);
    },
  },
];
