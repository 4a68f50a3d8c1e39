//! Scripts of browsing: an hour written by hand, and any number thrown by dice.

use heyho_sync::words::event::{Happening, IdleState};

/// Nothing of this site may be recorded.
pub const EXCLUDED: &str = "https://excluded.example/";
/// Seconds of an hour.
pub const HOUR: i64 = 3600;

/// What happens, and in which second; no two things in one.
pub type Script = Vec<(i64, Happening)>;

/// Writes scripts: keeps the time, and beats the heart as the extension does.
#[derive(Default)]
struct Writer {
    now: i64,
    script: Script,
}

impl Writer {
    fn then(&mut self, after: i64, what: Happening) -> &mut Self {
        self.now += after;
        self.script.push((self.now, what));
        self
    }

    /// The user stays, and the heart beats every 30 seconds.
    fn stay(&mut self, seconds: i64) -> &mut Self {
        for _ in 0..seconds / 30 {
            self.then(30, Happening::Heartbeat);
        }
        self
    }

    fn open(&mut self, after: i64, tab_id: i64, opener_tab_id: Option<i64>, active: bool) -> &mut Self {
        self.then(after, Happening::Opened { tab_id, window_id: 1, opener_tab_id, active, incognito: false })
    }

    fn load(&mut self, after: i64, tab_id: i64, url: &str, active: bool) -> &mut Self {
        let (url, title) = (url.to_owned(), None);
        self.then(after, Happening::Navigated { tab_id, window_id: 1, url, title, active, incognito: false })
    }

    fn activate(&mut self, after: i64, tab_id: i64) -> &mut Self {
        self.then(
            after,
            Happening::Activated { tab_id, window_id: 1, url: None, title: None, incognito: false },
        )
    }

    fn user(&mut self, after: i64, state: IdleState) -> &mut Self {
        self.then(after, Happening::Idle { state })
    }
}

/// An hour of a busy user, an hour's sleep, and a restart.
pub fn busy_hour() -> Script {
    let mut w = Writer::default();
    w.then(0, Happening::BrowserStarted).then(1, Happening::WindowFocused { window_id: Some(1) });
    w.open(1, 1, None, true).load(1, 1, "https://news.example/", true);
    for tab in 2..=40 {
        w.open(2, tab, Some(1), false).load(1, tab, &format!("https://story-{tab}.example/"), false);
    }
    for tab in 2..=31 {
        w.activate(5, tab)
            .stay(30)
            .then(4, Happening::Scrolled { tab_id: tab, url: None, depth_percent: tab as f64 });
        w.load(3, tab, &format!("https://story-{tab}.example/page/2"), true);
        if tab % 3 == 0 {
            w.then(7, Happening::Closed { tab_id: tab }).activate(1, 1);
        }
    }
    w.open(6, 50, None, true).load(1, 50, "https://film.example/watch", true);
    w.then(2, Happening::Audible { tab_id: 50, audible: true }).stay(60).user(3, IdleState::Idle).stay(600);
    w.then(5, Happening::Audible { tab_id: 50, audible: false })
        .stay(120)
        .user(9, IdleState::Active)
        .stay(30);
    w.user(1, IdleState::Locked).stay(150).user(2, IdleState::Active);
    w.then(4, Happening::WindowFocused { window_id: None }).stay(90);
    w.then(3, Happening::WindowFocused { window_id: Some(1) }).stay(30);
    for tab in 60..=85 {
        w.open(4, tab, Some(50), true).load(1, tab, &format!("https://shop.example/item/{tab}"), true);
        w.load(9, tab, "https://shop.example/cart", true).load(2, tab, "https://shop.example/cart", true);
        if tab % 2 == 0 {
            w.then(5, Happening::Closed { tab_id: tab }).activate(1, 50);
        }
    }
    w.activate(3, 1).load(2, 1, "chrome://settings/", true).stay(30).load(5, 1, EXCLUDED, true).stay(60);
    w.load(1, 1, "https://news.example/", true).stay(30).then(HOUR, Happening::Heartbeat).stay(60);
    w.user(1, IdleState::Idle).stay(2 * HOUR).user(1, IdleState::Active).stay(30);
    w.then(12 * HOUR, Happening::BrowserStarted);
    w.open(1, 1, None, true).load(1, 1, "https://news.example/", true).stay(60);
    w.then(4, Happening::Closed { tab_id: 1 });
    w.script
}

