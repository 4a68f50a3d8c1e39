/** A login; `account` is the user id which the server verified. */
export interface Session {
  account: string;
  accessToken: string;
  refreshToken?: string | null;
  /** Milliseconds since the epoch. */
  expiresAt?: number | null;
}

/** Limits; each may only be lowered, but for the times. */
export interface Policy {
  maxPageVisits?: number;
  maxTabAggregates?: number;
  maxBodyBytes?: number;
  requestTimeoutMs?: number;
  sliceBudgetMs?: number;
  maxInFlight?: number;
  /** "auto" compresses bodies where the server says that it reads gzip, "always" wherever it has not refused them. */
  compress?: "auto" | "never" | "always";
}

export interface OpenOptions {
  /** Name of the IndexedDB database; "heyho-sync" if absent. */
  databaseName?: string;
  /** Base of the server's routes; "/data/sync" is appended. */
  serverUrl: string;
  /** Absent or false: nothing is recorded, nothing is sent. */
  consent?: boolean;
  paused?: boolean;
  /** "example.com" with its subdomains, "*.example.com" for the subdomains alone. */
  excludedSites?: string[];
  /** Null or absent: signed out. */
  session?: Session | null;
  /** Age in days at which a record that the server doesn't take is set aside; 90 if absent. */
  archiveAfterDays?: number;
  /** Keep the login in the database, and take it from there where `session` is null or absent. */
  restoreSession?: boolean;
  policy?: Policy;
  /** Called at least every 20 s while a sync runs. */
  keepAlive?: () => void;
  /** Called with the moment at which a one-shot alarm should wake the worker, or null when none is needed. */
  armRetry?: (atMs: number | null) => void;
  /**
   * A place outside of the database for a copy of its totals, by which a lost or damaged database is told what it had.
   * Absent: a small database beside it, which may be lost together with it.
   */
  mirror?: { load(): Promise<string | null>; save(text: string): Promise<void> };
}

export interface SettingsPatch {
  consent?: boolean;
  paused?: boolean;
  excludedSites?: string[];
  serverUrl?: string;
  archiveAfterDays?: number;
}

/** Records as they travel; the reference server's `/openapi.json` has the fields. Unknown fields survive. */
export interface RecordInput {
  pageVisits?: Array<{ id: string; url: string; visited_at: string | number; [field: string]: unknown }>;
  tabAggregates?: Array<{
    id: string;
    page_visit_id: string;
    total_time_seconds: number;
    active_time_seconds: number;
    [field: string]: unknown;
  }>;
}

export interface Recorded {
  captured: number;
  /** Held already, word for word: counted nowhere. */
  heldAlready: number;
  /** No consent, paused, or of an excluded site. */
  notRecorded: number;
}

export interface Imported extends Recorded {
  /** Lines that hold no record, by their number from 1. */
  refused: Array<{ line: number; code: string; field: string }>;
}

/** A piece of an export: whole lines; all pieces one behind the other are the document. */
export interface ExportPiece {
  text: string;
  /** What the next piece is asked for with; null at the end. */
  next: string | null;
}

/** A record that was set aside. */
export interface SetAside {
  kind: "page_visit" | "tab_aggregate";
  id: string;
  revision: number;
  capturedAt: number;
  /** Why: a stable reason, and the server's words where it gave any. */
  note: { reason: string; words?: string | null; at?: number } | null;
  record: { [field: string]: unknown };
}

/** Where a record is; of one that was given up, nothing but the id is left. */
export interface Whereabouts extends Omit<SetAside, "record"> {
  place: "pending" | "parked" | "quarantined" | "archived" | "discarded";
  record: { [field: string]: unknown } | null;
}

/** `at` in milliseconds since the epoch. */
export type TabEvent = { at: number } & (
  | {
      type: "opened";
      tabId: number;
      windowId?: number;
      openerTabId?: number | null;
      active?: boolean;
      incognito?: boolean;
    }
  | {
      type: "navigated";
      tabId: number;
      windowId?: number;
      url: string;
      title?: string | null;
      active?: boolean;
      incognito?: boolean;
    }
  | { type: "titled"; tabId: number; title: string }
  | {
      type: "activated";
      tabId: number;
      windowId?: number;
      url?: string | null;
      title?: string | null;
      incognito?: boolean;
    }
  | { type: "closed"; tabId: number }
  | { type: "windowFocused"; windowId?: number | null }
  | { type: "idle"; state: "active" | "idle" | "locked" }
  | { type: "audible"; tabId: number; audible: boolean }
  | { type: "scrolled"; tabId: number; url?: string | null; depthPercent: number }
  | { type: "heartbeat" }
  | { type: "browserStarted" }
);