/// Marsaglia's xorshift: the same scripts on every machine.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: i64) -> i64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as i64 % bound
    }

    fn one_in(&mut self, bound: i64) -> bool {
        self.below(bound) == 0
    }
}

/// A script that is the same for the same seed.
pub fn random_script(seed: u64) -> Script {
    const URLS: [&str; 8] = [
        "https://a.example/",
        "https://a.example/#/two",
        "https://b.example/",
        "https://b.example/read?id=1",
        "https://c.example/",
        "about:blank",
        "chrome://newtab/",
        EXCLUDED,
    ];
    let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let mut w = Writer::default();
    let mut open: Vec<i64> = Vec::new();
    let mut next_tab = 1;
    for _ in 0..40 + dice.below(160) {
        let after = match dice.below(40) {
            0 => 46 + dice.below(1000),
            1 => 1700 + dice.below(6000),
            2..=6 => 31 + dice.below(20),
            _ => 1 + dice.below(30),
        };
        let tab_id = open.get(dice.below(open.len().max(1) as i64) as usize).copied().unwrap_or(99);
        let incognito = tab_id % 7 == 6;
        let window_id = if dice.one_in(20) { 1 + dice.below(3) } else { 1 + tab_id % 2 };
        let url = URLS[dice.below(8) as usize].to_owned();
        let active = dice.below(3) > 0;
        match dice.below(40) {
            0..=5 => {
                let opener_tab_id = Some(tab_id).filter(|_| dice.below(4) > 0);
                open.push(next_tab);
                let (tab_id, window_id, incognito) = (next_tab, 1 + next_tab % 2, next_tab % 7 == 6);
                next_tab += 1;
                w.then(after, Happening::Opened { tab_id, window_id, opener_tab_id, active, incognito });
                if dice.below(4) > 0 {
                    w.then(
                        1,
                        Happening::Navigated { tab_id, window_id, url, title: None, active, incognito },
                    );
                }
            }
            6..=13 => {
                w.then(
                    after,
                    Happening::Navigated { tab_id, window_id, url, title: None, active, incognito },
                );
            }
            14..=21 => {
                let url = Some(url).filter(|_| dice.one_in(3));
                w.then(after, Happening::Activated { tab_id, window_id, url, title: None, incognito });
            }
            22..=24 => {
                open.retain(|tab| *tab != tab_id);
                w.then(after, Happening::Closed { tab_id });
            }
            25..=28 => {
                let window_id = Some(1 + dice.below(3)).filter(|_| dice.below(3) > 0);
                w.then(after, Happening::WindowFocused { window_id });
            }
            29..=32 => {
                let state = [IdleState::Active, IdleState::Active, IdleState::Idle, IdleState::Locked];
                w.then(after, Happening::Idle { state: state[dice.below(4) as usize] });
            }
            33..=34 => {
                w.then(after, Happening::Audible { tab_id, audible: active });
            }
            35 => {
                w.then(
                    after,
                    Happening::Scrolled { tab_id, url: None, depth_percent: dice.below(101) as f64 },
                );
            }
            36 => {
                w.stay(30 * dice.below(90));
            }
            37 if dice.one_in(3) => {
                w.then(after, Happening::BrowserStarted);
                open.clear();
                next_tab = 1;
            }
            _ => {
                w.then(after, Happening::Heartbeat);
            }
        }
    }
    w.then(10, Happening::BrowserStarted);
    w.script
}