export interface SyncOptions {
  /** Settle at most so many batches. */
  maxBatches?: number;
  sliceBudgetMs?: number;
  /** The user asked by hand: our own backoff does not hold; a server's wait does. */
  force?: boolean;
}

export interface Counts {
  pageVisits: number;
  tabAggregates: number;
}

/** `attempted = skipped + updated + created + errored + timedOut`, in records. */
export interface SyncReport {
  outcome: "complete" | "incomplete";
  reason: string | null;
  attempted: number;
  created: number;
  updated: number;
  skipped: number;
  errored: number;
  timedOut: number;
  batches: number;
  requests: number;
  retries: number;
  bytesBeforeCompression: number;
  bytesSent: number;
  startedAt: number;
  durationMs: number;
  remaining: Counts;
}

/** Rows are counted against the books about once a day. The numbers are rows, of the last count. */
export interface Health {
  /** The counts balance among themselves. */
  booksBalance: boolean;
  checkedAt: number | null;
  /** Rows and books agreed. Where they didn't, the books have been corrected. */
  balanced: boolean;
  /** In the books and not in the database: counted as unrecoverable now. */
  missing: number;
  /** In the database and not in the books: counted now. */
  uncounted: number;
  /** Could not be read, and are counted as missing. */
  unreadable: number;
  /** Of nobody that the books knew, or aggregates of a discarded visit. */
  orphans: number;
  retryOverdue: boolean;
  stuckLock: boolean;
  /** The books were lost and begun anew; not mirrored: what there was before is counted nowhere. */
  rebuilt: { at: number; mirrored: boolean; saved: number } | null;
}

/** `captured = acknowledged + pending + parked + quarantined + archived + discarded + unrecoverable`, per kind. */
export interface Status {
  state: "idle" | "syncing" | "waiting" | "signedOut" | "paused" | "error";
  consent: boolean;
  paused: boolean;
  signedIn: boolean;
  captured: Counts;
  acknowledged: Counts;
  pending: Counts;
  parked: Counts;
  quarantined: Counts;
  archived: Counts;
  discarded: Counts;
  unrecoverable: Counts;
  /** Of `parked`: captured signed out, and nobody's until `claimRecords` or `discardUnclaimed`. */
  unclaimed: Counts;
  /** Of `parked`: what waits for other servers than the one that is set, by the server's origin. */
  elsewhere: Array<Counts & { server: string; mayBeTaken: boolean }>;
  /** What servers have not yet confirmed to have erased. */
  erasing: Array<{
    /** Null: everything. */
    site: string | null;
    /** The server's origin. */
    server: string;
    /** When it was asked for. */
    since: number;
    /** The server has said that it can't; it is asked again once a day. */
    unable: boolean;
    /** Its account is not the one that is signed in. */
    waitsForSignIn: boolean;
  }>;
  /** Archived records could be sent now: a sync has succeeded since they were set aside. */
  restorable: boolean;
  problem: { code: string; message: string; since: number } | null;
  lastSuccessAt: number | null;
  lastAttemptAt: number | null;
  nextAttemptAt: number | null;
  progress: {
    done: number;
    total: number;
    perSecond: number;
    secondsLeft: number | null;
    batchesLeft: number;
  } | null;
  lastReport: SyncReport | null;
  /** Of the last hundred uploads. */
  metrics: {
    uploads: number;
    /** Share of them that stored something. */
    successRate: number | null;
    networkErrors: number;
    meanBatchMs: number | null;
    p95BatchMs: number | null;
    /** Share of all captured records that is in quarantine. */
    quarantinedShare: number;
    /** Success below 99 %, more than 1 % in quarantine. */
    alerts: Array<"success_rate" | "quarantined">;
  };
  health: Health;
}

/**
 * What the server has acknowledged to this machine, against what it says that it has. Counted by revision, as the books
 * are; of the account that is signed in. Other machines of the account may have delivered more: that is no difference.
 */
export interface Reconciliation {
  /**
   * Why it was not made, or not to its end: "not offered" by this server, "no answer", "sign in again", "waiting" for as
   * long as the server asked for, "consent missing", "paused", "signed out", "insecure address"; else null.
   */
  reason: string | null;
  comparedAt: number;
  /** By the books. */
  acknowledged: Counts;
  /** Of `acknowledged`: the last some 50,000 that are known one by one, back to the last erase. */
  compared: Counts;
  /** Erased there by the user's will. */
  erased: Counts;
  /** Records that the server has of the account, from every machine; null where it doesn't say. */
  there: Counts | null;
  /**
   * What differs, by the day of its capture; empty where all is there. `day` counts from 1970-01-01 in the user's
   * calendar. `missing` was acknowledged and is not there any more, nor here: what is acknowledged is deleted here.
   * `older` is there at a lower revision than was acknowledged.
   */
  days: Array<{ day: number; missing: Counts; older: Counts }>;
}
